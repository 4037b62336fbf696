"""Makes a table of the changes of a database's rows, as Debezium tells them.

Large values that have not changed are taken from the store, which has each row as it was. A deletion comes twice, as a
change and as a tombstone for compaction; the second finds no row.

A connector that was killed writes changes again. The table goes back by them, and then forth again, so that it ends as
the database. One that needs the value of a row which a later change has deleted already is passed over: how far the log
of the database was is committed beside the offsets.
"""

from typing import Any

from headrace.base.errors import ProcessingError
from headrace.base.records import Headers
from headrace.operators.table import TableSource
from headrace.operators.updates import forward_flushed, key_deserializer, key_serializer
from headrace.serde.debezium.row_change import RowChange
from headrace.topology.topics import Truncates
from headrace.topology.wiring import Forward, Wiring

__all__ = ["ChangeTableSource"]


_TRUNCATED = (
    "the table was truncated, and this is told in one partition of its topic: if the topic has one partition, say "
    "truncates='delete' where it is declared; else 'ignore', and delete rows by DELETE"
)


class _Again:
    """Tells changes that were written before, by how far the database's log was, which the task remembers."""

    def __init__(self, wiring: Wiring, name: str) -> None:
        self._reached = wiring.context.processor_metadata
        self._name = name

    def is_again(self, change: RowChange[Any]) -> bool:
        """Say whether a change was written before, and note how far the log is."""
        commit = change.follows_commit
        if commit < self._reached.get(self._name, -1):
            return commit >= 0
        if commit >= 0:
            self._reached[self._name] = commit
        return False


class ChangeTableSource(TableSource):
    """Turns changes into updates of a table, which has a store. A null key is dropped, unless the table is truncated.

    A TRUNCATE is written to one partition, since it has no key: it deletes the rows of that partition alone.
    """

    def __init__(self, store: str, truncates: Truncates) -> None:
        super().__init__(store)
        self._truncates = truncates

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure."""
        assert self.store is not None, "the builder names it"
        forward, failed, drop, send_old = wiring.forward, wiring.failed, wiring.drop, self.send_old
        state = wiring.store(self.store)
        get, put, cached = state.get, state.put, state.caching
        serialize, deserialize = key_serializer(wiring, state), key_deserializer(wiring, state)
        forward_flushed(wiring, state, send_old=send_old)
        is_again = _Again(wiring, self.store).is_again

        def set_row(key: Any, key_bytes: bytes, new: Any, old: Any, timestamp: int, headers: Headers) -> None:
            put(key_bytes, new, timestamp, headers)
            if not cached:
                forward(key, (new, old if send_old else None, True), timestamp, headers)

        def truncate(timestamp: int, headers: Headers) -> None:
            if self._truncates == "ignore":
                drop("truncate")
                return
            if self._truncates == "fail":
                raise ProcessingError(_TRUNCATED)
            for key_bytes, row, _ in list(state.range(None, None)):
                set_row(deserialize(key_bytes), key_bytes, None, row, timestamp, headers)

        def run(key: Any, change: RowChange[Any] | None, timestamp: int, headers: Headers) -> None:
            try:
                if change is not None and change.operation == "truncate":
                    truncate(timestamp, headers)
                    return
                if key is None:
                    drop("null key")
                    return
                key_bytes = serialize(key)
                row = get(key_bytes)
                again = change is not None and is_again(change)
                old = None if row is None else row[0]
                if change is None or change.is_deletion:
                    if row is None:
                        return
                    new = None
                elif again and row is None and change.unchanged:
                    drop("written again")
                    return
                else:
                    new = change.row(old)
            except BaseException as error:
                failed(error, key, change, timestamp, headers)
                return
            set_row(key, key_bytes, new, old, timestamp, headers)

        return run
