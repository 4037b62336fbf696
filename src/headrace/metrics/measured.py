"""Whose metrics leave the process."""

from typing import Protocol

from headrace.metrics.metric import Metrics

__all__ = ["Measured"]


class Measured(Protocol):
    """An application, as `Streams` is one."""

    @property
    def application_id(self) -> str:
        """The application's id."""

    def metrics(self) -> Metrics:
        """All metrics as they are now."""
