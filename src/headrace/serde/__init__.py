"""Bytes become values, and values bytes."""
