"""Topics that a function chooses: made together before records go out, and one by one where something is wrong."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import headrace as hr
from headrace import testing
from headrace.base.errors import InvalidTopicError, ProcessingError, TransactionAbortedError
from headrace.engine.written_topics import WrittenTopics
from headrace.log.embedded.log import EmbeddedLog
from headrace.log.memory import MemoryLog
from headrace.log.port import TopicSpec


@pytest.fixture
def log() -> Iterator[MemoryLog]:
    yield MemoryLog()


def test_chosen_topics_are_made_together_in_the_order_of_their_choice(log: MemoryLog) -> None:
    topics = WrittenTopics(log)
    assert [topics.info(name).partitions for name in ("b", "a", "b")] == [1, 1, 1]
    assert (list(log.topics()), dict(topics.partition_counts())) == ([], {})
    topics.make_chosen()
    assert (list(log.topics()), dict(topics.partition_counts())) == (["b", "a"], {"b": 1, "a": 1})
    assert topics.info("a") == log.topics()["a"]


def test_chosen_topics_are_one_transaction_of_the_embedded_log(tmp_path: Path) -> None:
    log = EmbeddedLog.open(tmp_path / "log.db")
    other = EmbeddedLog.open(tmp_path / "log.db")
    topics = WrittenTopics(log)
    for number in range(100):
        topics.info(f"t-{number}")
    version = "PRAGMA data_version"
    before = other._connection.execute(version).fetchone()[0]
    topics.make_chosen()
    assert other._connection.execute(version).fetchone()[0] == before + 1
    assert len(other.topics()) == 100
    other.close()
    log.close()


def test_topics_of_which_one_cannot_be_made_are_made_one_by_one_afterwards(log: MemoryLog) -> None:
    topics = WrittenTopics(log)
    for name in ("a.b", "c", "a_b"):
        topics.info(name)
    with pytest.raises(
        TransactionAbortedError,
        match=r"one of 3 topics that functions chose was not made \(cannot create topic 'a_b'",
    ):
        topics.make_chosen()
    assert list(log.topics()) == []
    assert topics.info("a.b").id == log.topics()["a.b"].id
    with pytest.raises(InvalidTopicError, match=r"there is 'a\.b'"):
        topics.info("a_b")
    assert topics.info("c").id == log.topics()["c"].id


def test_topic_that_somebody_else_makes_first_has_its_partitions(log: MemoryLog) -> None:
    topics = WrittenTopics(log)
    topics.info("a")
    log.create_topics([TopicSpec("a", 3)])
    with pytest.raises(TransactionAbortedError, match="exists with 3"):
        topics.make_chosen()
    topics.make_chosen()
    assert topics.info("a").partitions == 3


def chosen_by_value() -> tuple[hr.Topology, hr.Topic[str, str]]:
    source = hr.Topic("in", key=str, value=str)
    builder = hr.StreamsBuilder()
    builder.stream(source).to(lambda key, value, metadata: value)
    return builder.build(), source


def test_topic_too_near_to_another_stops_the_application_and_nothing_is_written_twice() -> None:
    topology, source = chosen_by_value()
    with testing.TopologyTestDriver(topology) as driver:
        driver.input(source).pipe("1", "a.b", 1)
        with pytest.raises(ProcessingError, match=r"offset 2, .*cannot create topic 'a_b': there is 'a\.b'"):
            driver.input(source).pipe_all([("2", "a.b", 2), ("3", "a_b", 3)])
        assert [row[3] for row in driver.log.records("a.b")] == [b"a.b", b"a.b"]
        assert set(driver.log.topics()) == {"in", "a.b"}


def test_handler_may_drop_a_record_whose_topic_is_too_near_to_another() -> None:
    stages = []

    def resume(failure: hr.Failure) -> hr.Reaction:
        stages.append(failure.stage)
        return hr.Reaction.resume

    topology, source = chosen_by_value()
    with testing.TopologyTestDriver(topology, production_exception_handler=resume) as driver:
        driver.input(source).pipe_all([("1", "a.b", 1), ("2", "a_b", 2), ("3", "c", 3)])
        assert set(driver.log.topics()) == {"in", "a.b", "c"}
    assert stages == ["produce"]
