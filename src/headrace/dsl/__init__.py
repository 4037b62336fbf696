"""The builder, streams, tables and windows that a program calls, and the rewrites of their graph."""
