"""Which updates suppression judges by their change records, and which are clear at a glance."""

from collections.abc import Sequence
from typing import Any

from headrace.base.columns import Columns
from headrace.base.ids import Location, TaskId
from headrace.processor.context import TaskContext
from headrace.serde.primitives import string
from headrace.state.buffer.suppress import SuppressBuffer
from headrace.state.memory import MemoryDatabase
from headrace.state.port import ChangelogAdmission
from headrace.state.spec import StoreSpec
from headrace.state.values import ValueCodec

SPEC = StoreSpec("s", "suppress", True, string, string, "memory", False, True, Location("test.py", 1))


class Topic:
    """Takes values of so many bytes, until an hour from `now_ms`; knows which it was asked about."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.now_ms = 1_000
        self.judged: list[bytes] = []

    def check(self, key: bytes, value: bytes | None, timestamp: int) -> None:
        self.judged.append(key)

    def admits_all(self, keys: Sequence[Any], values: Sequence[Any], timestamps: Sequence[int]) -> bool:
        return all(len(value) <= self.bytes_max for value in values)

    def horizon(self) -> int:
        return self.now_ms + 3_600_000


def held_by(topic: Topic) -> SuppressBuffer:
    context = TaskContext("app", TaskId(0, 0), lambda: topic.now_ms)
    context.enter()
    admission = ChangelogAdmission(topic.check, topic.admits_all, topic.horizon)
    codec = ValueCodec(string, "changelog", "s")
    buffer = SuppressBuffer(SPEC, MemoryDatabase(), Columns(), codec, context, admission)
    buffer.load()
    return buffer


def test_small_updates_are_judged_once_an_hour() -> None:
    topic = Topic(1 << 20)
    buffer = held_by(topic)
    for key in (b"a", b"b"):
        buffer.put(key, 5, "new", "old", 5, ())
    topic.now_ms += 3_600_001
    for key in (b"c", b"d"):
        buffer.put(key, 5, "new", "old", 5, ())
    assert topic.judged == [b"a", b"c"]


def test_large_updates_and_those_with_headers_are_judged_each_time() -> None:
    topic = Topic(8_192)
    buffer = held_by(topic)
    buffer.put(b"a", 5, "new", None, 5, ())
    buffer.put(b"b", 5, "n" * 7_300, None, 5, ())
    buffer.put(b"c", 5, "new", None, 5, (("h", b""),))
    buffer.put(b"d", 5, "n" * 4_000, "o" * 3_300, 5, ())
    buffer.put(b"e", 5, "n" * 4_000, "o" * 2_000, 5, ())
    assert topic.judged == [b"a", b"b", b"c", b"d"]


def test_a_topic_that_takes_little_is_asked_each_time() -> None:
    topic = Topic(1_000)
    buffer = held_by(topic)
    for key in (b"a", b"b"):
        buffer.put(key, 5, "new", None, 5, ())
    assert topic.judged == [b"a", b"b"]


def test_an_abort_has_them_judged_anew() -> None:
    topic = Topic(1 << 20)
    buffer = held_by(topic)
    buffer.put(b"a", 5, "new", None, 5, ())
    buffer.forget()
    buffer.load()
    buffer.put(b"b", 5, "new", None, 5, ())
    assert topic.judged == [b"a", b"b"]
