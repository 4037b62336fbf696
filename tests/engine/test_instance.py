"""Several workers of one instance, turned by hand: what they share, and what they leave to each other."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import headrace as hr
from headrace import stores
from headrace.base.ids import TaskId, TopicPartition
from headrace.engine.instance import Instance
from headrace.log.port import TopicSpec
from headrace.state.cache_shares import CacheShares
from headrace.state.rocksdb_errors import translated
from headrace.state.rocksdb_family import RocksFamily
from tests.engine.bench import Bench, eight

KEPT = stores.key_value("kept", key=str, value=int)
COUNTS = stores.key_value("counts", key=str, value=int)
ORDERS = hr.Topic("orders", key=str, value=str, partitions=2, partitioned_by="other")
TASKS = (TaskId(1, 0), TaskId(1, 1))


def topology() -> hr.Topology:
    """Each order with the rate of what it names; and their count."""
    builder = hr.StreamsBuilder()
    rates = builder.global_table(hr.Topic("rates", key=str, value=int, partitions=2), store=KEPT)
    orders = builder.stream(ORDERS)
    orders.left_join(rates, lambda order, rate: f"{order}={rate}", on=lambda key, order: order).to(
        hr.Topic("out", value=str)
    )
    orders.group_by_key().count(store=COUNTS)
    return builder.build()


class Sharing(Bench):
    """One worker of an instance."""

    instance: Instance

    def __init__(self, folder: Path, of: "Sharing | None" = None) -> None:
        super().__init__(topology(), folder)
        if of is None:
            self.log.create_topics([TopicSpec("rates", 2), TopicSpec("orders", 2), TopicSpec("out", 2)])
            self.instance = Instance(
                self.log, self.options, application_id="app", state_dir=folder, clock=self.clock
            )
        else:
            self.log, self.clock, self.instance = of.log, of.clock, of.instance

    def rate(self, key: str, value: int, partition: int = 0) -> None:
        self.write_to(TopicPartition("rates", partition), (key.encode(), eight(value), 0))

    def order(self, partition: int, name: str) -> None:
        self.write_to(TopicPartition("orders", partition), (b"k", name.encode(), 0))

    def seen(self) -> list[bytes]:
        return sorted(record[3] or b"" for record in self.log.records("out"))


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Sharing, Sharing]]:
    one = Sharing(tmp_path / "state")
    other = Sharing(tmp_path / "state", one)
    yield one, other
    one.close()
    other.close()
    one.instance.close()


def test_a_task_waits_for_the_rows_that_another_worker_still_has(pair: tuple[Sharing, Sharing]) -> None:
    one, other = pair
    one.open(*TASKS)
    one.order(0, "a")
    one.turn()
    one.worker.commit()
    other.open(TASKS[0])
    other.turn()
    assert "running" not in [task.state for task in other.worker.status().tasks]
    one.worker.lost(TASKS[:1])
    other.order(0, "b")
    other.turn()
    other.worker.commit()
    assert dict(other.worker.query("counts")[0].all()) == {"k": 2}


def test_a_task_that_waits_can_be_given_up_again(pair: tuple[Sharing, Sharing]) -> None:
    one, other = pair
    one.open(*TASKS)
    other.open(TASKS[0])
    assert other.worker.revoke(TASKS[:1])
    one.worker.lost(TASKS[:1])
    other.turn()
    assert other.worker.query("counts") == {}


def test_what_waits_stays_out_of_the_way_when_the_others_start_over(pair: tuple[Sharing, Sharing]) -> None:
    one, other = pair
    one.open(TASKS[0])
    other.open(*TASKS)
    other.worker.lost(())
    other.order(1, "a")
    other.turn()
    other.worker.commit()
    assert list(other.worker.query("counts")) == [1]
    one.worker.lost(TASKS[:1])
    other.turn()
    assert sorted(other.worker.query("counts")) == [0, 1]


def test_a_follower_waits_for_the_rows_that_another_worker_still_has(pair: tuple[Sharing, Sharing]) -> None:
    one, other = pair
    one.open(*TASKS)
    one.order(0, "a")
    one.turn()
    one.worker.commit()
    other.open_idle()
    other.worker.follow(TASKS[:1])
    other.turn()
    assert one.worker.revoke(TASKS[:1])
    other.turn()
    assert other.worker.standby_lags() == {TASKS[0]: {"counts": 0}}


def test_one_worker_fills_the_global_stores_and_all_read_them(pair: tuple[Sharing, Sharing]) -> None:
    one, other = pair
    one.rate("a", 1)
    one.open(TASKS[0])
    other.open(TASKS[1])
    one.order(0, "a")
    one.order(1, "a")
    for each in pair:
        each.turn()
        each.worker.commit()
    assert one.seen() == [b"a=1", b"a=1"]
    one.rate("a", 2)
    one.turn()
    one.order(1, "a")
    other.turn()
    other.worker.commit()
    assert one.seen()[-1] == b"a=2"
    assert dict(other.worker.query("kept")[-1].all()) == {"a": 2}


def test_when_the_worker_that_fills_them_goes_the_next_one_does_from_the_last_commit(
    pair: tuple[Sharing, Sharing],
) -> None:
    one, other = pair
    one.open(TASKS[0])
    other.open(TASKS[1])
    one.rate("a", 1)
    one.turn()
    one.worker.commit()
    one.rate("b", 2)
    one.turn()  # read, and not committed
    one.close()
    one.rate("c", 3)
    other.turn()
    assert dict(other.worker.query("kept")[-1].all()) == {"a": 1, "b": 2, "c": 3}
    other.order(1, "b")
    other.turn()
    other.worker.commit()
    assert one.seen() == [b"b=2"]


def test_global_stores_live_on_with_the_instance_when_all_workers_were_replaced(
    pair: tuple[Sharing, Sharing],
) -> None:
    one, other = pair
    one.rate("a", 1)
    one.open(TASKS[0])
    one.close()
    other.open(TASKS[0])
    other.order(0, "a")
    other.turn()
    other.worker.commit()
    assert one.seen() == [b"a=1"]


def test_damage_that_another_worker_finds_brings_the_global_stores_back_for_all(
    pair: tuple[Sharing, Sharing], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = pair
    one.rate("a", 1)
    one.open(TASKS[0])
    one.worker.commit()
    one.close()  # what was just committed is in memory too
    one.open(TASKS[0])
    other.open(TASKS[1])
    get, path = RocksFamily.get, str(one.folder / "global")
    found: list[bytes] = []

    def damaged(self: RocksFamily, key: bytes) -> bytes | None:
        if key == b"a" and not found:
            found.append(key)
            with translated(path, "read"):
                raise OSError("Corruption: a table is cut")
        return get(self, key)

    monkeypatch.setattr(RocksFamily, "get", damaged)
    one.order(1, "a")
    other.turn()
    assert found
    one.order(0, "a")
    for _ in range(3):
        one.turn()
        other.turn()
    one.worker.commit()
    other.worker.commit()
    assert one.seen() == [b"a=1", b"a=1"]


def test_a_worker_that_knows_of_more_partitions_has_them_read(pair: tuple[Sharing, Sharing]) -> None:
    one, other = pair
    one.open(TASKS[0])
    one.log.delete_topics(["rates"])
    one.log.create_topics([TopicSpec("rates", 3)])
    one.rate("c", 3, partition=2)
    other.open(TASKS[1])
    for _ in range(3):
        one.turn()
        other.turn()
    assert dict(other.worker.query("kept")[-1].all()) == {"c": 3}
    one.order(0, "c")
    one.turn()
    one.worker.commit()
    assert one.seen() == [b"c=3"]


def test_the_cache_is_divided_among_those_who_are_there() -> None:
    shares = CacheShares(1000)
    first = shares.take()
    assert first.max_bytes == 1000
    second = shares.take()
    assert (first.max_bytes, second.max_bytes) == (500, 500)
    shares.give_back(first)
    shares.give_back(first)
    assert second.max_bytes == 1000


def test_the_log_is_not_compacted_while_any_worker_restores(
    pair: tuple[Sharing, Sharing], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = pair
    asked: list[int] = []
    monkeypatch.setattr(one.log, "maintain", asked.append)
    one.open(TASKS[0])
    other.open_idle()
    one.clock.advance(2_000)
    one.turn()
    assert len(asked) == 1
    one.instance.restoring.add(other)
    one.clock.advance(2_000)
    one.turn()
    assert len(asked) == 1
