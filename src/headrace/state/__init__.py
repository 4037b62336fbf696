"""Stores: what a task remembers, how it is buffered, cached, logged, committed, restored and read."""
