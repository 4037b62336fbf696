"""Keys that another partitioner has placed: which are counted, and when somebody is told."""

import struct
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import pytest

import headrace as hr
from headrace import stores
from headrace.base.columns import Columns
from headrace.base.murmur2 import partition_for
from headrace.engine.clock import ManualClock
from headrace.engine.key_placement import KeyPlacement
from headrace.engine.options import EngineOptions
from headrace.engine.worker_building import build_worker
from headrace.log.memory import MemoryLog
from headrace.log.port import TopicSpec

KEYS = [f"user-{number}".encode() for number in range(40)]
CLICKS = hr.Topic("clicks", value=str)
USERS = hr.Topic("users", value=str)


def by_crc32(key: bytes, count: int) -> int:
    return crc32(key) % count


def placement(
    *, partitions: int = 4, records_max: int = 500, key: hr.Serde[object] | None = None
) -> KeyPlacement:
    serde = key if key is not None else hr.string
    return KeyPlacement("clicks", partitions, serde, "source (shop.py:3)", records_max)  # type: ignore[arg-type]


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "headrace.partitions"]


# ── what is counted ──────────────────────────────────────────────────────────────────────────────────────────────


def test_keys_in_their_own_partition_are_no_news(caplog: pytest.LogCaptureFixture) -> None:
    seen = placement()
    for key in KEYS:
        seen.look(partition_for(key, 4), [key])
    assert (seen.looked_at, seen.misplaced, told(caplog)) == (40, 0, [])


def test_first_key_elsewhere_is_told_once_with_the_setting_to_change(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen = placement()
    wrong = (partition_for(KEYS[0], 4) + 1) % 4
    assert seen.look(wrong, [KEYS[0]])
    seen.look(wrong, [KEYS[0]])
    assert (seen.looked_at, seen.misplaced) == (2, 2)
    (message,) = told(caplog)
    assert message.startswith(
        "source (shop.py:3) reads topic 'clicks', where 1 of the first 1 keys lie in another"
    )
    assert "partitioner=murmur2_random" in message
    assert "has to be written anew, or read through repartition()" in message
    assert "Topic('clicks', ..., partitioned_by='other')" in message


def test_records_without_a_key_may_lie_anywhere() -> None:
    seen = placement()
    seen.look(0, [None, b"", None])
    assert (seen.looked_at, seen.misplaced) == (0, 0)


def test_each_partition_is_looked_at_up_to_a_number_of_records() -> None:
    seen = placement(records_max=3)
    assert seen.look(0, [b"a", b"b"])
    assert not seen.look(0, [b"c", b"d", b"e"])
    assert not seen.look(0, [b"f"])
    assert seen.look(1, [b"g"])
    assert seen.looked_at == 4


def test_windowed_key_lies_where_the_key_in_it_does() -> None:
    windowed: hr.Serde[object] = hr.time_windowed(str, "1h")  # type: ignore[assignment]
    seen = placement(key=windowed)
    for key in KEYS:
        seen.look(partition_for(key, 4), [key + struct.pack(">q", 3_600_000), key])
    assert (seen.looked_at, seen.misplaced) == (40, 0)


# ── which topics ─────────────────────────────────────────────────────────────────────────────────────────────────


def joined(clicks: hr.Topic[str, str] = CLICKS) -> hr.Topology:
    builder = hr.StreamsBuilder()
    users = builder.table(USERS)
    builder.stream(clicks).join(users, lambda click, user: click + user, value=str).to("out")
    return builder.build()


def counted() -> hr.Topology:
    builder = hr.StreamsBuilder()
    builder.stream(CLICKS).filter(lambda key, value: True).group_by_key().count()
    builder.stream("others").group_by(lambda key, value: "k", key=str).count()
    return builder.build()


def written_with_a_partitioner() -> hr.Topology:
    builder = hr.StreamsBuilder()
    builder.stream(CLICKS).group_by_key().count()
    builder.stream("others", value=str).to(CLICKS, partitioner=lambda topic, key, value, count: 0)
    return builder.build()


def written_with_a_partitioner_somewhere() -> hr.Topology:
    builder = hr.StreamsBuilder()
    builder.stream(CLICKS).group_by_key().count()
    chosen = builder.stream("others", value=str)
    chosen.to(lambda key, value, metadata: "clicks", partitioner=lambda topic, key, value, count: 0)
    return builder.build()


def only_read() -> hr.Topology:
    builder = hr.StreamsBuilder()
    builder.table(USERS, store=stores.key_value("users", key=str, value=str))
    builder.stream(CLICKS).to("out")
    return builder.build()


@pytest.mark.parametrize(
    ("topology", "topics"),
    [
        (joined(), {"clicks", "users"}),
        (joined(hr.Topic("clicks", value=str, partitioned_by="other")), {"users"}),
        (counted(), {"clicks"}),
        (written_with_a_partitioner(), set()),
        (written_with_a_partitioner_somewhere(), set()),
        (only_read(), set()),
    ],
)
def test_only_keys_that_have_to_meet_others_are_looked_at(topology: hr.Topology, topics: set[str]) -> None:
    assert topology.keyed_topics == topics


def test_topic_can_be_partitioned_in_two_ways_only() -> None:
    with pytest.raises(hr.TopologyError, match="partitioned_by='crc': 'murmur2' or 'other' is wanted"):
        hr.Topic("clicks", partitioned_by="crc")  # type: ignore[arg-type]
    assert hr.Topic("clicks") != hr.Topic("clicks", partitioned_by="other")


# ── in an application ────────────────────────────────────────────────────────────────────────────────────────────


def run(
    folder: Path, place: Callable[[bytes, int], int], *, partitions: int = 4, records: int = 500
) -> tuple[int, int]:
    """Join clicks, placed in one way, with users, placed as usual; return keys misplaced and results."""
    log = MemoryLog()
    log.create_topics([TopicSpec(name, partitions) for name in ("clicks", "users", "out")])
    worker = build_worker(
        joined(),
        log,
        EngineOptions.of({"partitioning.check.records": records}),
        application_id="app",
        state_dir=folder,
        clock=ManualClock(),
    )
    worker.open()
    writer = log.writer("feed")
    for timestamp, topic, partition_of in ((1, "users", partition_for), (2, "clicks", place)):
        for key in KEYS:
            columns = Columns()
            columns.append(key, b"v", timestamp, ())
            writer.append(topic, partition_of(key, partitions), columns)
    writer.commit({})
    while worker.step(0):
        pass
    worker.commit()
    worker.step(0)
    misplaced = worker._factory.misplaced_keys
    worker.close()
    return misplaced, len(log.records("out"))


def test_join_that_finds_little_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert run(tmp_path, by_crc32) == (31, 9)
    (message,) = told(caplog)
    assert "reads topic 'clicks'" in message


def test_join_of_keys_placed_as_usual_is_silent(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert run(tmp_path, partition_for) == (0, 40)
    assert told(caplog) == []


def test_one_partition_has_room_for_all(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert run(tmp_path, by_crc32, partitions=1) == (0, 40)
    assert told(caplog) == []


def test_nobody_looks_if_told_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert run(tmp_path, by_crc32, records=0)[0] == 0
    assert told(caplog) == []


def test_nobody_asks_for_a_repartition_topic_by_its_short_name(tmp_path: Path) -> None:
    builder = hr.StreamsBuilder()
    clicks = builder.stream(CLICKS).group_by(lambda key, value: value, key=str)
    clicks.count(store=stores.key_value("counts", key=str, value=int))
    log = MemoryLog()
    log.create_topics([TopicSpec("clicks", 2)])
    worker = build_worker(
        builder.build(),
        log,
        EngineOptions.of({}),
        application_id="app",
        state_dir=tmp_path,
        clock=ManualClock(),
    )
    worker.open()
    worker.close()
    # The log makes a topic that is asked for where it is not there.
    assert sorted(log.topics()) == ["app-counts-changelog", "app-counts-repartition", "clicks"]
