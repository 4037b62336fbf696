"""Stores that are asked for from any instance of an application, wherever they are, while instances come and go."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import pytest

import headrace as hr
from headrace import stores
from headrace.base.errors import StoreUnavailableError
from headrace.server import Server
from headrace.streams.config import Config
from headrace.testing import LocalKafka
from tests.kafka.broker.counting import KEYS, PARTITIONS, Counting, wait_for
from tests.kafka.conftest import NewTopic
from tests.server.conftest import ask

pytestmark = pytest.mark.broker

Unique = Callable[[str], str]
Protocol = Literal["classic", "streams"]

COUNTS = stores.key_value("counts", key=str, value=int)
HOURS = stores.window("hours", key=str, value=int, retention="7d")
TEXTS = [key.decode() for key in KEYS]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


class Shop(Counting):
    """Instances that count the records of each key, each served."""

    def __init__(self, broker: LocalKafka, folder: Path, name: str, source: str, target: str) -> None:
        super().__init__(broker, name, source, target)
        self.folder = folder
        self.urls: dict[str, str] = {}
        self._running: dict[str, ExitStack] = {}
        self._killed: set[str] = set()

    def start(
        self, place: str, protocol: Protocol = "classic", *, standbys: int = 0, **properties: Any
    ) -> hr.Streams:
        builder = hr.StreamsBuilder()
        grouped = builder.stream(hr.Topic(self.source, value=str)).group_by_key()
        grouped.count(store=COUNTS).to_stream().to(hr.Topic(self.target, value=int))
        grouped.windowed_by(hr.TimeWindows("1h", grace="0s")).count(store=HOURS)
        port = free_port()
        config = Config(
            application_id=self.name,
            bootstrap_servers=self.broker.bootstrap_servers,
            state_dir=str(self.folder / place),
            group_protocol=protocol,
            commit_interval_ms=50,
            num_standby_replicas=standbys,
            application_server=f"127.0.0.1:{port}",
            properties={"session.timeout.ms": 6_000, "heartbeat.interval.ms": 200, **properties},
        )
        streams = hr.Streams(builder.build(), config)
        running = self._running[place] = ExitStack()
        self.urls[place] = running.enter_context(Server(streams, "127.0.0.1", port)).url
        running.callback(lambda: streams.close(leave_group=place not in self._killed))
        streams.start()
        return streams

    def stop(self, place: str, *, as_if_killed: bool = False) -> None:
        """Stop an instance; as if it were killed, its group misses it when its session is over."""
        if as_if_killed:
            self._killed.add(place)
        self._running.pop(place).close()

    def close(self) -> None:
        for place in list(self._running):
            self.stop(place)

    def expected(self) -> dict[str, int]:
        return {key.decode(): count for key, count in self.sent.items()}


@pytest.fixture
def shop(broker: LocalKafka, new_topic: NewTopic, unique: Unique, tmp_path: Path) -> Iterator[Shop]:
    found = Shop(
        broker, tmp_path, unique("app"), new_topic(partitions=PARTITIONS), new_topic(partitions=PARTITIONS)
    )
    yield found
    found.close()


def number_of_tasks(streams: hr.Streams) -> int:
    status = streams.status()
    return 0 if status is None else sum(task.state == "running" for task in status.tasks)


def all_counts(streams: hr.Streams, **how: Any) -> dict[str, int | None]:
    view = streams.query(COUNTS, **how)
    return {key: view.get(key) for key in TEXTS}


@pytest.mark.parametrize("protocol", ["classic", "streams"])
def test_each_instance_answers_for_all(shop: Shop, protocol: Protocol) -> None:
    instances = [shop.start(place, protocol) for place in ("one", "two")]
    wait_for(lambda: [number_of_tasks(each) for each in instances] == [PARTITIONS // 2] * 2)
    shop.send(3)
    for each in instances:
        wait_for(lambda each=each: all_counts(each) == shop.expected())  # type: ignore[misc]
        assert dict(each.query(COUNTS).all()) == shop.expected()
        assert dict(each.query(COUNTS).range("key1", "key10")) == {"key1": 3, "key10": 3}
        assert sorted(key for key, _ in each.query(COUNTS).prefix("key1")) == sorted(
            key for key in TEXTS if key.startswith("key1")
        )
        [(window, count)] = each.query(HOURS).range("key5")
        assert (window.key, count) == ("key5", 3)
        assert each.query(HOURS).get("key5", window.window.start) == 3
        assert sum(count for _, count in each.query(HOURS).range()) == 60
        assert each.query(COUNTS).get("nobody") is None
        here = dict(each.query(COUNTS, where="local").all())
        assert 0 < len(here) < len(TEXTS)
        assert dict(each.query(COUNTS, partitions=[0, 1, 2, 3]).all()) == shop.expected()
    for place in ("one", "two"):
        found = {row["key"]: row["value"] for row in ask(shop.urls[place], "/stores/counts").body["rows"]}
        assert found == shop.expected()
        assert ask(shop.urls[place], "/stores/counts/key7").body == {"key": "key7", "value": 3}

    async def asked() -> tuple[int | None, dict[str, int]]:
        view = instances[0].query_async(COUNTS)
        return await view.get("key3"), {key: count async for key, count in view.all()}

    assert asyncio.run(asked()) == (3, shop.expected())


def test_what_is_committed_elsewhere_can_be_waited_for(shop: Shop) -> None:
    instances = [shop.start(place) for place in ("one", "two")]
    wait_for(lambda: [number_of_tasks(each) for each in instances] == [PARTITIONS // 2] * 2)
    shop.send(2)
    wait_for(lambda: all_counts(instances[0]) == shop.expected())
    wait_for(
        lambda: all(
            all_counts(each, committed=True, at_least=instances[0].position(COUNTS)) == shop.expected()
            for each in instances
        )
    )
    far = hr.Position({(shop.source, partition): 1_000_000 for partition in range(PARTITIONS)})
    with pytest.raises(StoreUnavailableError, match="it has not reached offset 1000000"):
        all_counts(instances[1], at_least=far, timeout="300ms")


def test_instance_that_leaves_is_followed_to_who_takes_over(shop: Shop) -> None:
    one, two = (shop.start(place) for place in ("one", "two"))
    wait_for(lambda: [number_of_tasks(each) for each in (one, two)] == [PARTITIONS // 2] * 2)
    shop.send(2)
    wait_for(lambda: all_counts(one) == shop.expected())
    shop.stop("two")
    assert all_counts(one, timeout="20s") == shop.expected()


def test_standby_answers_within_the_bound_for_one_that_was_killed(shop: Shop) -> None:
    one, two = (shop.start(place, standbys=1) for place in ("one", "two"))
    wait_for(lambda: [number_of_tasks(each) for each in (one, two)] == [PARTITIONS // 2] * 2)
    shop.send(2)
    wait_for(lambda: all_counts(one) == shop.expected())
    wait_for(lambda: all_counts(one, stale="1m", committed=True) == shop.expected())
    time.sleep(2.5)  # standbys write once a second
    shop.stop("two", as_if_killed=True)
    assert all_counts(one, stale="1m") == shop.expected()
    with pytest.raises(StoreUnavailableError, match="does not answer"):
        all_counts(one, timeout="300ms")
    with pytest.raises(StoreUnavailableError, match=r"may be .* s older than it is to be"):
        all_counts(one, stale="1ms", timeout="300ms")
    wait_for(lambda: number_of_tasks(one) == PARTITIONS)
    assert all_counts(one) == shop.expected()


def test_changes_are_seen_from_any_instance(shop: Shop) -> None:
    instances = [shop.start(place) for place in ("one", "two")]
    wait_for(lambda: [number_of_tasks(each) for each in instances] == [PARTITIONS // 2] * 2)
    with ExitStack() as watching:
        watches = [watching.enter_context(each.watch(COUNTS, "key3")) for each in instances]
        shop.send(1)
        assert [next(changes).value for changes in watches] == [1, 1]
        shop.stop("two")
        assert list(watches[1]) == []
        shop.send(1)
        assert next(watches[0]).value == 2


def test_windows_are_those_of_all_instances_and_who_does_not_answer_is_named(shop: Shop) -> None:
    one, two = (shop.start(place) for place in ("one", "two"))
    wait_for(lambda: [number_of_tasks(each) for each in (one, two)] == [PARTITIONS // 2] * 2)
    shop.send(1)
    wait_for(lambda: all_counts(one) == shop.expected())
    at = {place: url.removeprefix("http://") for place, url in shop.urls.items()}
    for place in ("one", "two"):
        found = ask(shop.urls[place], "/windows").body
        assert sorted(found["instances"]) == sorted(at.values())
        [node] = found["nodes"]
        assert [each["task"] for each in node["tasks"]] == [f"0_{number}" for number in range(PARTITIONS)]
        assert {each["instance"] for each in node["tasks"]} == set(at.values())
        assert (found["unanswered"], node["tasks_not_told_of"]) == ([], [])
    shop.stop("two", as_if_killed=True)
    found = ask(shop.urls["one"], "/windows").body
    assert found["instances"] == [at["one"]]
    [silent] = found["unanswered"]
    assert silent["instance"] == at["two"]
    assert "nobody listens there" in silent["reason"]
    assert len(found["nodes"][0]["tasks_not_told_of"]) == PARTITIONS // 2


def test_topics_of_dead_letters_are_those_that_all_instances_remember(shop: Shop) -> None:
    one, two = (shop.start(place) for place in ("one", "two"))
    wait_for(lambda: [number_of_tasks(each) for each in (one, two)] == [PARTITIONS // 2] * 2)
    (shop.folder / "two" / shop.name / "dead-letter-topics").write_text("named-there\n")
    found = ask(shop.urls["one"], "/dead-letters").body
    assert (found["topics"], found["unanswered"]) == (["named-there"], [])
    assert ask(shop.urls["one"], "/dead-letters/topics").body == {"topics": []}
    assert ask(shop.urls["one"], "/dead-letters?topic=named-there").body["letters"] == []
    shop.stop("two", as_if_killed=True)
    found = ask(shop.urls["one"], "/dead-letters").body
    assert (found["topics"], len(found["unanswered"])) == ([], 1)
