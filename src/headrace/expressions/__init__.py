"""Expressions: what is computed of a record, as a value that can be read, and run as the Python that it stands for."""
