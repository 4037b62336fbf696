"""How a sink becomes code: serialise, choose the partition, append to the task's columns."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from headrace.base.callables import unstarted
from headrace.base.columns import Stretch
from headrace.base.errors import (
    HeadraceError,
    InvalidTopicError,
    ProductionError,
    SerializationError,
    UnknownTopicError,
)
from headrace.base.interrupts import is_interrupt
from headrace.base.records import Headers
from headrace.base.topic_names import topic_name_problem
from headrace.engine.collector import RecordCollector, check_partition
from headrace.processor.context import TaskContext
from headrace.serde.serde import Serde, ensure_bytes
from headrace.serde.windowed import WindowedSerde
from headrace.topology.nodes import SinkNode
from headrace.topology.partitioners import ToldByValue, asking
from headrace.topology.wiring import Failed, Forward, ForwardStretch

__all__ = ["compile_sink"]

#: Counts a record that goes nowhere, and warns of it; told why.
Drop: TypeAlias = Callable[[str], None]


def compile_sink(
    node: SinkNode,
    *,
    full_name: Callable[[str], str],
    collector: RecordCollector,
    context: TaskContext,
    failed: Failed,
    refused: Failed,
    drop: Drop,
) -> tuple[Forward, ForwardStretch | None]:
    """Make a sink's closure, and what takes a stretch, where the user's functions have no say in it.

    `failed` gets what the user's functions raise, `refused` what the serdes or the log refuse, and partitions that
    there are not, `drop` the reason why a record goes nowhere.
    """
    if not isinstance(node.topic, str):
        return _to_chosen_topic(node, node.topic, collector, context, failed, refused, drop), None
    topic = full_name(node.topic)
    run = _to_topic(node, topic, collector, failed, refused, drop)
    return run, _stretch_to_topic(node, topic, collector, context, run)


def _to_topic(
    node: SinkNode, topic: str, collector: RecordCollector, failed: Failed, refused: Failed, drop: Drop
) -> Forward:
    encode = _encoder(node, topic)
    count = collector.partition_count(topic)
    admission = collector.admission(topic)
    if count == 1 and node.partitioner is None and not (_uses_headers(node) or _changes_headers(node)):
        return _to_only_partition(node, topic, collector, refused)
    choose = _chooser(node, topic, collector, count)
    partitions = collector.columns_of(topic, count)

    def run(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        try:
            key_bytes, value_bytes, headers = encode(key, value, headers)
        except BaseException as error:  # the serde's; the production handler decides
            refused(_in_words(node, topic, key, value, headers, error), key, value, timestamp, headers)
            return
        try:
            chosen = choose(key, value, key_bytes, headers)
            if admission is not None:
                for partition in chosen:
                    admission.check(partition, key_bytes, value_bytes, timestamp, headers)
        except ProductionError as error:
            refused(error, key, value, timestamp, headers)
            return
        except BaseException as error:  # the partitioner's own
            failed(error, key, value, timestamp, headers)
            return
        if not chosen:
            drop("the partitioner chose no partition")
        for partition in chosen:
            partitions[partition].append(key_bytes, value_bytes, timestamp, headers)

    return run


def _to_only_partition(node: SinkNode, topic: str, collector: RecordCollector, refused: Failed) -> Forward:
    # The usual case on a laptop and the cheapest: 0.3 us a record, because nothing is looked up.
    columns = collector.columns(topic, 0)
    add_key, add_value = columns.keys.append, columns.values.append
    add_timestamp, add_headers = columns.timestamps.append, columns.headers.append
    serialize_key, serialize_value = node.key.serializer(topic), node.value.serializer(topic)
    admission = collector.admission(topic)
    check = None if admission is None else admission.check
    # What is clear at a glance costs no call. Both are looked at anew when nodes are: after each refusal of the log.
    horizon, bytes_max = (-2, 0) if admission is None else (admission.horizon(), admission.bytes_max)

    def run(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        nonlocal horizon
        try:
            key_bytes = None if key is None else serialize_key(key)
            value_bytes = None if value is None else serialize_value(value)
            if check is not None and (
                timestamp > horizon
                or key_bytes is None
                or value_bytes is None
                or len(key_bytes) > bytes_max
                or len(value_bytes) > bytes_max
            ):
                check(0, key_bytes, value_bytes, timestamp, headers)
                if timestamp > horizon and admission is not None:
                    horizon = admission.horizon()
        except BaseException as error:  # the serde's, or the topic takes no such record
            refused(_in_words(node, topic, key, value, headers, error), key, value, timestamp, headers)
            return
        add_key(key_bytes)
        add_value(value_bytes)
        add_timestamp(timestamp)
        add_headers(headers)

    return run


def _stretch_to_topic(
    node: SinkNode, topic: str, collector: RecordCollector, context: TaskContext, run: Forward
) -> ForwardStretch | None:
    """Make what writes a stretch column by column; if one record is refused, they go through `run`, one by one."""
    told = node.partitioner
    if _uses_headers(node) or _writes_headers(node) or not (told is None or isinstance(told, ToldByValue)):
        return None
    changes_headers = _changes_headers(node)
    count = collector.partition_count(topic)
    admission = collector.admission(topic)
    # Where keys choose partitions, their bytes are hashed.
    to_keys = _column_encoder(node.key, topic, takes_text=collector.takes_text and count == 1)
    to_values = _column_encoder(node.value, topic, takes_text=collector.takes_text)
    add = _adding_where_told(topic, collector, told) if told is not None else _adding(node, topic, collector)

    def one_by_one(stretch: Stretch) -> None:
        for key, value, timestamp, headers, context.offset in stretch.records():
            run(key, value, timestamp, headers)

    def together(stretch: Stretch) -> None:
        if changes_headers and any(stretch.headers):
            one_by_one(stretch)
            return
        try:
            keys, key_bytes = to_keys(stretch.keys)
            values, value_bytes = to_values(stretch.values)
        except BaseException as error:  # found again by `run`, whose handler decides
            if is_interrupt(error):
                raise
            one_by_one(stretch)
            return
        if (
            admission is not None
            and not admission.admits_all(
                keys, values, stretch.timestamps, key_bytes=key_bytes, value_bytes=value_bytes
            )
        ) or not add(keys, values, stretch):
            one_by_one(stretch)

    return together


#: Adds a stretch by its columns as they are written; False where it cannot, and has added nothing.
_Add: TypeAlias = Callable[[Sequence[Any], Sequence[Any], Stretch], bool]


def _adding(node: SinkNode, topic: str, collector: RecordCollector) -> _Add:
    """Make what adds records where their keys belong."""
    count = collector.partition_count(topic)
    columns, rows = collector.columns_of(topic, count)[0], collector.appends_of(topic, count)
    partition_of, window_of = collector.partition_of, _window_of(node)

    def to_only_one(keys: Sequence[Any], values: Sequence[Any], stretch: Stretch) -> bool:
        columns.extend(keys, values, stretch.timestamps, stretch.headers)
        return True

    def by_key(keys: Sequence[Any], values: Sequence[Any], stretch: Stretch) -> bool:
        for key, value, timestamp, headers in zip(keys, values, stretch.timestamps, stretch.headers):
            placing = key if window_of is None or key is None else key[: -window_of(key)[0]]
            add_key, add_value, add_timestamp, add_headers = rows[partition_of(topic, placing, count)]
            add_key(key)
            add_value(value)
            add_timestamp(timestamp)
            add_headers(headers)
        return True

    return to_only_one if count == 1 else by_key


def _adding_where_told(topic: str, collector: RecordCollector, told: ToldByValue) -> _Add:
    """Make what adds records to the partitions that their values tell, or where their keys belong."""
    count = collector.partition_count(topic)
    columns, partition_of = collector.columns_of(topic, count), collector.partition_of

    def add(keys: Sequence[Any], values: Sequence[Any], stretch: Stretch) -> bool:
        chosen = list(map(told.partition, stretch.values))
        if not all(each is None or 0 <= each < count for each in dict.fromkeys(chosen)):
            return False
        if count == 1:
            columns[0].extend(keys, values, stretch.timestamps, stretch.headers)
            return True
        for key, value, timestamp, headers, partition in zip(
            keys, values, stretch.timestamps, stretch.headers, chosen
        ):
            at = partition_of(topic, key, count) if partition is None else partition
            columns[at].append(key, value, timestamp, headers)
        return True

    return add


#: Makes what is written of a column, and says how many bytes it has together if it stays text.
_ColumnEncoder: TypeAlias = Callable[[Sequence[Any]], tuple[Sequence[Any], int | None]]


def _column_encoder(serde: Serde[Any], topic: str, *, takes_text: bool) -> _ColumnEncoder:
    serialize = serde.serializer(topic)

    def to_bytes(column: Sequence[Any]) -> tuple[list[bytes | None], None]:
        return [None if part is None else serialize(part) for part in column], None

    def to_text(column: Sequence[Any]) -> tuple[Sequence[Any], int | None]:
        # What is not ASCII, the writer would have to make bytes of, too.
        size_bytes = _ascii_bytes(column)
        return to_bytes(column) if size_bytes is None else (column, size_bytes)

    return to_text if takes_text and serde.is_text else to_bytes


def _ascii_bytes(column: Sequence[Any]) -> int | None:
    """Return how many bytes a column of text has together; None if not all of it is text in ASCII, or None."""
    try:
        together = "".join(column)  # known to be ASCII or not, and nothing tells as fast
    except TypeError:
        try:
            together = "".join([part for part in column if part is not None])
        except TypeError:
            return None
    return len(together) if together.isascii() else None


def _to_chosen_topic(
    node: SinkNode,
    choose: Callable[[Any, Any, Any], str],
    collector: RecordCollector,
    context: TaskContext,
    failed: Failed,
    refused: Failed,
    drop: Drop,
) -> Forward:
    routes: dict[str, Forward] = {}

    def run(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        try:
            topic = choose(key, value, context.metadata)
            route = routes.get(topic) if isinstance(topic, str) else None
            if route is None and (problem := topic_name_problem(topic)) is not None:
                raise ValueError(f"the topic that the function chose, {topic!r}, {problem}")
        except BaseException as error:  # the user's function
            failed(error, key, value, timestamp, headers)
            return
        if route is None:
            try:
                # A plain text: the member of an enumeration may be one as well.
                route = _to_topic(node, str.__str__(topic), collector, failed, refused, drop)
            except (InvalidTopicError, UnknownTopicError) as error:
                refused(error, key, value, timestamp, headers)
                return
            routes[topic] = route
        route(key, value, timestamp, headers)

    return run


def _in_words(
    node: SinkNode, topic: str, key: Any, value: Any, headers: Headers, error: BaseException
) -> BaseException:
    """The error as the serde words it: what `serializer` raises is raw, so that it can be quick."""
    if isinstance(error, HeadraceError) or not isinstance(error, Exception):
        return error
    late = unstarted(key) or unstarted(value)
    if late is not None:
        return SerializationError(f"cannot write a record to topic '{topic}': {late}")
    try:
        if key is not None:
            node.key.serialize(topic, key, headers)
        if value is not None:
            node.value.serialize(topic, value, headers)
    except Exception as worded:
        return worded
    return error


def _uses_headers(node: SinkNode) -> bool:
    return node.key.uses_headers or node.value.uses_headers


def _writes_headers(node: SinkNode) -> bool:
    return node.key.writes_headers or node.value.writes_headers


def _changes_headers(node: SinkNode) -> bool:
    # Headers go on with what is made of a record. Those in which a serde looks when it reads tell of the record that
    # came in, and are wrong for what it writes itself.
    return _writes_headers(node) or node.key.reads_headers or node.value.reads_headers


_Encode: TypeAlias = Callable[[Any, Any, Headers], tuple[bytes | None, bytes | None, Headers]]


def _encoder(node: SinkNode, topic: str) -> _Encode:
    if _uses_headers(node):
        return _encoder_with_headers(node, topic)
    serialize_key, serialize_value = node.key.serializer(topic), node.value.serializer(topic)

    def encode(key: Any, value: Any, headers: Headers) -> tuple[bytes | None, bytes | None, Headers]:
        return (
            None if key is None else serialize_key(key),
            None if value is None else serialize_value(value),
            headers,
        )

    if not _changes_headers(node):
        return encode
    changing, always = _encoder_with_headers(node, topic), _writes_headers(node)
    return lambda key, value, headers: (changing if headers or always else encode)(key, value, headers)


def _encoder_with_headers(node: SinkNode, topic: str) -> _Encode:
    def encode(key: Any, value: Any, headers: Headers) -> tuple[bytes | None, bytes | None, Headers]:
        key_bytes = value_bytes = None
        if key is not None:
            key_bytes, headers = node.key.serialize_with_headers(topic, key, headers)
            ensure_bytes(node.key, topic, key_bytes)
        if value is not None:
            value_bytes, headers = node.value.serialize_with_headers(topic, value, headers)
            ensure_bytes(node.value, topic, value_bytes)
        return key_bytes, value_bytes, headers

    return encode


def _window_of(node: SinkNode) -> Callable[[bytes], tuple[int, Any]] | None:
    # A windowed key is placed by its inner key alone, so that all windows of a key share a partition (Kafka's
    # WindowedStreamPartitioner); the window stands at the end of the bytes.
    return node.key.window_of if isinstance(node.key, WindowedSerde) else None


def _chooser(
    node: SinkNode, topic: str, collector: RecordCollector, count: int
) -> Callable[[Any, Any, bytes | None, Headers], Sequence[int]]:
    """Make what chooses the partitions of a record, by its key or as the user's partitioner says."""
    window_of = _window_of(node)
    partitioner = node.partitioner

    def by_key(key_bytes: bytes | None) -> Sequence[int]:
        if window_of is not None and key_bytes is not None:
            key_bytes = key_bytes[: -window_of(key_bytes)[0]]
        return (collector.partition_of(topic, key_bytes, count),)

    if partitioner is None:
        return lambda key, value, key_bytes, headers: by_key(key_bytes)
    ask = asking(partitioner, topic, count)

    def by_user(key: Any, value: Any, key_bytes: bytes | None, headers: Headers) -> Sequence[int]:
        chosen = ask(key, value, headers)
        if chosen is None:
            return by_key(key_bytes)
        if type(chosen) is int and 0 <= chosen < count:  # what most answer; to look for several takes 1 µs
            return (chosen,)
        if isinstance(chosen, Iterable):
            return sorted({check_partition(topic, one, count) for one in chosen})
        return (check_partition(topic, chosen, count),)

    return by_user
