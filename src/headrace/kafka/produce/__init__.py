"""Writing: record batches on their way to leaders, and the writer of the log port over them."""
