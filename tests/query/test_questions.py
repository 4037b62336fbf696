"""How a page of an answer ends."""

from itertools import count
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from headrace.query import questions
from headrace.query.questions import Question, answered
from tests.state.stores import Stores, store_spec


@pytest.mark.parametrize(("within_s", "rows"), [(0.5, 3), (1.0, 6), (60.0, 11)])
def test_page_ends_at_half_of_the_time_that_is_waited_for_it_and_at_a_second(
    monkeypatch: pytest.MonkeyPatch, within_s: float, rows: int
) -> None:
    stores = Stores(store_spec("s", "key_value", engine="memory"))
    for number in range(20):
        stores.state.state("s").put(number.to_bytes(1, "big"), number, 0, ())  # type: ignore[call-arg, union-attr]
    tenths = count()
    monkeypatch.setattr(questions, "time", SimpleNamespace(monotonic=lambda: next(tenths) / 10))
    page = answered(
        stores.state.reader("s"), Question("app", "s", 0, "range", within_s=within_s), lambda value: b""
    )
    assert (len(page.rows), page.has_more) == (rows, True)


@pytest.mark.parametrize("rows", [1, 2, 3, 5])
def test_latest_versions_come_page_by_page_each_key_once(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(questions, "_ROWS_MAX", rows)
    stores = Stores(store_spec("s", "versioned", engine="memory", history_ms=60_000))
    for number in (3, 0, 2, 1):
        for time in (1, 2):
            stores.state.state("s").put(b"k%d" % number, number * 10, time, ())  # type: ignore[call-arg, union-attr]
    question, found, pages = Question("app", "s", 0, "latest"), [], 0
    while True:
        page = answered(stores.state.reader("s"), question, lambda value: b"%d" % value)
        found += [(row[0], row[2], row[3]) for row in page.rows]
        pages += 1
        if not page.has_more:
            break
        question = replace(question, after=page.rows[-1][:2])
    assert found == [(b"k0", b"0", 2), (b"k1", b"10", 2), (b"k2", b"20", 2), (b"k3", b"30", 2)]
    assert pages == 4 // rows + 1
