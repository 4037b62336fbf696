"""A processor by itself."""

from collections.abc import Iterator

import pytest

import headrace as hr
from headrace import stores
from headrace.base.errors import StateError, TopologyError
from headrace.testing import Forwarded, MockProcessorContext

SEEN = stores.key_value("seen", key=str, value=int)


class Changes(hr.Processor[str, int, str, int]):
    """Sends on what differs from the value before; asks for a commit with each minute of stream time."""

    stores = (SEEN,)

    def init(self) -> None:
        self.seen = self.context.store(SEEN)
        self.minute = self.context.schedule("1m", self.end_minute, on="stream")

    def process(self, record: hr.Record[str, int]) -> Iterator[hr.Record[str, int]]:
        if self.seen.get(record.key) != record.value:
            self.seen.put(record.key, record.value)
            yield record

    def end_minute(self, now: int) -> None:
        metadata = self.context.metadata
        self.context.forward(hr.Record("minute", now if metadata is None else -1, now), to="minutes")
        self.context.request_commit()


def test_records_that_are_yielded_are_written_down() -> None:
    with MockProcessorContext(Changes) as mock:
        for value in (1, 1, 2):
            mock.process(hr.Record("a", value, 5, (("h", b"x"),)))
        assert mock.forwarded == [
            Forwarded(hr.Record("a", 1, 5, (("h", b"x"),))),
            Forwarded(hr.Record("a", 2, 5, (("h", b"x"),))),
        ]


def test_stores_are_those_of_the_processor_and_can_be_filled_and_read() -> None:
    with MockProcessorContext(Changes) as mock:
        mock.store(SEEN).put("a", 1)
        mock.process(hr.Record("a", 1))
        mock.process(hr.Record("b", 7))
        assert [each.record.key for each in mock.forwarded] == ["b"]
        assert mock.store(SEEN).get("b") == 7


def test_punctuation_runs_when_the_test_says_so_and_without_a_record() -> None:
    with MockProcessorContext(Changes) as mock:
        mock.set_metadata("in", 0, 3)
        (minute,) = mock.scheduled
        assert (minute.interval_ms, minute.on, minute.start_ms) == (60_000, "stream", None)
        minute.punctuate(60_000)
        assert mock.forwarded == [Forwarded(hr.Record("minute", 60_000, 60_000), "minutes")]
        assert mock.commit_requested


def test_cancelled_punctuation_is_marked() -> None:
    class Once(Changes):
        def end_minute(self, now: int) -> None:
            self.minute.cancel()

    with MockProcessorContext(Once) as mock:
        mock.scheduled[0].punctuate(1)
        assert mock.scheduled[0].is_cancelled


def test_context_says_what_the_test_has_set() -> None:
    class Where(hr.FixedKeyProcessor[str, int, str]):
        def process(self, record: hr.Record[str, int]) -> Iterator[str]:
            context = self.context
            assert context.metadata is not None
            names = f"{context.application_id} {context.task_id} {context.metadata.topic}"
            yield f"{names} {context.stream_time} {context.wall_time}"

    with MockProcessorContext(Where, application_id="shop", task_id=(1, 2)) as mock:
        mock.set_metadata("orders", 2, 9)
        mock.set_stream_time(500)
        mock.advance("3s")
        mock.process(hr.Record("a", 1, 40))
        assert mock.forwarded[0].record == hr.Record("a", "shop 1_2 orders 500 3000", 40)


def test_function_with_stores_is_a_processor_too() -> None:
    @hr.processor(SEEN)
    def total(
        record: hr.Record[str, int], seen: hr.stores.KeyValueStore[str, int]
    ) -> list[hr.Record[str, int]]:
        sum_so_far = (seen.get(record.key) or 0) + record.value
        seen.put(record.key, sum_so_far)
        return [record.with_value(sum_so_far)]

    with MockProcessorContext(total) as mock:
        mock.process(hr.Record("a", 1))
        mock.process(hr.Record("a", 2))
        assert [each.record.value for each in mock.forwarded] == [1, 3]


def test_what_the_processor_raises_comes_out() -> None:
    class Fails(hr.Processor[str, int, str, int]):
        def process(self, record: hr.Record[str, int]) -> None:
            raise LookupError(record.key)

    with MockProcessorContext(Fails) as mock, pytest.raises(LookupError, match="a"):
        mock.process(hr.Record("a", 1))


def test_store_that_nobody_has_declared_is_told() -> None:
    class Asks(hr.Processor[str, int, str, int]):
        def init(self) -> None:
            self.context.store("other")

        def process(self, record: hr.Record[str, int]) -> None:
            pass

    mock = MockProcessorContext(Asks)
    with pytest.raises(
        TopologyError, match=r"no store 'other': give its declaration to MockProcessorContext"
    ):
        mock.__enter__()


def test_processor_is_closed_in_the_end_and_forwards_no_more() -> None:
    closed: list[bool] = []

    class Closes(Changes):
        def close(self) -> None:
            closed.append(True)

    with MockProcessorContext(Closes) as mock:
        pass
    assert closed == [True]
    with pytest.raises(StateError, match="is closed"):
        mock.scheduled[0].punctuate(0)
