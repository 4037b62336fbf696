"""A topology and the log's partition counts become tasks and internal topics. Pure."""
