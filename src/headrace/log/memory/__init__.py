"""The in-memory log: lists behind the log port, for the test driver and for tests."""

from headrace.log.memory.log import MemoryLog

__all__ = ["MemoryLog"]
