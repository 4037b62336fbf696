"""`headrace topics`: what is written can be read."""

import json
from pathlib import Path

import pytest

from headrace.base.murmur2 import partition_for
from headrace.log.embedded import EmbeddedLog
from tests.cli.conftest import Command

LOG = ("--embedded", "shop.db")


@pytest.fixture
def orders(command: Command) -> Command:
    """Commands on a log with a topic `orders` of two partitions."""
    assert command("topics", "create", "orders", "--partitions", "2", *LOG).code == 0
    return command


def _records(text: str) -> list[tuple[object, object]]:
    return sorted((row["key"], row["value"]) for row in map(json.loads, text.splitlines()))


def test_a_new_topic_is_listed_with_partitions_and_records(orders: Command) -> None:
    orders("topics", "write", "orders", *LOG, stdin='{"key": "a", "value": "x"}\n')
    ran = orders("topics", "list", *LOG)
    assert ran.lines == ["topic   partitions  records", "orders           2        1"]
    assert json.loads(orders("topics", "list", "--json", *LOG).out) == {
        "topic": "orders",
        "partitions": 2,
        "records": 1,
        "config": {},
    }


def test_a_topic_has_the_properties_it_was_created_with(command: Command, directory: Path) -> None:
    command("topics", "create", "table", "--topic-config", "cleanup.policy=compact", *LOG)
    log = EmbeddedLog.open(directory / "shop.db")
    assert log.topics()["table"].config == {"cleanup.policy": "compact"}
    log.close()


def test_a_topic_that_exists_is_not_created_again(orders: Command) -> None:
    ran = orders("topics", "create", "orders", *LOG)
    assert (ran.code, ran.err) == (1, "headrace: cannot create topic 'orders': it exists\n")


def test_what_is_written_is_read(orders: Command) -> None:
    lines = (
        '{"key": "a", "value": {"n": 1}, "timestamp": 5, "headers": {"h": "x"}}\n'
        '\n{"key": "b", "value": "two", "timestamp": 6}'
    )
    ran = orders("topics", "write", "orders", *LOG, stdin=lines)
    assert (ran.code, ran.err) == (0, "wrote 2 records to orders\n")
    rows = [json.loads(line) for line in orders("topics", "read", "orders", *LOG).lines]
    first = next(row for row in rows if row["key"] == "a")
    assert first["value"] == {"n": 1}
    assert first["timestamp"] == 5
    assert first["headers"] == [["h", "x"]]
    assert (first["topic"], first["offset"]) == ("orders", 0)
    assert _records("\n".join(map(json.dumps, rows)))[1] == ("b", "two")


def test_keys_go_where_kafka_sends_them(orders: Command) -> None:
    # What the partitioner gives is pinned in the tests of murmur2.
    from headrace.base.murmur2 import partition_for

    orders("topics", "write", "orders", *LOG, stdin="".join(f'{{"key": "{key}"}}\n' for key in "abc"))
    rows = [json.loads(line) for line in orders("topics", "read", "orders", *LOG).lines]
    assert {row["key"]: row["partition"] for row in rows} == {
        key: partition_for(key.encode(), 2) for key in "abc"
    }


def test_records_without_a_key_take_turns_and_a_partition_may_be_named(orders: Command) -> None:
    orders(
        "topics",
        "write",
        "orders",
        *LOG,
        stdin='{"value": "x"}\n{"value": "y"}\n{"value": "z", "partition": 0}\n',
    )
    rows = [json.loads(line) for line in orders("topics", "read", "orders", *LOG).lines]
    partitions = {row["value"]: row["partition"] for row in rows}
    assert {partitions["x"], partitions["y"]} == {0, 1}
    assert partitions["z"] == 0


def test_a_bad_line_ends_it_with_everything_before_it_written(orders: Command) -> None:
    ran = orders(
        "topics", "write", "orders", *LOG, stdin='{"value": "a"}\n{"value": "b"}\nnonsense\n{"value": "c"}\n'
    )
    assert ran.code == 1
    assert len(ran.err.splitlines()) == 1
    assert "line 3 cannot be written: it is no JSON" in ran.err
    assert "2 records of the lines before it are written, nothing from it on" in ran.err
    assert [value for _, value in _records(orders("topics", "read", "orders", *LOG).out)] == ["a", "b"]


def test_a_byte_order_mark_is_no_part_of_the_first_line(orders: Command) -> None:
    ran = orders("topics", "write", "orders", *LOG, stdin='\ufeff{"value": "a"}\r\n{"value": "b"}\r\n')
    assert ran.err == "wrote 2 records to orders\n"
    assert [value for _, value in _records(orders("topics", "read", "orders", *LOG).out)] == ["a", "b"]


def test_a_long_line_comes_in_many_parts(orders: Command) -> None:
    long = "x" * 20_000_000
    ran = orders("topics", "write", "orders", *LOG, stdin=f'{{"value": "a"}}\n{{"value": "{long}"}}')
    assert ran.err == "wrote 2 records to orders\n"
    assert [value for _, value in _records(orders("topics", "read", "orders", *LOG).out)] == ["a", long]


def test_what_the_topic_would_refuse_is_a_bad_line(command: Command, directory: Path) -> None:
    command("topics", "create", "small", *LOG, "--topic-config", "max.message.bytes=5000")
    command("topics", "create", "keyed", *LOG, "--topic-config", "cleanup.policy=compact")
    ran = command("topics", "write", "small", *LOG, stdin='{"value": "a"}\n{"value": "%s"}\n' % ("x" * 6000))
    assert (
        "line 2 cannot be written: cannot write a record to partition 0 of topic 'small': it has 6,"
        in ran.err
    )
    assert "1 record of the lines before it is written" in ran.err
    ran = command("topics", "write", "keyed", *LOG, stdin='{"key": "k"}\n{"value": "a"}\n')
    assert "line 2 cannot be written" in ran.err
    assert "the topic is compacted, and takes no record without a key" in ran.err


def test_a_number_of_partitions_that_nobody_wants_is_refused(command: Command) -> None:
    ran = command("topics", "create", "big", *LOG, "--partitions", "99999999999")
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)


def test_a_place_beyond_all_bounds_is_one_line(orders: Command) -> None:
    ran = orders("topics", "read", "orders", *LOG, "--from", "9" * 5000)
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert len(ran.err) < 300


def test_a_partition_that_is_not_there_is_a_bad_line(orders: Command) -> None:
    assert (
        "its partition is 2, but the topic has 0 to 1"
        in orders("topics", "write", "orders", *LOG, stdin='{"value": "a", "partition": 2}').err
    )


def test_a_topic_that_is_not_there_is_neither_written_nor_read(orders: Command) -> None:
    assert "make it with `headrace topics create prders`" in orders("topics", "write", "prders", *LOG).err
    assert (
        "there is no topic 'prders'; did you mean 'orders'?" in orders("topics", "read", "prders", *LOG).err
    )
    assert "`headrace topics list` has those there are" in orders("topics", "read", "xyz", *LOG).err


def test_a_topic_that_the_application_is_to_make_is_not_there_yet(command: Command, words: Path) -> None:
    command("topics", "write", "lines", "--app", "words:build", *LOG, stdin='{"value": "a"}')
    said = command("topics", "read", "word-counts", "--app", "words:build", *LOG).err
    assert said == "headrace: there is no topic 'word-counts' yet: the application makes it when it starts\n"


def test_the_log_of_dev_can_be_written_before_its_first_start(
    command: Command, words: Path, directory: Path
) -> None:
    ran = command("topics", "write", "lines", "--app", "words:build", stdin='{"value": "a"}')
    assert (ran.code, ran.err) == (0, "wrote 1 record to lines\n")
    assert (directory / ".headrace" / "words.db").exists()
    assert len(command("topics", "read", "lines", "--app", "words:build").lines) == 1


def test_a_topic_near_one_that_the_application_reads_is_asked_for(command: Command, words: Path) -> None:
    command("topics", "create", "orders", *LOG)
    ran = command("topics", "write", "linse", "--app", "words:build", *LOG)
    assert ran.code == 1
    assert "no topic 'linse'; did you mean 'lines'? make it with" in ran.err
    assert "--app" not in ran.err


def test_a_name_that_kafka_refuses_is_refused(command: Command) -> None:
    for name in ("two words", "", "..", "a" * 250):
        ran = command("topics", "create", name, *LOG)
        assert (ran.code, len(ran.err.splitlines())) == (2, 1), ran.err


def test_the_application_names_the_log_of_dev(command: Command, words: Path, directory: Path) -> None:
    (directory / ".headrace").mkdir()
    log = ("--embedded", ".headrace/words.db")
    command("topics", "create", "lines", *log)
    command("topics", "create", "lines", "--embedded", ".headrace/other.db")
    app = ("--app", "words:build")
    assert command("topics", "create", "more", *app).code == 0
    assert "more" in command("topics", "list", *app).out


def test_reading_begins_where_it_is_told(orders: Command) -> None:
    lines = "".join(f'{{"value": "{n}", "timestamp": {n * 1000}, "partition": 0}}\n' for n in range(5))
    orders("topics", "write", "orders", *LOG, stdin=lines)

    def values(*options: str) -> str:
        rows = map(json.loads, orders("topics", "read", "orders", *options, *LOG).lines)
        return "".join(row["value"] for row in rows)

    assert values() == "01234"
    assert values("--from", "end") == ""
    assert values("--from", "3") == "34"
    assert values("--from", "1970-01-01T00:00:02Z") == "234"
    assert values("--limit", "2") == "01"
    assert values("--from", "1", "--limit", "2") == "12"
    assert values("--partition", "1") == ""


def test_a_place_or_partition_that_makes_no_sense_is_an_error(orders: Command) -> None:
    assert "--from is 'soon'" in orders("topics", "read", "orders", "--from", "soon", *LOG).err
    assert "has no partition 2" in orders("topics", "read", "orders", "--partition", "2", *LOG).err


def test_formats_by_flag(orders: Command) -> None:
    orders("topics", "write", "orders", "--key", "int64", *LOG, stdin='{"key": 7, "value": "x"}\n')
    assert _records(orders("topics", "read", "orders", "--key", "int64", *LOG).out) == [(7, "x")]
    shown = json.loads(orders("topics", "read", "orders", *LOG).out)
    assert shown["key"] == {"base64": "AAAAAAAAAAc="}


def test_formats_by_application(command: Command, words: Path) -> None:
    app = ("--app", "words:build", *LOG)
    command("topics", "create", "lines", *LOG)
    command("topics", "create", "word-counts", *LOG)
    assert command("topics", "write", "lines", *app, stdin='{"value": 5}').code == 1
    assert command("topics", "write", "word-counts", *app, stdin='{"key": "a", "value": 5}').code == 0
    assert _records(command("topics", "read", "word-counts", *app).out) == [("a", 5)]


def test_input_may_be_written_before_the_application_has_ever_run(command: Command, words: Path) -> None:
    app = ("--app", "words:build", *LOG)
    assert command("topics", "write", "lines", *app, stdin='{"value": "to be"}').code == 0
    assert command("topics", "list", *LOG).lines == [
        "topic  partitions  records",
        "lines           2        1",
    ]


def test_a_topic_that_the_application_does_not_read_is_not_made(command: Command, words: Path) -> None:
    ran = command("topics", "write", "linse", "--app", "words:build", *LOG, stdin='{"value": "to be"}')
    assert ran.code == 2
    assert not Path("shop.db").exists()


def test_the_log_is_found_by_environment_and_where_dev_keeps_it(
    command: Command, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directory / ".headrace").mkdir()
    command("topics", "create", "one", "--embedded", ".headrace/shop.db")
    assert "one" in command("topics", "list").out
    command("topics", "create", "two", "--embedded", ".headrace/other.db")
    assert "several embedded logs could be meant" in command("topics", "list").err
    assert "two" in command("topics", "list", "--application-id", "other").out
    monkeypatch.setenv("HEADRACE_EMBEDDED_PATH", ".headrace/shop.db")
    assert "one" in command("topics", "list").out


def test_all_windows_of_a_key_are_written_to_the_partition_of_the_key(
    command: Command, directory: Path
) -> None:
    (directory / "windows_app.py").write_text(
        "import headrace as hr\n"
        "from headrace.serde.windowed import time_windowed\n"
        "builder = hr.StreamsBuilder()\n"
        "topic = hr.Topic('windows', key=time_windowed(str, '5s'), value=int, partitions=8)\n"
        "builder.stream(topic).foreach(lambda key, value: None)\n"
    )
    command("topics", "create", "windows", "--partitions", "8", *LOG)
    lines = "".join(
        f'{{"key": {{"key": "a", "start": {start}, "end": {start + 5000}}}, "value": 1}}\n'
        for start in range(0, 100_000, 5000)
    )
    asked = ("--app", "windows_app:builder", *LOG)
    assert command("topics", "write", "windows", *asked, stdin=lines).code == 0
    rows = [json.loads(line) for line in command("topics", "read", "windows", *asked).lines]
    assert len(rows) == 20
    assert {row["partition"] for row in rows} == {partition_for(b"a", 8)}
