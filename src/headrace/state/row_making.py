"""Which changelog rows a store of each kind is restored by: of what is on disk alone, without buffers over it."""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from headrace.state.buffer.expiring import ExpiringRows
from headrace.state.buffer.layouts import layout_of
from headrace.state.buffer.lru import LruRows
from headrace.state.buffer.stamped import StampedRows
from headrace.state.buffer.time_ordered import TimeOrderedRows
from headrace.state.buffer.versioned import VersionedBuffer
from headrace.state.changelog_rows import ChangelogRows, KeyValueRows, SegmentedRows
from headrace.state.port import Database
from headrace.state.spec import StoreSpec
from headrace.state.suppress_rows import SuppressRows
from headrace.state.values import ValueCodec
from headrace.state.versioned_rows import VersionedRows

__all__ = ["row_maker"]


def row_maker(
    spec: StoreSpec, database: Database, codec: ValueCodec, used: OrderedDict[bytes, None]
) -> Callable[[], ChangelogRows] | None:
    """Return what makes the rows of a restore; None for a store of the user's own, which its object restores.

    `used` is where a store with a bound notes the order in which its rows were written.
    """
    match spec.kind:
        case "key_value":
            return _key_value(spec, database, used)
        case "window" | "session":
            kind = TimeOrderedRows if spec.time_ordered else SegmentedRows
            return _stamped(spec, partial(kind, spec, layout_of(spec)))
        case "suppress":
            return partial(SuppressRows, spec, database.family(spec.name))
        case "versioned":
            return partial(_versioned, spec, database, codec)
        case "custom":
            return None


def _key_value(
    spec: StoreSpec, database: Database, used: OrderedDict[bytes, None]
) -> Callable[[], ChangelogRows]:
    if spec.rows_max is not None:
        return partial(LruRows, spec, used)
    if spec.ttl_ms is not None:
        return _stamped(spec, partial(ExpiringRows, spec, database.family(spec.name)))
    return _stamped(spec, partial(KeyValueRows, spec))


def _stamped(spec: StoreSpec, plain: Callable[[], ChangelogRows]) -> Callable[[], ChangelogRows]:
    """Return what makes rows where values are stamped too."""
    return (lambda: StampedRows(plain())) if spec.stamped else plain


def _versioned(spec: StoreSpec, database: Database, codec: ValueCodec) -> VersionedRows:
    # What is older than the history was dropped, and counted, when it was put.
    return VersionedRows(spec, VersionedBuffer(spec, database, None, codec, lambda store, reason: None))
