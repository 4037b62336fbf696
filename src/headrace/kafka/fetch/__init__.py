"""Reading: what to fetch from whom, and the reader of the log port over it."""
