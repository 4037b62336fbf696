"""How a page of an answer ends."""

from itertools import count
from types import SimpleNamespace

import pytest

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
