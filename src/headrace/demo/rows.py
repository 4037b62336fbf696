"""Rows of a store, asked of the job itself: what its local stores hold, not what their changelogs say.

`python -m headrace.demo.rows STORE DIRECTORY` prints JSON lines: key, start for a window store, and value. Properties
come from the environment, such as HEADRACE_BOOTSTRAP_SERVERS.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

import headrace as hr
from headrace.demo.flights import DAYS, QUARTERS, ROUTES
from headrace.demo.main import application

__all__ = ["rows"]


def rows(store: str, path: Path) -> Iterator[dict[str, object]]:
    """Start the job below `path` and yield the rows of a store, as `headrace stores dump` shows them."""
    with application(path, hr.Config.load()) as streams:
        streams.wait_running("60s")
        if store == ROUTES.name:
            for route, count in streams.query(ROUTES).all():
                yield {"key": route, "value": count}
        for declared in (QUARTERS, DAYS):
            if store == declared.name:
                window: hr.Windowed[str]
                for window, value in streams.query(store).range():
                    yield {"key": window.key, "start": window.window.start, "value": value}


if __name__ == "__main__":
    for row in rows(sys.argv[1], Path(sys.argv[2])):
        sys.stdout.buffer.write(msgspec.json.encode(row) + b"\n")
