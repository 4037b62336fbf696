"""What is wrong with an application, its log and this machine, and what to do about it."""
