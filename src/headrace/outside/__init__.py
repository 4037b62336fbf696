"""What can be told and done about an application from outside, by its log alone."""
