"""Which records of a changelog are changes of what is watched, and what they say: by the kind of the store."""

from typing import Any, cast

from headrace.base.errors import SerializationError
from headrace.base.records import Headers, Window, Windowed
from headrace.processor.parts import TIMESTAMP_MAX
from headrace.query.changes import Change, Opened
from headrace.serde.rows import RowSerde
from headrace.state.buffer.layouts import layout_of
from headrace.state.declaration import unreadable
from headrace.state.spec import StoreSpec
from headrace.state.stamped import Stamped
from headrace.state.typed_keys import TypedKeys
from headrace.state.values import ValueCodec

__all__ = ["change_opener"]


def change_opener(spec: StoreSpec, application_id: str, key: Any) -> Opened:
    """Return what makes changes of records, of one key, or of all if it is None.

    Raises:
        TopologyError: the store is of a kind that cannot be read.
        SerializationError: the key is none of the store.
    """
    if spec.kind in ("suppress", "custom"):
        raise unreadable(spec)
    keys = TypedKeys[Any](spec, application_id)
    wanted = None if key is None else keys.to_bytes(key)
    codec = ValueCodec(spec.value, f"{application_id}-{spec.changelog_topic}", spec.name)
    is_span = spec.kind in ("window", "session")
    layout = layout_of(spec) if is_span else None
    suffix = 0 if layout is None else layout.suffix.size
    # Of a table's own topic, whose producers may write the same key otherwise.
    own = spec.source_topic
    settle_key = None if own is None else spec.key.settler(own)
    settle_value = None if own is None else spec.value.settler(own)

    def opened(data: bytes, value: bytes | None, timestamp: int, headers: Headers) -> Change | None:
        row_key = data[: len(data) - suffix]
        try:
            if settle_key is not None:
                row_key = settle_key(row_key, headers)
            if settle_value is not None and value is not None:
                value = settle_value(value, headers)
        except SerializationError:
            return None
        if len(data) < suffix or (wanted is not None and row_key != wanted):
            return None
        try:
            found: Any = keys.to_key(row_key)
            shown = None if value is None else codec.to_value(value)
        except SerializationError:
            return None  # of whoever else writes into a table's own topic: the application drops it too
        if layout is not None:
            time, rest = cast("tuple[int, int]", layout.suffix.unpack_from(data, len(data) - suffix))
            window = Window(rest, time)
            if spec.kind == "window":
                window = Window(time, min(time + (spec.size_ms or 0), TIMESTAMP_MAX))
            found = Windowed(found, window)
        if shown is not None and isinstance(spec.value, RowSerde):
            shown = spec.value.result(shown)
        if shown is not None and spec.stamped:
            shown = Stamped(shown, timestamp, headers)
        return Change(found, shown, timestamp)

    return opened
