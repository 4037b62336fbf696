"""Stores of a user's own, for tests: a dictionary in memory, and one that is kept in a file."""

import json
from collections.abc import Sequence

import headrace as hr
from headrace.stores import StoreContext


class Shelf:
    """Texts by text. `calls` tells what it was asked to do."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self.calls: list[str] = []

    def init(self, context: StoreContext) -> None:
        self.context = context
        self.calls.append("init")

    def restore(self, records: Sequence[hr.Record[bytes, bytes | None]]) -> None:
        self.calls.append(f"restore {len(records)}")
        for record in records:
            if record.value is None:
                self.rows.pop(record.key.decode(), None)
            else:
                self.rows[record.key.decode()] = record.value.decode()

    def put(self, key: str, value: str | None) -> None:
        self.context.log(key.encode(), None if value is None else value.encode())
        if value is None:
            self.rows.pop(key, None)
        else:
            self.rows[key] = value

    def flush(self) -> None:
        self.calls.append("flush")

    def close(self) -> None:
        self.calls.append("close")


class FileShelf(Shelf):
    """Keeps its rows in a file, which is replaced as a whole."""

    def init(self, context: StoreContext) -> None:
        super().init(context)
        assert context.directory is not None
        self.file = context.directory / "rows.json"
        if self.file.exists():
            self.rows = json.loads(self.file.read_text())

    def flush(self) -> None:
        super().flush()
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps(self.rows))
        new.replace(self.file)
