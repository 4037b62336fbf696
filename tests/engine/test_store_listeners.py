"""What the program's listeners hear of stores: restores, standbys, global stores; and which objects are none."""

from collections.abc import Callable
from typing import Any

import pytest

import headrace as hr
from headrace.base.ids import TopicPartition
from headrace.engine.store_listeners import StoreListeners
from headrace.log.port import TopicSpec
from tests.engine.bench import Bench, eight
from tests.engine.test_assignment import TASKS, Pair, pair
from tests.engine.test_global_stores import NewBench, filling, joining, rate, rows

__all__ = ["pair"]

TASK = TASKS[0]
SUMS = TopicPartition("app-sums-changelog", 0)
RATES = [TopicPartition("rates", 0), TopicPartition("rates", 1)]


class Heard(hr.RestoreListener):
    """Keeps what it hears of restores."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def on_restore_start(self, *told: Any) -> None:
        self.calls.append(("start", *told))

    def on_batch_restored(self, *told: Any) -> None:
        self.calls.append(("batch", *told))

    def on_restore_end(self, *told: Any) -> None:
        self.calls.append(("end", *told))

    def on_restore_suspended(self, *told: Any) -> None:
        self.calls.append(("suspended", *told))


class Followed(hr.StandbyUpdateListener):
    """Keeps what it hears of standbys."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def on_update_start(self, *told: Any) -> None:
        self.calls.append(("start", *told))

    def on_batch_loaded(self, *told: Any) -> None:
        self.calls.append(("batch", *told))

    def on_update_suspended(self, *told: Any) -> None:
        self.calls.append(("suspended", *told))


def listening(bench: Bench) -> Heard:
    heard = Heard()
    bench.listeners.hear_restores(heard)
    return heard


def following(bench: Bench) -> Followed:
    heard = Followed()
    bench.listeners.hear_standbys(heard)
    return heard


def with_changelog(both: Pair, *values: int) -> None:
    """Let one worker write the changelog, record by record."""
    both.one.open(TASK)
    both.write(0, *values)
    both.one.turn()
    both.one.worker.commit()


@pytest.fixture
def both(pair: Callable[..., Pair]) -> Pair:
    return pair(statestore_cache_max_bytes=0)


def test_a_restore_is_heard_of_from_its_start_to_its_end(both: Pair) -> None:
    with_changelog(both, 1, 2, 3)
    both.one.worker.revoke([TASK])
    heard = listening(both.other)
    both.other.open(TASK)
    assert heard.calls == [
        ("start", SUMS, "sums", 0, 3),
        ("batch", SUMS, "sums", 2, 3),
        ("end", SUMS, "sums", 3),
    ]


def test_a_store_that_lacks_nothing_starts_and_ends_at_once(both: Pair) -> None:
    heard = listening(both.one)
    with_changelog(both, 1)
    assert heard.calls == [("start", SUMS, "sums", 0, 0), ("end", SUMS, "sums", 0)]


def test_a_restore_that_is_given_up_is_suspended(both: Pair) -> None:
    with_changelog(both, 1)
    both.one.worker.revoke([TASK])
    heard = listening(both.other)
    both.other.open_idle()
    both.other.worker.assign([TASK])
    both.other.worker._changelog_reader._open(0.0)  # as a turn does that then finds nothing yet
    both.other.worker.lost([TASK])
    assert heard.calls == [("start", SUMS, "sums", 0, 1), ("suspended", SUMS, "sums", 0)]


def test_a_standby_is_heard_of_until_its_task_runs_here(both: Pair) -> None:
    heard = following(both.other)
    both.one.open(TASK)
    both.other.open_idle()
    both.other.worker.follow([TASK])
    both.other.turn()
    both.write(0, 1, 2)
    both.one.turn()
    both.one.worker.commit()
    both.other.turn()
    both.one.worker.revoke([TASK])
    both.other.worker.assign([TASK])
    assert heard.calls == [
        ("start", SUMS, "sums", 0),
        ("batch", SUMS, "sums", TASK, 1, 2, 2),
        ("suspended", SUMS, "sums", 2, 2, "promoted"),
    ]


def test_a_standby_that_goes_elsewhere_is_migrated(both: Pair) -> None:
    heard = following(both.other)
    with_changelog(both, 1)
    both.other.open_idle()
    both.other.worker.follow([TASK])
    both.other.turn()
    both.other.worker.unfollow([TASK])
    assert heard.calls[-1] == ("suspended", SUMS, "sums", 1, 1, "migrated")


def test_global_stores_are_restored_partition_by_partition(bench: NewBench) -> None:
    app = bench(joining())
    app.log.create_topics([TopicSpec("rates", 2), TopicSpec("orders", 1)])
    app.write("rates", *((b"a", eight(number), 0) for number in range(3)))
    heard = listening(app)
    app.open()
    rate(app, "a", 9)  # what comes later is no restore
    app.turn()
    assert heard.calls == [
        ("start", RATES[0], "kept", 0, 3),
        ("start", RATES[1], "kept", 0, 0),
        ("end", RATES[1], "kept", 0),
        ("batch", RATES[0], "kept", 2, 3),
        ("end", RATES[0], "kept", 3),
    ]


def test_a_retry_in_a_global_store_lets_tasks_wait_for_all_of_it_again(bench: NewBench) -> None:
    tries: list[bool] = []

    def retrying(failure: hr.Failure) -> hr.Reaction:
        tries.append(app.worker._global_stores.is_caught_up)
        return hr.Reaction.retry if len(tries) < 2 else hr.Reaction.resume

    app = bench(
        filling(),
        processing_exception_handler=retrying,
        processing_exception_handler_global_enabled=True,
    )
    app.log.create_topics([TopicSpec("rates", 2)])
    for key, value in (("a", 1), ("b", 13), ("c", 3)):
        rate(app, key, value)
    heard = listening(app)
    app.open()
    assert tries == [False, False]
    assert rows(app, "doubled") == {"a": 2, "c": 6}
    assert [call for call in heard.calls if call[0] == "start" and call[1] == RATES[0]] == [
        ("start", RATES[0], "doubled", 0, 3)
    ] * 2
    assert heard.calls[-1] == ("end", RATES[0], "doubled", 3)


def test_what_a_listener_raises_is_logged_and_others_still_hear(
    both: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def on_restore_start(self, topic_partition: object, store_name: str, *offsets: int) -> None:
            raise ValueError(store_name)

    both.one.listeners.hear_restores(Broken())
    heard = listening(both.one)
    with_changelog(both, 1)
    assert "Broken.on_restore_start failed on" in caplog.text
    assert len(heard.calls) == 2
    both.check()


class Short:
    def on_restore_end(self, topic_partition: object, store_name: str) -> None: ...


class Async:
    async def on_update_start(self, topic_partition: object, store_name: str, offset: int) -> None: ...


@pytest.mark.parametrize(
    ("listener", "words"),
    [
        (object(), "some of on_restore_start"),
        (Heard, r"write Heard\(\)"),
        (Followed(), "methods of hr.RestoreListener"),
        (Short(), "on_restore_end of the listener"),
    ],
)
def test_an_object_that_cannot_hear_of_restores_is_refused(listener: object, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        StoreListeners().hear_restores(listener)


def test_an_async_listener_is_refused() -> None:
    with pytest.raises(TypeError, match="async"):
        StoreListeners().hear_standbys(Async())
