"""What a worker writes, in the order in which it is handed to the writer."""

from collections.abc import Mapping

import pytest

from headrace.base.columns import Columns
from headrace.base.ids import TopicPartition
from headrace.engine.collector import RecordCollector
from headrace.log.membership import MemberIdentity
from headrace.log.port import CommittedOffset, TopicInfo, Writer


class _Recording:
    """Takes everything, and remembers in which order; `|` is a barrier."""

    pending_bytes = 0
    takes_text = False

    def __init__(self, *, is_atomic: bool) -> None:
        self.is_atomic = is_atomic
        self.handed: list[str] = []

    def append(self, topic: str, partition: int, columns: Columns) -> None:
        self.handed.append(f"{topic} {len(columns)}")

    def barrier(self) -> None:
        self.handed.append("|")

    def commit(
        self, offsets: Mapping[TopicPartition, CommittedOffset], member: MemberIdentity | None = None
    ) -> Mapping[TopicPartition, int]:
        return {}

    def send(self) -> None: ...
    def abort(self) -> None: ...
    def close(self) -> None: ...


@pytest.fixture
def collector() -> RecordCollector:
    return RecordCollector(lambda topic: TopicInfo(topic, 1, "id"), lambda: 0)


def fill(columns: Columns, count: int) -> None:
    for _ in range(count):
        columns.append(b"k", b"v", 0, ())


def test_changes_are_durable_after_the_output_that_was_made_before_them(collector: RecordCollector) -> None:
    """What was held back and is let go is deleted: a crash between would leave neither."""
    writer: Writer = (recording := _Recording(is_atomic=False))
    fill(collector.changelog_columns("changes", 0), 2)
    fill(collector.columns("out", 0), 1)
    collector.drain(writer)
    assert recording.handed == ["out 1", "|", "changes 2"]


@pytest.mark.parametrize(
    ("is_atomic", "handed"), [(True, ["changes 6000"]), (False, ["out 1", "|", "changes 6000"])]
)
def test_long_changelog_takes_the_output_before_it_along_where_no_transaction_holds_them_together(
    collector: RecordCollector, is_atomic: bool, handed: list[str]
) -> None:
    writer: Writer = (recording := _Recording(is_atomic=is_atomic))
    fill(collector.columns("out", 0), 1)
    fill(collector.changelog_columns("changes", 0), 6_000)
    collector.drain_long(writer, 6_000)
    assert recording.handed == handed


def test_long_output_goes_out_by_itself(collector: RecordCollector) -> None:
    writer: Writer = (recording := _Recording(is_atomic=False))
    fill(collector.columns("out", 0), 6_000)
    fill(collector.changelog_columns("changes", 0), 1)
    collector.drain_long(writer, 6_000)
    assert recording.handed == ["out 6000"]
