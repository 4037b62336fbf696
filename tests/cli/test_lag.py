"""`headrace lag` on the embedded log: records that are left, their age, and limits for monitoring."""

import json
from contextlib import closing
from dataclasses import replace

import pytest

from headrace.base.ids import TopicPartition
from headrace.log.embedded import EmbeddedLog
from headrace.outside.lag import lag_of_group
from tests.cli.conftest import Command

LOG = ("--app", "words:build", "--embedded", "words.db")


@pytest.fixture
def behind(counted: Command) -> Command:
    """Commands beside an application that has stopped, and has not seen two lines."""
    lines = '{"value": "d", "timestamp": 62000, "partition": 1}\n{"value": "e", "timestamp": 61000, "partition": 1}'
    counted("topics", "write", "lines", *LOG, stdin=lines)
    return counted


def rows(command: Command, *arguments: str) -> dict[str, dict[str, object]]:
    found = [json.loads(line) for line in command("lag", *LOG, "--json", *arguments).lines]
    return {f"{row['topic']}-{row['partition']}": row for row in found}


def test_a_group_that_is_not_there_is_a_failure_that_says_where_the_others_are(counted: Command) -> None:
    ran = counted("lag", "nobody", "--embedded", "words.db")
    assert (ran.code, ran.out) == (1, "")
    assert "there is no group 'nobody'; `headrace groups list --all` has those there are" in ran.err


def test_who_has_caught_up_lags_by_nothing(counted: Command) -> None:
    assert {row["lag"] for row in rows(counted).values()} == {0}
    assert counted("lag", *LOG, "--max-records", "0", "--max-age", "0ms").code == 0
    assert counted("lag", *LOG).lines[-1].startswith("group words: 0 records, oldest 0ms")


def test_what_is_left_is_counted_with_the_time_of_its_first_record(behind: Command) -> None:
    with closing(EmbeddedLog.open("words.db")) as log:
        log.groups.commit(
            "words", {TopicPartition("lines", 1): log.groups.committed("words")[TopicPartition("lines", 0)]}
        )
    row = rows(behind)["lines-1"]
    assert (row["task"], row["committed"], row["end"], row["lag"], row["oldest"]) == ("0_1", 1, 2, 1, 61000)


def test_a_lag_that_takes_too_long_to_count_is_told_by_its_offsets(behind: Command) -> None:
    behind("topics", "write", "lines", *LOG, stdin='{"value": "f", "timestamp": 61000, "partition": 0}')
    row = rows(behind, "--for", "0")["lines-0"]
    assert (row["lag"], row["is_exact"], row["oldest"]) == (1, False, None)
    assert "≤ 1" in behind("lag", *LOG, "--for", "0").out
    assert (
        behind("lag", *LOG, "--for", "0").lines[-1].startswith("group words: at most 1 records, oldest -; ")
    )


@pytest.mark.parametrize(
    ("limit", "code"),
    [
        (("--max-records", "0"), 3),
        (("--max-records", "1"), 0),
        (("--max-age", "1d"), 3),
        (("--max-age", "36500d"), 0),
        (("--max-age", "36500d", "--for", "0"), 3),
        (("--max-age", "soon"), 2),
    ],
)
def test_the_exit_code_says_whether_there_is_more_than_was_allowed(
    counted: Command, limit: tuple[str, ...], code: int
) -> None:
    counted("topics", "write", "lines", *LOG, stdin='{"value": "f", "timestamp": 61000, "partition": 0}')
    assert counted("lag", *LOG, *limit).code == code


@pytest.mark.parametrize("limit", [("--max-records", "9"), ("--max-age", "36500d")])
def test_no_limit_is_kept_where_nothing_was_committed_of_records_that_are_there(
    behind: Command, limit: tuple[str, str]
) -> None:
    ran = behind("lag", *LOG, *limit)
    assert ran.lines[-1] == (
        "group words: 0 records, oldest -; in 1 of 6 partitions it has committed nothing yet"
    )
    assert ran.code == 3


@pytest.mark.parametrize("limit", [("--max-records", "9"), ("--max-age", "36500d")])
def test_what_was_committed_beyond_the_end_is_told(counted: Command, limit: tuple[str, str]) -> None:
    with closing(EmbeddedLog.open("words.db")) as log:
        place = TopicPartition("lines", 0)
        log.groups.commit("words", {place: replace(log.groups.committed("words")[place], offset=999)})
    row = rows(counted)["lines-0"]
    assert (row["committed"], row["lag"], row["is_beyond"], row["age_ms"]) == (999, None, True, None)
    ran = counted("lag", *LOG, *limit)
    assert ran.lines[-1].endswith(
        "; in 1 of 6 partitions what it has committed is beyond the end: the topic was made again, or was cut"
    )
    assert ran.code == 3


def test_a_group_that_is_not_there_is_told(counted: Command) -> None:
    ran = counted("lag", "nobody", *LOG)
    assert ran.code == 1
    assert "there is no group 'nobody'" in ran.err


def test_an_application_in_place_of_a_group_is_told_how_it_is_asked_for(counted: Command) -> None:
    for asked in (("lag",), ("groups", "describe")):
        ran = counted(*asked, "words:build", *LOG)
        assert ran.code == 1
        assert "there is no group 'words:build'; write --app words:build for an application, " in ran.err


def test_whoever_has_a_log_can_ask(behind: Command) -> None:
    with closing(EmbeddedLog.open("words.db")) as log:
        _, lags = lag_of_group(log, "words", None)
        assert {str(each.partition): each.lag for each in lags} == {
            "lines-0": 0,
            "words-counts-repartition-0": 0,
            "words-minutes-repartition-0": 0,
        }
