"""Who may write: one that has claimed a partition last, and from where it believes the database to be."""

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import Engine, text

from headrace.base.errors import FencedError, LogError
from headrace.base.ids import TopicPartition
from headrace.sql.batch import moments
from headrace.sql.judgement import Later
from headrace.sql.positions import Claim, Positions, transaction
from tests.sql.postgres import LocalPostgres
from tests.streams.waiting import until

HERE = TopicPartition("orders", 0)


def positions(engine: Engine, owner: str) -> Positions:
    made = Positions("sink", owner, None, "headrace_positions")
    made.create(engine)
    return made


def claimed(engine: Engine, owner: str, start: int = 0) -> tuple[Positions, Claim]:
    made = positions(engine, owner)
    with transaction(engine) as connection:
        return made, made.claim(connection, HERE, "topic-1", start)


def test_first_claim_begins_where_the_log_does(engine: Engine) -> None:
    _, claim = claimed(engine, "a", start=7)
    assert (claim.next_offset, claim.epoch) == (7, 1)


def test_later_claim_goes_on_and_ends_the_one_before(engine: Engine) -> None:
    first, old = claimed(engine, "a")
    with transaction(engine) as connection:
        assert first.advance(connection, old, 5)
    second, new = claimed(engine, "b", start=3)
    assert (new.next_offset, new.epoch) == (5, 2)
    fenced = pytest.raises(FencedError, match=r"b has claimed it \(epoch 2 after 1\) and is at offset 5")
    with fenced, transaction(engine) as connection:
        first.advance(connection, old.at(5), 9)
    with transaction(engine) as connection:
        assert second.advance(connection, new, 9)


def test_position_that_was_moved_by_the_same_commit_is_moved_already(engine: Engine) -> None:
    """A commit whose answer was lost is not made a second time."""
    mine, claim = claimed(engine, "a")
    with transaction(engine) as connection:
        assert mine.advance(connection, claim, 5)
    with transaction(engine) as connection:
        assert not mine.advance(connection, claim, 5)


def test_position_that_somebody_has_moved_by_hand_is_not_ours(engine: Engine) -> None:
    mine, claim = claimed(engine, "a")
    with engine.begin() as connection:
        connection.execute(text("UPDATE headrace_positions SET next_offset = 2"))
    with pytest.raises(FencedError, match="is at offset 2"), transaction(engine) as connection:
        mine.advance(connection, claim, 5)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM headrace_positions"))
    with pytest.raises(FencedError, match="was deleted"), transaction(engine) as connection:
        mine.advance(connection, claim, 5)


def test_position_of_a_topic_that_was_made_anew_is_refused(engine: Engine) -> None:
    mine, _ = claimed(engine, "a")
    refused = pytest.raises(LogError, match="from a topic with the id topic-1, and this one has topic-2")
    with refused, transaction(engine) as connection:
        mine.claim(connection, HERE, "topic-2", 0)
    with transaction(engine) as connection:  # nothing is claimed by that
        assert mine.claim(connection, HERE, "topic-1", 0).epoch == 2


def test_claim_waits_for_a_transaction_under_way_and_sees_its_position(
    postgres: LocalPostgres, engines: Callable[[str], Engine]
) -> None:
    engine = engines(postgres.make_database())
    first, old = claimed(engine, "a")
    found: list[Claim] = []
    second = threading.Thread(target=lambda: found.append(claimed(engine, "b")[1]))
    with transaction(engine) as connection:
        assert first.advance(connection, old, 5)
        second.start()
        _until_somebody_waits(engine)
    second.join()
    assert (found[0].next_offset, found[0].epoch) == (5, 2)


def test_transaction_of_a_former_owner_that_does_not_end_is_ended(
    postgres: LocalPostgres, engines: Callable[[str], Engine]
) -> None:
    engine = engines(postgres.make_database())
    first, old = claimed(engine, "a")
    lost = pytest.raises(Later, match="cannot write rows now: AdminShutdown")
    with lost, moments("write rows"), transaction(engine) as connection:
        assert first.advance(connection, old, 5)
        with pytest.raises(Later, match="cannot claim now: LockNotAvailable"), moments("claim"):
            claimed(engine, "b")
        with transaction(engine) as other:
            assert first.evict(other, HERE) == 1
        _, new = claimed(engine, "b")
        assert (new.next_offset, new.epoch) == (0, 2)


def test_nobody_is_evicted_who_has_not_locked_the_position(
    postgres: LocalPostgres, engines: Callable[[str], Engine]
) -> None:
    engine = engines(postgres.make_database())
    mine, claim = claimed(engine, "a")
    with transaction(engine) as connection:
        assert mine.advance(connection, claim, 5)
    with transaction(engine) as connection:
        assert mine.evict(connection, HERE) == 0
        assert mine.evict(connection, TopicPartition("orders", 1)) == 0


def _until_somebody_waits(engine: Engine) -> None:
    waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    # Within one transaction the view stands still from the first look on.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        until(lambda: connection.execute(waiting).scalar())
