"""`headrace lag` on the embedded log: records that are left, their age, and limits for monitoring."""

import json
from contextlib import closing

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


def test_who_has_caught_up_lags_by_nothing(counted: Command) -> None:
    assert {row["lag"] for row in rows(counted).values() if row["committed"] is not None} == {0}
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
        behind("lag", *LOG, "--for", "0").lines[-1].startswith("group words: at most 1 records, oldest 0ms")
    )


@pytest.mark.parametrize(
    ("limit", "code"),
    [
        (("--max-records", "0"), 3),
        (("--max-records", "1"), 0),
        (("--max-age", "1d"), 3),
        (("--max-age", "36500d"), 0),
        (("--max-age", "soon"), 2),
    ],
)
def test_the_exit_code_says_whether_there_is_more_than_was_allowed(
    behind: Command, limit: tuple[str, str], code: int
) -> None:
    behind("topics", "write", "lines", *LOG, stdin='{"value": "f", "timestamp": 61000, "partition": 0}')
    assert behind("lag", *LOG, *limit).code == code


def test_a_group_that_is_not_there_is_told(counted: Command) -> None:
    ran = counted("lag", "nobody", *LOG)
    assert ran.code == 1
    assert "there is no group 'nobody'" in ran.err


def test_whoever_has_a_log_can_ask(behind: Command) -> None:
    with closing(EmbeddedLog.open("words.db")) as log:
        _, lags = lag_of_group(log, "words", None)
        assert sum(each.lag or 0 for each in lags) == 0
        assert {each.age_ms(0) for each in lags if each.lag == 0} == {0}
