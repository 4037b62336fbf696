"""The embedded log: topics in one SQLite file, without a broker."""

from headrace.log.embedded.log import EmbeddedLog

__all__ = ["EmbeddedLog"]
