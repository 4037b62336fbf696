"""Record batches as bytes, and as columns."""
