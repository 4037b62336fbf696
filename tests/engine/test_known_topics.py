"""The application's own topics: an instance that has met one stops rather than take another for it."""

from collections.abc import Callable

import pytest

import headrace as hr
from headrace.base.errors import InternalTopicLostError, TransactionAbortedError
from headrace.engine.clock import ManualClock
from headrace.engine.known_topics import KnownTopics
from headrace.log.memory import MemoryLog
from headrace.log.port import TopicSpec
from tests.engine.bench import Bench, eight

CHANGELOG, REPARTITION = "app-counts-changelog", "app-counts-repartition"


@pytest.fixture
def log() -> MemoryLog:
    made = MemoryLog()
    made.create_topics([TopicSpec(CHANGELOG, 1), TopicSpec(REPARTITION, 1)])
    return made


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def known(log: MemoryLog, clock: ManualClock) -> KnownTopics:
    made = KnownTopics(clock.seconds)
    made.look(log, [CHANGELOG, REPARTITION])
    return made


def test_topics_that_stay_are_no_matter(log: MemoryLog, known: KnownTopics) -> None:
    known.look(log)
    known.ensure_there([CHANGELOG], log.topics([CHANGELOG]))
    assert known.id_of(CHANGELOG) == log.topics()[CHANGELOG].id
    assert known.id_of("in") is None


@pytest.mark.parametrize(
    ("topic", "words"),
    [
        (CHANGELOG, "was deleted while the application ran. The stores are whole here, and stay as they are"),
        (REPARTITION, "was deleted while it ran: records that were not processed yet are lost"),
    ],
)
def test_a_topic_that_is_gone_is_told_with_what_that_means(
    log: MemoryLog, known: KnownTopics, topic: str, words: str
) -> None:
    log.delete_topics([topic])
    with pytest.raises(InternalTopicLostError, match=words):
        known.look(log)


def test_one_that_was_made_again_is_another(log: MemoryLog, known: KnownTopics) -> None:
    log.delete_topics([CHANGELOG])
    log.create_topics([TopicSpec(CHANGELOG, 1)])
    with pytest.raises(InternalTopicLostError, match="was deleted and made again"):
        known.look(log)
    with pytest.raises(InternalTopicLostError, match="was deleted and made again"):
        known.ensure_there([CHANGELOG], log.topics())


def test_one_that_is_missing_for_a_moment_is_looked_for_again(
    log: MemoryLog, known: KnownTopics, clock: ManualClock
) -> None:
    for _ in range(2):
        with pytest.raises(TransactionAbortedError, match="is not there now"):
            known.ensure_there([CHANGELOG], {})
        clock.advance(4_900)
        known.ensure_there([CHANGELOG], log.topics())
    with pytest.raises(TransactionAbortedError):
        known.ensure_there([CHANGELOG], {})
    clock.advance(5_000)
    with pytest.raises(InternalTopicLostError):
        known.ensure_there([CHANGELOG], {})


def test_tasks_that_go_back_to_their_last_commit_keep_stores_whose_changelog_is_another(
    bench: Callable[..., Bench],
) -> None:
    builder = hr.StreamsBuilder()
    builder.stream(hr.Topic("in", value=int)).group_by_key().count(store="counts").to_stream().to(
        hr.Topic("out", value=int)
    )
    app = bench(builder.build(), commit_interval_ms=3_600_000)
    app.log.create_topics([TopicSpec("in", 1)])
    app.open()
    app.write("in", (b"a", eight(1), 1))
    app.turn()
    app.worker.commit()
    app.log.delete_topics([CHANGELOG])
    app.log.create_topics([TopicSpec(CHANGELOG, 1)])
    with pytest.raises(InternalTopicLostError):
        app.worker._assignment.start_over(TransactionAbortedError("the answer was lost"))
    (task,) = app.worker.tasks
    position = task.stores.rows.stores["counts"].position()
    assert position is not None
    assert position.offset == 1
