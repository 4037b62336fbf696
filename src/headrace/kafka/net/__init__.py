"""Connections to brokers: requests out, answers back, on the thread that owns them."""
