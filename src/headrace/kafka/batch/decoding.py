"""One partition's bytes to columns: the decoder in Python, for where the compiled one is missing.

Cost: about 2 µs a record. It accepts and refuses exactly what `native/src/decoding.rs` does, which a test compares.
"""

from collections.abc import Sequence

from headrace.base.records import NO_HEADERS, Headers
from headrace.kafka.batch.compression import COMPRESSIONS, CompressionError, ExpansionError, decompress
from headrace.kafka.batch.layout import (
    BYTES_MAX,
    COMPRESSION_MASK,
    CONTROL,
    LOG_APPEND_TIME,
    TRANSACTIONAL,
    Decoded,
    ExpandedBatchError,
    StoredBatch,
    batches,
    corrupt,
)

__all__ = ["decode"]

#: Whatever is asked for, one batch may always hold so much, or so many times its compressed size: text shrinks to a
#: tenth.
_EXPANSION_BYTES_MIN, _EXPANSION_MAX = 1 << 20, 16

_CUT_OFF = "it ends within a field"
_NEGATIVE_LENGTH = "it has a negative length"
_OUT_OF_ORDER = "its offset is out of order"
_TOO_LONG = "it has a number that is too long"
_WRONG_LENGTH = "it is longer or shorter than its fields"

_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1


class _Flaw(Exception):  # noqa: N818 - becomes a CodecError that says where
    """What is wrong with a record."""


class _Aborted:
    """Which producers' transactions are aborted at the walk's present place.

    Source: `CompletedFetch` of Kafka's consumer: a range opens at its first offset, and closes at an abort marker.
    """

    def __init__(self, aborted: Sequence[tuple[int, int]]) -> None:
        self._waiting = sorted(((first, producer) for producer, first in aborted), reverse=True)
        self._open: set[int] = set()

    def leaves_out(self, batch: StoredBatch) -> bool:
        """Say whether a batch is left out; a marker is, and may end a range."""
        if batch.producer_id < 0:
            return False
        while self._waiting and self._waiting[-1][0] <= batch.last_offset:
            self._open.add(self._waiting.pop()[1])
        if batch.attributes & CONTROL:
            if _is_abort_marker(batch):
                self._open.discard(batch.producer_id)
            return True
        return bool(batch.attributes & TRANSACTIONAL) and batch.producer_id in self._open


class _Columns:
    """What has been decoded so far."""

    def __init__(self, fetch_offset: int) -> None:
        self.fetch_offset = fetch_offset
        self.offsets: list[int] = []
        self.timestamps: list[int] = []
        self.keys: list[bytes | None] = []
        self.values: list[bytes | None] = []
        self.headers: list[Headers] | None = None
        self.size_bytes = 0
        self.names: dict[bytes, str] = {}

    def add_headers(self, headers: Headers) -> None:
        """Add the headers of the row whose key was added last; the rows before the first ones have none."""
        if self.headers is None:
            self.headers = [NO_HEADERS] * (len(self.keys) - 1)
        self.headers.append(headers)

    def add_times(self, batch: StoredBatch, timestamps: list[int], deltas: list[int]) -> None:
        """Add the timestamps and offsets of a batch's rows."""
        if deltas and deltas[-1] > batch.last_offset - batch.base_offset:
            raise _Flaw(_OUT_OF_ORDER)
        if batch.attributes & LOG_APPEND_TIME:
            timestamps = [batch.max_timestamp] * len(deltas)
        elif timestamps and (min(timestamps) < _INT64_MIN or max(timestamps) > _INT64_MAX):
            raise _Flaw("its timestamp has more than 64 bits")
        self.timestamps += timestamps
        base_offset = batch.base_offset
        self.offsets += [base_offset + delta for delta in deltas]


def decode(
    data: bytes | bytearray | memoryview,
    fetch_offset: int,
    aborted: Sequence[tuple[int, int]] | None = None,
    bytes_max: int = BYTES_MAX,
) -> Decoded:
    """Decode what one partition's bytes hold from `fetch_offset` on, until `bytes_max` are decompressed.

    Raises:
        CodecError: some complete batch is damaged.
        ExpandedBatchError: the first batch alone holds too much.
    """
    columns = _Columns(fetch_offset)
    ranges = None if aborted is None else _Aborted(aborted)
    position = fetch_offset
    held = 0
    for batch in batches(data if isinstance(data, bytes) else bytes(data)):
        batch.verify()
        is_left_out = ranges is not None and ranges.leaves_out(batch)
        is_empty = batch.attributes & CONTROL or batch.last_offset < fetch_offset or not batch.record_count
        if not is_left_out and not is_empty:
            payload = _alone(batch, bytes_max) if held == 0 else _within(batch, max(0, bytes_max - held))
            if payload is None:
                break
            held += len(payload)
            _add(columns, batch, payload)
        position = max(position, batch.last_offset + 1)
    offsets: Sequence[int] = columns.offsets
    if not offsets:
        offsets = range(fetch_offset, fetch_offset)
    elif offsets[-1] - offsets[0] == len(offsets) - 1:
        offsets = range(offsets[0], offsets[-1] + 1)  # they ascend: _add sees to it
    return Decoded(
        offsets,
        columns.timestamps,
        columns.keys,
        columns.values,
        columns.headers,
        position,
        columns.size_bytes,
    )


def _alone(batch: StoredBatch, bytes_max: int) -> bytes:
    """Decompress a batch that nothing came before."""
    compression = batch.attributes & COMPRESSION_MASK
    most = max(bytes_max, _EXPANSION_BYTES_MIN, _EXPANSION_MAX * len(batch.records))
    try:
        return decompress(compression, batch.records, most)
    except CompressionError as error:
        raise corrupt(batch.base_offset, str(error)) from None
    except ExpansionError:
        raise ExpandedBatchError(
            f"cannot decode the record batch at offset {batch.base_offset}: {COMPRESSIONS[compression]}: it holds more "
            f"than {most} bytes, which is more than one fetch may bring (fetch.max.bytes), and 16 times its compressed "
            f"size"
        ) from None


def _within(batch: StoredBatch, bytes_max: int) -> bytes | None:
    """Decompress a batch that others came before; None where it holds more than is left for it."""
    try:
        payload = decompress(batch.attributes & COMPRESSION_MASK, batch.records, bytes_max)
    except CompressionError as error:
        raise corrupt(batch.base_offset, str(error)) from None
    except ExpansionError:
        return None
    return payload if len(payload) <= bytes_max else None


def _is_abort_marker(batch: StoredBatch) -> bool:
    """Say whether the first record's key (version, type: two bytes each) is of type 0, abort."""
    if not batch.record_count:
        return False
    try:
        key = _first_key(_alone(batch, 0))
    except IndexError:
        raise corrupt(batch.base_offset, _CUT_OFF) from None
    except _Flaw as flaw:
        raise corrupt(batch.base_offset, str(flaw)) from None
    if key is None or len(key) < 4 or key[0] > 127:
        raise corrupt(batch.base_offset, "the key of its control record is none")
    return key[2:4] == b"\0\0"


def _first_key(payload: bytes) -> bytes | None:
    length, at = _number(payload, 0, 5)
    record = payload[at : at + length]
    if length < 0 or len(record) < length:
        raise _Flaw(_CUT_OFF)
    _timestamp_delta, at = _number(record, 1, 10)
    _offset_delta, at = _number(record, at, 5)
    key, at = _nullable(record, at)
    _value, at = _nullable(record, at)
    headers, at = _number(record, at, 5)
    if headers < 0 or (headers == 0 and at != length):
        raise _Flaw(_WRONG_LENGTH)
    return key


def _add(columns: _Columns, batch: StoredBatch, payload: bytes) -> None:
    """Add the records of a batch from the fetch's offset on."""
    try:
        end = _read(columns, batch, payload)
    except IndexError:
        raise corrupt(batch.base_offset, f"a record of {batch.record_count}: {_CUT_OFF}") from None
    except _Flaw as flaw:
        raise corrupt(batch.base_offset, f"a record of {batch.record_count}: {flaw}") from None
    if end != len(payload):
        raise corrupt(
            batch.base_offset, f"{len(payload) - end} bytes follow its {batch.record_count} records"
        )


def _read(columns: _Columns, batch: StoredBatch, payload: bytes) -> int:  # noqa: PLR0915 - a call a field would double its cost
    """Read a batch's records into the columns; return where they end.

    Where a field is cut off, either an index fails further on, or the record does not end where its length says.
    """
    timestamps: list[int] = []
    deltas: list[int] = []
    first = columns.fetch_offset - batch.base_offset
    base_timestamp = batch.base_timestamp
    add_key, add_value = columns.keys.append, columns.values.append
    next_delta = at = skipped = 0
    for _ in range(batch.record_count):
        raw = payload[at]
        at += 1
        if raw > 127:
            raw, at = _continued(payload, at, raw, 5)
        end = -1 if raw & 1 else at + (raw >> 1)
        raw = payload[at + 1]  # behind the attributes, of which none is in use
        at += 2
        if raw > 127:
            raw, at = _continued(payload, at, raw, 10)
        timestamp = base_timestamp + ((raw >> 1) ^ -(raw & 1))
        raw = payload[at]
        at += 1
        if raw > 127:
            raw, at = _continued(payload, at, raw, 5)
        delta = raw >> 1
        if raw & 1 or delta < next_delta:
            raise _Flaw(_OUT_OF_ORDER)
        next_delta = delta + 1
        raw = payload[at]
        at += 1
        if raw > 127:
            raw, at = _continued(payload, at, raw, 5)
        start = at
        at += raw >> 1
        key = _null(raw) if raw & 1 else payload[start:at]
        raw = payload[at]
        at += 1
        if raw > 127:
            raw, at = _continued(payload, at, raw, 5)
        start = at
        at += raw >> 1
        value = _null(raw) if raw & 1 else payload[start:at]
        if payload[at]:
            headers, at = _headers(columns, payload, at, end)
        else:
            headers = NO_HEADERS
            at += 1
        if at != end:
            raise _Flaw(_WRONG_LENGTH)
        if delta >= first:
            add_key(key)
            add_value(value)
            timestamps.append(timestamp)
            deltas.append(delta)
            if headers or columns.headers is not None:
                columns.add_headers(headers)
        else:
            skipped = at
    columns.size_bytes += at - skipped
    columns.add_times(batch, timestamps, deltas)
    return at


def _continued(data: bytes, at: int, raw: int, bytes_max: int) -> tuple[int, int]:
    """Return a number whose first byte, `raw`, says that it has more, before zigzag; and where it ends."""
    more = data[at]
    if more < 128:
        return raw + (more << 7) - 128, at + 1
    raw &= 127
    for shift in range(7, 7 * bytes_max, 7):
        more = data[at]
        at += 1
        raw |= (more & 127) << shift
        if more < 128:
            if raw >> (32 if bytes_max == 5 else 64):
                break
            return raw, at
    raise _Flaw(_TOO_LONG)


def _number(data: bytes, at: int, bytes_max: int) -> tuple[int, int]:
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = _continued(data, at, raw, bytes_max)
    return (raw >> 1) ^ -(raw & 1), at


def _nullable(data: bytes, at: int) -> tuple[bytes | None, int]:
    length, at = _number(data, at, 5)
    if length == -1:
        return None, at
    if length < 0:
        raise _Flaw(_NEGATIVE_LENGTH)
    end = at + length
    if end > len(data):
        raise _Flaw(_CUT_OFF)
    return data[at:end], end


def _null(raw: int) -> bytes | None:
    """Return None for a length of -1, which is 1 before zigzag: no other negative one means anything."""
    if raw != 1:
        raise _Flaw(_NEGATIVE_LENGTH)
    return None


def _headers(columns: _Columns, data: bytes, at: int, end: int) -> tuple[Headers, int]:
    """Return the headers, and where they end."""
    count, at = _number(data, at, 5)
    if count < 0 or count > (end - at) // 2:
        raise _Flaw("it has a number of headers that cannot be")
    names = columns.names
    headers: list[tuple[str, bytes | None]] = []
    for _ in range(count):
        name, at = _nullable(data, at)
        if name is None:
            raise _Flaw(_NEGATIVE_LENGTH)
        value, at = _nullable(data, at)
        text = names.get(name)
        if text is None:
            # Malformed UTF-8 is replaced, as Java does, so that it stops nobody.
            text = names.setdefault(name, name.decode(errors="replace"))
        headers.append((text, value))
    return tuple(headers), at
