"""What changed since the last commit, shaped by the kind of store; it lies over the database."""
