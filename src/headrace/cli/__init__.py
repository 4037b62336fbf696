"""The command line, `headrace`: thin commands over `streams`, `query` and the log."""
