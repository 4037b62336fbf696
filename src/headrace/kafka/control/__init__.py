"""The control plane: topics, offsets and groups, asked for and changed by blocking calls from any thread."""
