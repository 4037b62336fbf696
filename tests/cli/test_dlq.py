"""`headrace dlq`: dead letters are shown, and go back to where they came from, each once."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

import headrace as hr
from headrace.base.columns import Columns
from headrace.base.file_lock import FileLock
from headrace.base.ids import TopicPartition
from headrace.base.records import Headers
from headrace.cli.target import load
from headrace.log.embedded import EmbeddedLog
from headrace.log.port import TopicSpec
from headrace.outside.dead_letters import LetterFilter
from headrace.outside.replay import handle_letters
from headrace.processor.handlers import NODE_HEADER, STAGE_HEADER
from tests.cli.conftest import Command
from tests.streams.waiting import until

LOG = ("--embedded", "orders.db")
KILLED = Path(__file__).with_name("killed.py")

APPLICATION = """
import headrace as hr

ORDERS = hr.Topic("orders", value=int, partitions=2)


def half(order: int) -> int:
    if order % 2:
        raise ValueError(f"{order} is odd")
    return order // 2


def tenth(order: int) -> int:
    if order % 10 == 4:
        raise KeyError(order)
    return order


def build():
    builder = hr.StreamsBuilder()
    halves = builder.stream(ORDERS).map_values(half, value=int, name="halve")
    halves.map_values(tenth, value=int, name="check").to("halves", value=int)
    return builder.build()
"""


#: Partition, key, value, timestamp and headers of a record.
Row = tuple[int, bytes | None, bytes | None, int, Headers]


def number(value: int) -> bytes:
    return value.to_bytes(8, "big")


def write(topic: str, *records: Row) -> None:
    """Append records."""
    with closing(EmbeddedLog.open("orders.db")) as log:
        writer = log.writer("test")
        for partition, key, value, timestamp, headers in records:
            columns = Columns()
            columns.append(key, value, timestamp, headers)
            writer.append(topic, partition, columns)
        writer.commit({})
        writer.close()


def held(topic: str) -> list[Row]:
    """All records of a topic."""
    found: list[Row] = []
    with closing(EmbeddedLog.open("orders.db")) as log:
        count = log.partition_counts([topic])[topic]
        places = [TopicPartition(topic, each) for each in range(count)]
        ends, reader = log.end_offsets(places), log.reader()
        reader.assign(dict(log.beginning_offsets(places)))
        while any(reader.position(place) < ends[place] for place in places):
            for chunk in reader.poll(100):
                headers = chunk.headers or [()] * len(chunk)
                rows = zip(chunk.keys, chunk.values, chunk.timestamps, map(tuple, headers))
                found += [(chunk.partition, *row) for row in rows]
        reader.close()
    return found


@pytest.fixture
def failed(command: Command, directory: Path) -> Command:
    """Commands beside an application that has put five of seven orders aside."""
    Path("shop.py").write_text(APPLICATION)
    with closing(EmbeddedLog.open("orders.db")) as log:
        log.create_topics([TopicSpec("orders", 2), TopicSpec("halves", 1), TopicSpec("dead", 1)])
    write(
        "orders",
        *((each % 2, b"k%d" % each, number(value), 1000 * each, ORDERS_HEADERS) for each, value in ORDERS),
    )
    process_all()
    return command


ORDERS = list(enumerate([2, 3, 8, 5, 6, 7, 28]))
ORDERS_HEADERS = (("trace", b"x"),)


def process_all() -> None:
    with hr.Streams(
        load("shop:build").topology,
        application_id="shop",
        embedded_path="orders.db",
        commit_interval_ms=10,
        errors_dead_letter_queue_topic_name="dead",
        processing_exception_handler=lambda failure: hr.Reaction.dead_letter(),
    ) as streams:
        streams.wait_running("20s")
        with closing(EmbeddedLog.open("orders.db")) as log:
            places = [TopicPartition("orders", 0), TopicPartition("orders", 1)]
            ends = log.end_offsets(places)
            until(lambda: {each: done.offset for each, done in log.groups.committed("shop").items()} == ends)


def test_dead_letters_are_counted_by_reason_and_node(failed: Command) -> None:
    ran = failed("dlq", "list", "dead", *LOG)
    assert (ran.code, ran.lines) == (
        0,
        [
            "open  replayed  dropped  reason      node   from    first                 last",
            "   3         0        0  ValueError  halve  orders  1970-01-01T00:00:01Z  1970-01-01T00:00:05Z",
            "   2         0        0  KeyError    check  orders  1970-01-01T00:00:02Z  1970-01-01T00:00:06Z",
        ],
    )


def test_a_dead_letter_is_shown_with_its_record_and_its_traceback(failed: Command) -> None:
    ran = failed(
        "dlq", "show", "dead", "--app", "shop:build", "--limit", "1", "--reason", "ValueError", "--json", *LOG
    )
    (row,) = map(json.loads, ran.lines)
    assert row.pop("traceback").splitlines()[-1] == "ValueError: 3 is odd"
    assert row.pop("node").startswith("halve (shop.py:")
    assert row.pop("offset") >= 0
    assert row == {
        "dead_letters": "dead",
        "partition": 0,
        "state": "open",
        "reason": "ValueError",
        "message": "3 is odd",
        "stage": "process",
        "from": ["orders", 1, 0],
        "timestamp": 1000,
        "key": "k1",
        "value": 3,
        "headers": [["trace", "x"]],
    }


def test_a_dead_letter_is_shown_to_people(failed: Command) -> None:
    ran = failed("dlq", "show", "dead", "--app", "shop:build", "--node", "check", "--limit", "1", *LOG)
    assert ran.lines[0].endswith("(open), of 1970-01-01T00:00:02Z")
    assert "  by:      KeyError: 4" in ran.lines
    assert "  from:    orders, partition 0, offset 1" in ran.lines
    assert "  value:   8" in ran.lines
    assert "  | KeyError: 4" in ran.lines


REPLAYED = [
    (1, b"k1", number(3), 1000, ORDERS_HEADERS),
    (1, b"k3", number(5), 3000, ORDERS_HEADERS),
    (1, b"k5", number(7), 5000, ORDERS_HEADERS),
]


def test_records_go_back_to_the_partitions_that_they_came_from_as_they_were(failed: Command) -> None:
    before = held("orders")
    ran = failed("dlq", "replay", "dead", "--reason", "ValueError", *LOG)
    assert (ran.code, ran.lines) == (0, ["replayed 3", "replayed: 3 to partition 1 of topic 'orders'"])
    after = held("orders")
    assert [row for row in after if row[0] == 0] == [row for row in before if row[0] == 0]
    assert [row for row in after if row[0] == 1] == [row for row in before if row[0] == 1] + REPLAYED


def test_a_dead_letter_is_replayed_once(failed: Command) -> None:
    failed("dlq", "replay", "dead", "--reason", "ValueError", *LOG)
    before = held("orders")
    ran = failed("dlq", "replay", "dead", "--node", "halve", *LOG)
    assert (ran.code, ran.lines) == (0, ["nothing was replayed", "3 were replayed or dropped before"])
    assert held("orders") == before


def test_a_dry_run_does_nothing(failed: Command) -> None:
    before = held("orders")
    ran = failed("dlq", "replay", "dead", "--dry-run", *LOG)
    assert ran.lines == [
        "would be replayed: 2 to partition 0 of topic 'orders'",
        "would be replayed: 3 to partition 1 of topic 'orders'",
    ]
    assert held("orders") == before
    assert "dead-handled" not in {row.split()[0] for row in failed("topics", "list", *LOG).lines}


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        (("--since", "1970-01-01T00:00:03Z"), 3),
        (("--until", "1970-01-01T00:00:03Z"), 2),
        (("--from-offset", "1", "--to-offset", "2"), 2),
        (("--origin", "orders"), 5),
        (("--origin", "others"), 0),
        (("--partition", "0", "--node", "check"), 2),
    ],
)
def test_filters_choose_dead_letters(failed: Command, filters: tuple[str, ...], count: int) -> None:
    rows = map(json.loads, failed("dlq", "list", "dead", "--json", *filters, *LOG).lines)
    assert sum(row["count"] for row in rows) == count


def test_what_fails_again_is_another_dead_letter(failed: Command) -> None:
    failed("dlq", "replay", "dead", *LOG)
    process_all()
    rows = [json.loads(line) for line in failed("dlq", "list", "dead", "--json", *LOG).lines]
    assert [(row["reason"], row["count"], row["replayed"]) for row in rows] == [
        ("ValueError", 6, 3),
        ("KeyError", 4, 2),
    ]
    (row, *_) = map(json.loads, failed("dlq", "show", "dead", "--json", *LOG).lines)
    assert row["headers"] == [["trace", "x"]]


@pytest.mark.parametrize("lines", range(7))
def test_a_replay_that_is_killed_goes_on_where_it_was(failed: Command, lines: int) -> None:
    before = held("orders")
    arguments = ["dlq", "replay", "dead", "--batch", "1", *LOG]
    killed = subprocess.run(
        [sys.executable, KILLED, str(lines), *arguments], check=False, capture_output=True
    )
    assert killed.returncode == -9
    assert failed(*arguments).code == 0
    new = held("orders")
    for row in before:
        new.remove(row)
    assert sorted(row[1] or b"" for row in new) == [b"k1", b"k2", b"k3", b"k5", b"k6"]


def test_dropped_letters_are_gone(failed: Command) -> None:
    ran = failed("dlq", "drop", "dead", "--yes", "--node", "check", *LOG)
    assert (ran.code, ran.lines[-1]) == (0, "dropped: 2 of partition 0 of topic 'dead'")
    assert failed("dlq", "replay", "dead", *LOG).lines[1] == "replayed: 3 to partition 1 of topic 'orders'"
    assert failed("dlq", "show", "dead", *LOG).out == ""
    (row,) = map(json.loads, failed("dlq", "list", "dead", "--reason", "ValueError", "--json", *LOG).lines)
    assert (row["count"], row["replayed"], row["dropped"]) == (3, 3, 0)


def test_what_lies_below_all_that_is_open_is_deleted(failed: Command) -> None:
    failed("dlq", "drop", "dead", "--yes", *LOG)
    with closing(EmbeddedLog.open("orders.db")) as log:
        place = TopicPartition("dead", 0)
        assert log.beginning_offsets([place]) == log.end_offsets([place]) == {place: 5}


def test_nothing_is_dropped_without_an_answer(failed: Command) -> None:
    ran = failed("dlq", "drop", "dead", "--reason", "KeyError", *LOG)
    assert ran.code == 130
    assert "drop 2 dead letters of topic 'dead'?" in ran.err
    assert len(failed("dlq", "show", "dead", "--json", *LOG).lines) == 5


def test_what_fails_while_the_question_stands_is_not_dropped(
    failed: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def yes(text: str, **options: object) -> bool:
        write("dead", (0, b"late", number(1), 0, ()))
        return True

    monkeypatch.setattr("click.confirm", yes)
    ran = failed("dlq", "drop", "dead", *LOG)
    assert (ran.code, ran.lines[-1]) == (0, "dropped: 5 of partition 0 of topic 'dead'")
    (row,) = map(json.loads, failed("dlq", "show", "dead", "--json", *LOG).lines)
    assert row["offset"] == 5


def test_where_there_is_nothing_to_drop_nobody_is_asked(failed: Command) -> None:
    ran = failed("dlq", "drop", "dead", "--reason", "Other", *LOG)
    assert (ran.code, ran.lines, ran.err) == (0, ["nothing was dropped"], "")


def test_what_was_handled_is_counted_also_when_it_has_been_deleted(failed: Command) -> None:
    failed("dlq", "replay", "dead", "--node", "check", *LOG)
    failed("dlq", "drop", "dead", "--yes", *LOG)
    assert failed("dlq", "list", "dead", *LOG).lines == [
        "there are no dead letters in dead",
        "deleted by now: 2 that were replayed, 3 that were dropped",
    ]


def of(topic: str | None, partition: bytes, *, offset: bytes = b"7", reason: bytes = b"Failure") -> Headers:
    return (
        ("__streams.errors.exception", b"org.example." + reason),
        ("__streams.errors.topic", None if topic is None else topic.encode()),
        ("__streams.errors.partition", partition),
        ("__streams.errors.offset", offset),
    )


def test_a_record_with_several_dead_letters_goes_back_once(failed: Command) -> None:
    write("dead", *((0, b"k", b"v", 0, of("orders", b"0", offset=offset)) for offset in (b"7", b"7", b"8")))
    ran = failed("dlq", "replay", "dead", "--from-offset", "5", *LOG)
    assert (ran.code, ran.lines[1:]) == (
        0,
        [
            "replayed: 2 to partition 0 of topic 'orders'",
            "dead letters of records that went back with another one: 1",
        ],
    )
    assert held("orders").count((0, b"k", b"v", 0, ())) == 2
    assert failed("dlq", "show", "dead", "--from-offset", "5", *LOG).out == ""


def test_a_record_that_an_earlier_replay_has_put_back_stays_there_once(failed: Command) -> None:
    for reason in (b"First", b"Second"):
        write("dead", (0, b"k", b"v", 0, of("orders", b"0", reason=reason)))
    failed("dlq", "replay", "dead", "--reason", "First", *LOG)
    ran = failed("dlq", "replay", "dead", "--reason", "Second", *LOG)
    assert ran.lines[1:] == [
        "nothing was replayed",
        "dead letters of records that went back with another one: 1",
    ]
    assert held("orders").count((0, b"k", b"v", 0, ())) == 1


def test_records_of_a_topic_that_is_made_again_are_others(failed: Command) -> None:
    write("dead", (0, b"k", b"v", 0, of("orders", b"0")))
    failed("dlq", "replay", "dead", "--from-offset", "5", *LOG)
    with closing(EmbeddedLog.open("orders.db")) as log:
        log.delete_topics(["orders"])
        log.create_topics([TopicSpec("orders", 2)])
    write("dead", (0, b"k", b"v", 0, of("orders", b"0")))
    ran = failed("dlq", "replay", "dead", "--from-offset", "6", *LOG)
    assert ran.lines[1] == "replayed: 1 to partition 0 of topic 'orders'"


def test_a_record_whose_offset_no_dead_letter_tells_is_no_other_one(failed: Command) -> None:
    write("dead", *2 * [(0, b"k", b"v", 0, of("orders", b"0", offset=b""))])
    ran = failed("dlq", "replay", "dead", "--from-offset", "5", *LOG)
    assert ran.lines[1] == "replayed: 2 to partition 0 of topic 'orders'"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ((0, None, None, 0, of(None, b"-1")), "it came from no record: a punctuation failed"),
        ((0, None, None, 0, of("orders", b"0")), "its record is not known any more: a cache had let it go"),
        ((0, b"k", b"v", 0, of("gone", b"0")), "topic 'gone' is not there any more"),
        ((0, b"k", b"v", 0, of("orders", b"5")), "topic 'orders' has 2 partitions by now"),
        ((0, b"k", b"v", 0, (("own", b"1"),)), "it came from no record: a punctuation failed"),
    ],
)
def test_what_cannot_go_back_is_left(failed: Command, record: Row, reason: str) -> None:
    write("dead", record)
    before = held("orders")
    ran = failed("dlq", "replay", "dead", "--from-offset", "5", *LOG)
    assert (ran.code, ran.err) == (1, f"left: 1, since {reason}\n")
    assert held("orders") == before
    assert len(failed("dlq", "show", "dead", "--from-offset", "5", "--json", *LOG).lines) == 1


def test_a_topic_that_forgets_by_age_keeps_no_account(failed: Command) -> None:
    failed("topics", "create", "dead-handled", "--topic-config", "cleanup.policy=compact,delete", *LOG)
    before = held("orders")
    ran = failed("dlq", "replay", "dead", *LOG)
    assert ran.code == 1
    assert "topic 'dead-handled' has cleanup.policy=compact,delete, by which it forgets" in ran.err
    assert held("orders") == before


def test_what_was_done_is_forgotten_where_the_account_is_deleted(failed: Command) -> None:
    failed("dlq", "replay", "dead", "--from-offset", "4", *LOG)
    (row,) = held("dead-handled")
    write("dead-handled", (0, row[1], None, 0, ()))
    assert len(failed("dlq", "show", "dead", "--json", *LOG).lines) == 5


def test_a_record_of_a_table_takes_the_place_of_a_later_one_only_where_that_is_meant(failed: Command) -> None:
    failed("topics", "create", "prices", "--topic-config", "cleanup.policy=compact", *LOG)
    write("dead", (0, b"k", b"old", 0, of("prices", b"0")))
    write("prices", (0, b"k", b"new", 1, ()))
    ran = failed("dlq", "replay", "dead", "--origin", "prices", *LOG)
    assert (ran.code, ran.err.partition(":")[2]) == (
        1,
        " 1, since topic 'prices' is compacted: it would take the place of a later record of its key, where there is "
        "one (--to-compacted)\n",
    )
    ran = failed("dlq", "replay", "dead", "--origin", "prices", "--to-compacted", *LOG)
    assert (ran.code, ran.lines[-1]) == (0, "replayed: 1 to partition 0 of topic 'prices'")


@pytest.mark.parametrize(("batch_bytes", "told"), [(0, [1, 2, 3]), (200, [2, 3]), (300, [3])])
def test_a_transaction_has_no_more_bytes_than_it_may(
    failed: Command, batch_bytes: int, told: list[int]
) -> None:
    write("dead", *((0, b"k", bytes(92), 0, of("orders", b"0", offset=b"%d" % each)) for each in range(3)))
    heard: list[int] = []
    with closing(EmbeddedLog.open("orders.db")) as log:
        handle_letters(
            log,
            log.topics(["dead"])["dead"],
            LetterFilter(first=5),
            "replayed",
            batch_records=1000,
            batch_bytes=batch_bytes,
            tell=heard.append,
        )
    assert heard == told


def test_a_dead_letter_about_a_dead_letter_is_that_of_who_failed_last(failed: Command) -> None:
    ours = (("own", b"1"), *of("orders", b"0"), (NODE_HEADER, b"halve"), (STAGE_HEADER, b"process"))
    write("dead", (0, b"k", b"v", 0, (*ours, *of("dead", b"0", offset=b"3"))))
    ran = failed("dlq", "show", "dead", "--from-offset", "5", "--json", *LOG)
    (row,) = map(json.loads, ran.lines)
    assert (row["node"], row["stage"], row["from"]) == (None, None, ["dead", 0, 3])
    assert [name for name, _ in row["headers"]] == [name for name, _ in ours]


def test_an_output_that_is_gone_is_not_told_as_a_lock_that_cannot_be_had(failed: Command) -> None:
    read, write_end = os.pipe()
    os.close(read)
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "headrace.cli", "dlq", "replay", "dead", *LOG],
            check=False,
            stdout=write_end,
            stderr=subprocess.PIPE,
        )
    finally:
        os.close(write_end)
    assert ran.stderr == b""


def test_two_replays_do_not_meet(failed: Command, locked: Callable[[], None]) -> None:
    locked()
    ran = failed("dlq", "replay", "dead", *LOG)
    assert ran.code == 1
    assert "are being replayed or dropped: wait until that has ended" in ran.err


@pytest.fixture
def locked() -> Iterator[Callable[[], None]]:
    lock = FileLock(Path("orders.db.dead-lock"))

    def take() -> None:
        lock.open()
        assert lock.lock()

    yield take
    lock.release()


def test_a_topic_that_is_made_again_begins_anew(failed: Command) -> None:
    failed("dlq", "replay", "dead", *LOG)
    with closing(EmbeddedLog.open("orders.db")) as log:
        log.delete_topics(["dead"])
        log.create_topics([TopicSpec("dead", 1)])
    write("dead", (0, b"k9", number(9), 0, of("orders", b"1")))
    assert failed("dlq", "replay", "dead", *LOG).lines[-1] == "replayed: 1 to partition 1 of topic 'orders'"


def test_all_topics_that_handlers_have_named_are_meant_where_none_is(failed: Command) -> None:
    with closing(EmbeddedLog.open("orders.db")) as log:
        log.create_topics([TopicSpec("odd", 1)])
    write("odd", (0, b"k9", number(9), 0, of("orders", b"1")))
    found = sorted(Path().rglob("dead-letter-topics"))
    assert [each.read_text() for each in found] == ["dead\n"]
    found[0].write_text("dead\nodd\n")
    options = ("--application-id", "shop", *LOG)
    lines = failed("dlq", "list", *options).lines
    assert [line.split()[-1] for line in lines[1:]] == ["dead", "dead", "odd"]
    assert sorted(
        {json.loads(line)["dead_letters"] for line in failed("dlq", "list", "--json", *options).lines}
    ) == [
        "dead",
        "odd",
    ]
    assert failed("dlq", "show", *options).out.count("dead letter odd 0:0 (open)") == 1
    several = failed("dlq", "drop", "--yes", *options)
    assert "several topics of dead letters could be meant (dead, odd): give TOPIC" in several.err
    assert (
        failed("dlq", "drop", "odd", "--yes", *options).lines[-1]
        == "dropped: 1 of partition 0 of topic 'odd'"
    )


def test_the_topic_of_the_application_is_meant_where_none_is_named(failed: Command) -> None:
    assert "no topic of dead letters is named" in failed("dlq", "list", *LOG).err
    ran = failed("dlq", "list", "--set", "errors.dead.letter.queue.topic.name=dead", *LOG)
    assert len(ran.lines) == 3


# ── what the ledger forgets ──────────────────────────────────────────────────────────────────────────────────────────


def entries() -> set[tuple[int, int]]:
    """The letters of which the ledger says something, by partition and offset."""
    found: dict[bytes, bytes | None] = {
        key: value for _, key, value, *_ in held("dead-handled") if key is not None
    }
    letters = [key.decode().split(" ")[1:] for key, value in found.items() if value is not None]
    return {(int(partition), int(offset)) for partition, offset in letters}


def retain_from(offset: int) -> None:
    """Let retention take what lies before an offset."""
    with closing(EmbeddedLog.open("orders.db")) as log:
        log.delete_records({TopicPartition("dead", 0): offset})


def test_what_is_said_of_letters_that_are_gone_is_forgotten(failed: Command) -> None:
    failed("dlq", "replay", "dead", *LOG)
    assert entries() == {(0, offset) for offset in range(5)}
    retain_from(3)
    failed("dlq", "replay", "dead", "--dry-run", *LOG)
    assert len(entries()) == 5
    assert failed("dlq", "replay", "dead", *LOG).lines == [
        "nothing was replayed",
        "2 were replayed or dropped before",
    ]
    assert entries() == {(0, 3), (0, 4)}
    retain_from(5)
    failed("dlq", "drop", "dead", "--yes", *LOG)
    assert entries() == set()


def test_what_went_back_is_known_as_long_as_there_is_a_letter_of_it(failed: Command) -> None:
    failed("dlq", "replay", "dead", *LOG)
    write("dead", *((0, b"k", b"v", 0, of("orders", b"0", offset=b"90")) for _ in range(2)))
    failed("dlq", "replay", "dead", "--to-offset", "5", *LOG)
    retain_from(6)
    ran = failed("dlq", "replay", "dead", *LOG)
    assert ran.lines[1:] == [
        "nothing was replayed",
        "dead letters of records that went back with another one: 1",
    ]
    assert held("orders").count((0, b"k", b"v", 0, ())) == 1
    assert entries() == {(0, 5), (0, 6)}  # of one record
    retain_from(7)
    failed("dlq", "replay", "dead", *LOG)
    assert entries() == set()


def test_what_is_said_of_a_topic_that_was_made_again_is_forgotten(failed: Command) -> None:
    failed("dlq", "replay", "dead", *LOG)
    with closing(EmbeddedLog.open("orders.db")) as log:
        log.delete_topics(["dead"])
        log.create_topics([TopicSpec("dead", 1)])
    write("dead", (0, b"k9", number(9), 0, of("orders", b"1")))
    failed("dlq", "replay", "dead", *LOG)
    assert entries() == {(0, 0)}
