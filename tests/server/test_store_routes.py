"""What is asked of stores over HTTP: values, ranges, windows, sessions and versions, a page at a time."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from headrace.server.paging import Cursor
from headrace.server.store_rows import StoreRows
from tests.server.conftest import Served


def pages(served: Served, target: str) -> list[list[dict[str, Any]]]:
    """Ask for all pages of a question."""
    found = []
    cursor = ""
    while True:
        answer = served.ask(target + cursor)
        assert answer.status == 200, answer.body
        found.append(answer.body["rows"])
        if answer.body["next"] is None:
            return found
        cursor = f"&cursor={answer.body['next']}"


def test_stores_are_listed_with_their_kinds(served: Served) -> None:
    found = served.ask("/stores").body["stores"]
    assert [(each["name"], each["kind"]) for each in found] == [
        ("counts", "key_value"),
        ("last", "versioned"),
        ("minutes", "window"),
        ("numbers", "key_value"),
        ("visits", "session"),
    ]


def test_value_of_a_key(served: Served) -> None:
    answer = served.ask("/stores/counts/a")
    assert (answer.status, answer.body) == (200, {"key": "a", "value": 12})


def test_newline_in_a_path_is_part_of_the_key(served: Served) -> None:
    for target in ("/stores/counts/a%0A", "/stores/counts/a%0Ab", "/stores/counts?key=a%0A"):
        answer = served.ask(target)
        assert (answer.status, answer.body) == (404, {"error": "store 'counts' has no such key"})


def test_key_that_is_no_text_is_written_as_json(served: Served) -> None:
    assert served.ask("/stores/numbers/7").body == {"key": 7, "value": {"half": 3.5}}
    assert served.ask("/stores/numbers?key=7").body == {"key": 7, "value": {"half": 3.5}}


@pytest.mark.parametrize("key", ["seven", "7.5", "1e400", "99999999999999999999", "null", "[", "%7B%7D"])
def test_key_of_another_type_is_a_mistake_of_who_asks(served: Served, key: str) -> None:
    answer = served.ask(f"/stores/numbers/{key}")
    assert answer.status == 400
    assert "key is no key of store 'numbers'" in answer.body["error"]


def test_key_that_is_not_there_is_not_found(served: Served) -> None:
    answer = served.ask("/stores/counts/z")
    assert (answer.status, answer.body) == (404, {"error": "store 'counts' has no such key"})


def test_store_that_is_not_there_is_not_found(served: Served) -> None:
    assert served.ask("/stores/nothing").status == 404
    assert served.ask("/stores/nothing/a").status == 404


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_all_rows_come_once_whatever_the_pages_are(served: Served, limit: int) -> None:
    found = [row for page in pages(served, f"/stores/counts?limit={limit}") for row in page]
    assert [row["key"] for row in found] == ["a", "c", "e", "b", "d"]  # one partition after the other


def test_range_and_its_reverse(served: Served) -> None:
    found = [row["key"] for page in pages(served, "/stores/numbers?from=3&to=7&limit=2") for row in page]
    assert found == [3, 4, 5, 6, 7]
    target = "/stores/numbers?from=3&to=7&limit=2&reverse=true"
    assert [row["key"] for page in pages(served, target) for row in page] == [7, 6, 5, 4, 3]


def test_prefix(served: Served) -> None:
    assert [row["key"] for row in served.ask("/stores/counts?prefix=c").body["rows"]] == ["c"]


@pytest.mark.parametrize("limit", [1, 3])
def test_windows_of_a_key(served: Served, limit: int) -> None:
    found = pages(served, f"/stores/minutes/a?limit={limit}")
    assert [row for page in found for row in page] == [
        {"key": "a", "start": 0, "end": 60_000, "value": 6},
        {"key": "a", "start": 60_000, "end": 120_000, "value": 6},
    ]
    assert [row["start"] for row in served.ask("/stores/minutes/a?start=1&end=60000").body["rows"]] == [
        60_000
    ]
    backwards = pages(served, f"/stores/minutes/a?limit={limit}&reverse=true")
    assert [row["start"] for page in backwards for row in page] == [60_000, 0]


@pytest.mark.parametrize("limit", [1, 2, 5, 50])
def test_windows_of_all_keys(served: Served, limit: int) -> None:
    found = [row for page in pages(served, f"/stores/minutes?limit={limit}") for row in page]
    assert sorted((row["key"], row["start"]) for row in found) == [
        (key, start) for key in "abcde" for start in (0, 60_000)
    ]
    assert len(found) == 10


@pytest.mark.parametrize("limit", [1, 50])
def test_sessions(served: Served, limit: int) -> None:
    found = pages(served, f"/stores/visits/b?limit={limit}")
    assert [row for page in found for row in page] == [{"key": "b", "start": 0, "end": 110_000, "value": 12}]
    assert len([row for page in pages(served, f"/stores/visits?limit={limit}") for row in page]) == 5


@pytest.mark.parametrize(
    ("key", "asked"),
    [("a", [0]), ("d", [1]), ("b", [0, 1])],  # b was written where Kafka's partitioner does not put it
)
def test_rows_of_a_key_are_asked_of_the_partition_where_it_lies(
    served: Served, key: str, asked: list[int]
) -> None:
    def view_of(partitions: Sequence[int] | None) -> Any:
        assert partitions is not None
        seen.extend(partitions)
        return served.streams.query("minutes", partitions=partitions)

    seen: list[int] = []
    rows = StoreRows(
        served.streams.topology.stores["minutes"],
        "shop",
        [0, 1],
        view_of,
        partial(served.streams.partitions_of_key, "minutes"),
    )
    given: dict[str, Any] = {"key": key, "start": None, "end": None, "reverse": False, "cursor": None}
    found: Any = rows.answer({**given, "limit": 1})
    assert [row["start"] for row in found["rows"]] == [0]
    assert seen == asked
    seen.clear()
    found = rows.answer({**given, "limit": 2, "cursor": found["next"]})
    assert [row["start"] for row in found["rows"]] == [60_000]
    assert seen == asked[-1:]


def test_cursor_of_a_partition_that_there_is_not_is_refused(served: Served) -> None:
    elsewhere = Cursor(7, (0, 0), 1).encode()
    assert served.ask(f"/stores/minutes/a?cursor={elsewhere}").status == 400


def test_version_as_of_a_time(served: Served) -> None:
    assert served.ask("/stores/last/home").body == {"key": "home", "value": "three", "timestamp": 120_000}
    assert served.ask("/stores/last/home?as_of=60001").body["value"] == "two"


@pytest.mark.parametrize("limit", [1, 2, 9])
def test_history_of_a_key(served: Served, limit: int) -> None:
    found = pages(served, f"/stores/last/home?history=true&limit={limit}")
    assert [row for page in found for row in page] == [
        {"value": "one", "timestamp": 0, "until": 60_000},
        {"value": "two", "timestamp": 60_000, "until": 120_000},
        {"value": "three", "timestamp": 120_000, "until": None},
    ]


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("/stores/counts?limit=0", "limit is '0', but must be a number from 1 to 1000"),
        ("/stores/counts?limit=1&limit=2", "limit is given twice"),
        ("/stores/counts?start=5", "start is for another kind"),
        ("/stores/counts?limits=5", "there is no parameter 'limits'"),
        ("/stores/counts?cursor=AAAA", "cursor is none that was given out here"),
        ("/stores/counts?cursor=%00", "cursor is none that was given out here"),
        ("/stores/counts?key=a&from=b", "key is one row"),
        ("/stores/minutes/a?start=-1", "start is '-1', but must be epoch milliseconds"),
        ("/stores/minutes/a?reverse=1", "reverse is '1', but must be true or false"),
        ("/stores/last", "a versioned store is read by key"),
        ("/stores/counts?from=%FF", "the query is no list of name=value"),
    ],
)
def test_question_that_makes_no_sense_is_told_so(served: Served, target: str, said: str) -> None:
    answer = served.ask(target)
    assert answer.status == 400
    assert said in answer.body["error"]


def test_cursor_of_another_question_is_refused(served: Served) -> None:
    cursor = served.ask("/stores/counts?limit=1").body["next"]
    answer = served.ask(f"/stores/minutes?cursor={cursor}")
    assert (answer.status, answer.body) == (400, {"error": "cursor is one of another question"})


def test_answers_may_be_committed_ones_and_have_their_time(served: Served) -> None:
    answer = served.ask("/stores/counts/a?committed=true&stale=5s&timeout=500ms")
    assert (answer.status, answer.body) == (200, {"key": "a", "value": 12})
    answer = served.ask("/stores/counts/a?timeout=soon")
    assert (answer.status, answer.body) == (
        400,
        {"error": "timeout is 'soon', but must be a duration such as 5s"},
    )
