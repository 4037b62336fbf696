"""Rows of a store, asked of the job itself: what its local stores hold, not what their changelogs say.

`python -m headrace.demo.rows STORE DIRECTORY` prints JSON lines: key, value, and start and end of a window or session.
Properties come from the environment, such as HEADRACE_BOOTSTRAP_SERVERS.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

import headrace as hr
from headrace.demo.main import application
from headrace.stores import ReadOnlyKeyValueStore, ReadOnlySessionStore

__all__ = ["rows"]


def rows(store: str, path: Path) -> Iterator[dict[str, object]]:
    """Start the job below `path` and yield the rows of a store, as `headrace stores dump` shows them."""
    with application(path, hr.Config.load()) as streams:
        streams.wait_running("60s")
        found: Any = streams.query(store)
        if isinstance(found, ReadOnlyKeyValueStore):
            for key, value in found.all():
                yield {"key": key, "value": value}
        else:
            windows = found.sessions if isinstance(found, ReadOnlySessionStore) else found.range
            for windowed, value in windows():
                yield {"key": windowed.key, **windowed.window._asdict(), "value": value}


if __name__ == "__main__":
    for row in rows(sys.argv[1], Path(sys.argv[2])):
        sys.stdout.buffer.write(msgspec.json.encode(row) + b"\n")
