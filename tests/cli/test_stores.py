"""`headrace stores`: what the changelogs say, with the application's serdes."""

import json
from pathlib import Path

import pytest

import headrace as hr
from headrace.cli.target import load
from tests.cli.conftest import Command
from tests.streams.waiting import until

WORDS = ("--app", "words:build", "--embedded", "words.db")


def _rows(text: str) -> list[dict[str, object]]:
    return sorted(map(json.loads, text.splitlines()), key=lambda row: row["key"])


def test_stores_are_listed_with_kind_partitions_and_topic(counted: Command) -> None:
    assert counted("stores", "list", *WORDS).lines == [
        "store    kind       partitions  topic",
        "counts   key_value  2           words-counts-changelog",
        "minutes  window     2           words-minutes-changelog",
    ]


def test_without_the_application_stores_are_those_with_a_changelog(counted: Command) -> None:
    ran = counted("stores", "list", "--application-id", "words", "--embedded", "words.db")
    assert [line.split()[0] for line in ran.lines] == ["store", "counts", "minutes"]


def test_dump_has_all_rows(counted: Command) -> None:
    assert _rows(counted("stores", "dump", "counts", *WORDS).out) == [
        {"key": "a", "value": 1, "timestamp": 61_000},
        {"key": "b", "value": 2, "timestamp": 61_000},
        {"key": "c", "value": 1, "timestamp": 61_000},
    ]


def test_dump_of_windows_has_start_and_end(counted: Command) -> None:
    assert _rows(counted("stores", "dump", "minutes", *WORDS).out)[1] == {
        "key": "b",
        "start": 60_000,
        "end": 120_000,
        "value": 2,
    }


def test_get_finds_a_key_wherever_it_is_and_says_so_if_it_is_nowhere(counted: Command) -> None:
    for key, value in (("a", 1), ("b", 2)):
        assert json.loads(counted("stores", "get", "counts", key, *WORDS).out)["value"] == value
    ran = counted("stores", "get", "counts", "zzz", *WORDS)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "headrace: store 'counts' has no key 'zzz'\n"


def test_get_of_a_window_store_takes_a_start(counted: Command) -> None:
    assert json.loads(counted("stores", "get", "minutes", "b", *WORDS).out)["value"] == 2
    assert counted("stores", "get", "minutes", "b", "--start", "0", *WORDS).code == 1


def test_scan_has_bounds_and_a_limit(counted: Command) -> None:
    keys = [row["key"] for row in _rows(counted("stores", "scan", "counts", "--from", "b", *WORDS).out)]
    assert keys == ["b", "c"]
    keys = [row["key"] for row in _rows(counted("stores", "scan", "counts", "--to", "b", *WORDS).out)]
    assert keys == ["a", "b"]
    assert len(counted("stores", "scan", "counts", "--limit", "1", *WORDS).lines) == 1


def test_formats_without_the_application(counted: Command) -> None:
    where = ("--application-id", "words", "--embedded", "words.db")
    assert _rows(counted("stores", "dump", "counts", "--value", "int64", *where).out)[1]["value"] == 2
    assert _rows(counted("stores", "dump", "counts", *where).out)[1]["value"] == {"base64": "AAAAAAAAAAI="}


def test_a_store_that_is_not_there_says_what_is_near(counted: Command) -> None:
    assert "did you mean 'counts'" in counted("stores", "dump", "cuonts", *WORDS).err
    where = ("--application-id", "words", "--embedded", "words.db")
    ran = counted("stores", "dump", "cuonts", *where)
    assert (ran.code, len(ran.err.splitlines())) == (1, 1)
    assert "did you mean 'counts'" in ran.err


def test_an_application_that_has_not_run_has_no_stores(command: Command, words: Path) -> None:
    command("topics", "create", "lines", "--embedded", "words.db")
    assert "has not run on this log yet" in command("stores", "dump", "counts", *WORDS).err


@pytest.mark.parametrize("key", ["\udcff", "[" * 20_000, "9" * 5_000])
def test_a_key_that_can_be_none_is_one_line(counted: Command, key: str) -> None:
    ran = counted("stores", "get", "counts", key, *WORDS, "--key", "int64")
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert "is no key of this store" in ran.err


_SHOP = """
import headrace as hr
from headrace import stores

FILLED = stores.key_value("filled", key=str, value=int)


@hr.processor(FILLED)
def fill(record, filled):
    filled.put(record.key, record.value + 1)
    return []


def build():
    builder = hr.StreamsBuilder()
    builder.global_table("rates", key=str, value=int, store="kept")
    builder.add_global_store(FILLED, hr.Topic("more", key=str, value=int), fill)
    return builder.build()
"""


def test_global_table_is_read_from_all_of_its_topic(command: Command, directory: Path) -> None:
    (directory / "shop.py").write_text(_SHOP)
    where = ("--embedded", "shop.db")
    for topic in ("rates", "more"):
        command("topics", "create", topic, "--partitions", "2", *where)
    lines = "\n".join(json.dumps({"key": key, "value": 3, "timestamp": 1}) for key in "abc")
    command("topics", "write", "rates", *where, "--value", "int64", stdin=lines)
    app = ("--app", "shop:build", *where)
    assert [row["key"] for row in _rows(command("stores", "dump", "kept", *app).out)] == ["a", "b", "c"]
    assert [line.split() for line in command("stores", "list", *app).lines[1:]] == [
        ["filled", "key_value", "2", "more"],
        ["kept", "key_value", "2", "rates"],
    ]
    ran = command("stores", "dump", "filled", *app)
    assert (
        "store 'filled' is what a processor makes of topic 'more': query the running application" in ran.err
    )


MEANS = """
import headrace as hr
from headrace import agg


def build() -> hr.Topology:
    builder = hr.StreamsBuilder()
    numbers = builder.stream(hr.Topic("numbers", value=int))
    numbers.group_by_key().aggregate(agg.mean(int), store="means")
    return builder.build()
"""


def test_stores_of_ready_made_aggregations_show_results(command: Command, directory: Path) -> None:
    (directory / "means.py").write_text(MEANS)
    where = ("--app", "means:build", "--embedded", "means.db")
    command("topics", "create", "numbers", "--embedded", "means.db")
    lines = '{"key": "a", "value": 1, "timestamp": 5}\n{"key": "a", "value": 2, "timestamp": 6}'
    command("topics", "write", "numbers", *where, stdin=lines)
    with hr.Streams(
        load("means:build").topology, application_id="means", embedded_path="means.db", commit_interval_ms=10
    ) as streams:
        streams.wait_running("20s")
        # From another thread than the one that puts the rows.
        until(lambda: streams.query("means").get("a") == 1.5)
    found = command("stores", "get", "means", "a", *where).out
    assert json.loads(found) == {"key": "a", "value": 1.5, "timestamp": 6}


STAMPED = """
import headrace as hr
from headrace import stores

LAST = stores.key_value("last", key=str, value=str, headers=True)
HOURLY = stores.window("hourly", key=str, value=str, size="1h", retention="1h", headers=True)


@hr.processor(LAST, HOURLY)
def keep(record, last, hourly):
    last.put(record.key, stores.Stamped.of(record))
    hourly.put(record.key, stores.Stamped.of(record), 0)
    return []


def build():
    builder = hr.StreamsBuilder()
    builder.stream(hr.Topic("lines", value=str)).process(keep)
    return builder.build()
"""


def test_rows_of_stores_that_keep_headers_show_them(command: Command, directory: Path) -> None:
    (directory / "stamped.py").write_text(STAMPED)
    where = ("--app", "stamped:build", "--embedded", "stamped.db")
    command("topics", "create", "lines", "--embedded", "stamped.db")
    lines = (
        '{"key": "a", "value": "x", "timestamp": 5, "headers": [["by", "me"], ["by", null]]}\n'
        '{"key": "b", "value": "y", "timestamp": 6}'
    )
    command("topics", "write", "lines", *where, stdin=lines)
    with hr.Streams(
        load("stamped:build").topology,
        application_id="stamped",
        embedded_path="stamped.db",
        commit_interval_ms=10,
    ) as streams:
        streams.wait_running("20s")
        until(lambda: streams.query("last").get("b") is not None)
    headers = [["by", "me"], ["by", None]]
    assert _rows(command("stores", "dump", "last", *where).out) == [
        {"key": "a", "value": "x", "timestamp": 5, "headers": headers},
        {"key": "b", "value": "y", "timestamp": 6, "headers": []},
    ]
    assert json.loads(command("stores", "get", "hourly", "a", *where).out)["headers"] == headers
    # Without the application nobody knows what the store keeps: what its changes came with is shown.
    told = command("stores", "dump", "last", "--application-id", "stamped", "--embedded", "stamped.db").out
    assert [row.get("headers") for row in _rows(told)] == [headers, None]
