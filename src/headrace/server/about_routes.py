"""What an application is: its state with what ended it, and its configuration."""

import traceback
from collections.abc import Sequence
from typing import Any

from headrace.base.version import headrace_version
from headrace.engine.status import WorkerStatus
from headrace.server.parameters import Given
from headrace.server.routes import Route
from headrace.streams.logs import address_of
from headrace.streams.status_text import waiting_text
from headrace.streams.streams import Streams

__all__ = ["about_routes"]

#: Of a traceback, the end is what tells most.
_TRACEBACK_CHARACTERS_MAX = 20_000


def about_routes(streams: Streams) -> Sequence[Route]:
    """Return the routes."""
    about = _About(streams)
    return (
        Route("/application", "State, figures, and what ended it where something did.", about.application),
        Route(
            "/config", "All properties with their origins; secrets are hidden.", about.config, blocks=False
        ),
    )


class _About:
    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    def application(self, given: Given) -> object:
        streams = self._streams
        state, status, trouble = streams.state, streams.status(), streams.trouble
        figures = status or WorkerStatus("starting")
        restoring = [task for task in figures.tasks if task.state == "restoring"]
        return {
            "application_id": streams.application_id,
            "version": headrace_version(),
            "log": str(address_of(streams.config)),
            "state": state,
            "is_paused": streams.is_paused,
            "waits_for": trouble if state == "running" else waiting_text(state, status, trouble),
            "failure": _failure(streams.killed_by),
            "records": figures.records,
            "records_per_second": figures.records_per_second,
            "lag_records": figures.lag_records,
            "dropped": figures.dropped,
            "commits": figures.commits,
            "tasks": len(figures.tasks),
            "standbys": len(figures.standbys),
            "restoring_tasks": len(restoring),
            "restored": sum(task.restored for task in restoring),
            "remaining": sum(task.remaining for task in restoring),
        }

    def config(self, given: Given) -> object:
        return {
            "properties": [
                {"name": name, "value": value, "origin": origin, "meaning": meaning}
                for name, value, origin, meaning in self._streams.config.rows()
            ]
        }


def _failure(error: BaseException | None) -> dict[str, Any] | None:
    if error is None:
        return None
    text = "".join(traceback.format_exception(error))
    return {
        "error": type(error).__qualname__,
        "message": str(error),
        "traceback": text[-_TRACEBACK_CHARACTERS_MAX:],
    }
