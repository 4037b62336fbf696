"""All stores of one task as they are on disk, or in memory: what is lent to whoever restores, follows or runs it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from headrace.base.columns import Chunk
from headrace.state.memory import MemoryDatabase
from headrace.state.port import Database, StorePosition
from headrace.state.spec import Engine, StoreSpec
from headrace.state.stamped import StampedCodec
from headrace.state.store_rows import StoreRows
from headrace.state.values import ValueCodec

__all__ = ["TaskRows", "value_codec"]


class TaskRows:
    """Belongs to one thread at a time, except for reads: to that of whoever has borrowed it.

    `database` is for stores on RocksDB; a function is called only if there is one. Those in memory get their own.

    Attributes:
        specs: in topological order.
        databases: by engine; whoever runs the task writes to them.
        stores: by name, in topological order.
    """

    def __init__(
        self,
        specs: Sequence[StoreSpec],
        database: Database | Callable[[], Database],
        *,
        application_id: str,
        now_ms: Callable[[], int],
    ) -> None:
        self.specs = tuple(specs)
        self.databases = _databases(specs, database)
        self.stores: dict[str, StoreRows] = {}
        try:
            for spec in self.specs:
                codec = value_codec(spec, f"{application_id}-{spec.changelog_topic}")
                self.stores[spec.name] = StoreRows(spec, self.databases[spec.engine], codec, now_ms)
        except BaseException:
            self.close()
            raise

    def positions(self) -> Mapping[str, StorePosition | None]:
        """How far each store has followed its changelog; None for a new store. See `rebuilding.must_rebuild`."""
        return {name: store.position() for name, store in self.stores.items()}

    def restore(self, name: str, chunk: Chunk) -> None:
        """Apply changelog records to a store's rows, straight and unlogged. Not while somebody runs the task.

        Rows are gathered and written some thousands at a time; they are sure to be there after `restored`.

        Raises:
            StateCorruptionError: the records are of another kind of store.
        """
        self.stores[name].restore(chunk)

    def restored(self, name: str, position: StorePosition) -> None:
        """Write what is left of a restore, and its position last. Standbys call it now and then, for ever.

        The position needs an offset, the topic's id and, if there are any, inputs.
        """
        self.stores[name].restored(position)

    def clear(self, name: str) -> None:
        """Delete a store's rows and its position: before a rebuild."""
        self.stores[name].clear()

    def put_away(self) -> None:
        """Forget what was applied and not written."""
        for store in self.stores.values():
            store.put_away()

    def close(self) -> None:
        """Release the databases. Twice is fine."""
        with ExitStack() as closing:  # each is closed, also when one before it fails
            for database in self.databases.values():
                closing.callback(database.close)


def value_codec(spec: StoreSpec, topic: str) -> ValueCodec:
    """Return how a store turns values into bytes and back, as its changelog `topic` has them."""
    has_stamped_values = spec.stamped and spec.kind != "suppress"
    return (StampedCodec if has_stamped_values else ValueCodec)(spec.value, topic, spec.name)


def _databases(
    specs: Sequence[StoreSpec], database: Database | Callable[[], Database]
) -> dict[Engine, Database]:
    opened: dict[Engine, Database] = {}
    for spec in specs:
        if spec.engine not in opened:
            if spec.engine == "memory":
                opened["memory"] = MemoryDatabase()
            else:
                opened["rocksdb"] = database() if callable(database) else database
    return opened
