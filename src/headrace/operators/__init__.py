"""What each node of the DSL does to a record, one file a family."""
