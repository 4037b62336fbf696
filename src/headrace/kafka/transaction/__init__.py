"""A producer's identity, its transactions, and the offsets that it commits for a group."""
