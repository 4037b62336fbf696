"""Stores in memory that keep what was used last, from the builder to the records."""

import pytest

import headrace as hr
from headrace import stores, testing

LINES = hr.Topic("lines", value=str)
COUNTS = hr.Topic("counts", value=int)
LAST_TWO = stores.lru("last-two", max_rows=2, key=str, value=int)


@pytest.mark.parametrize("loses_state", [False, True])
def test_count_of_a_key_that_was_not_used_for_long_begins_anew(loses_state: bool) -> None:
    builder = hr.StreamsBuilder()
    builder.stream(LINES).group_by_key().count(store=LAST_TWO).to_stream().to(COUNTS)
    with testing.TopologyTestDriver(builder.build()) as driver:
        for key in "abac":
            driver.input(LINES).pipe(key, "x")
        driver.restart(lose_state=loses_state)
        for key in "ab":
            driver.input(LINES).pipe(key, "x")
        assert [count for _, count in driver.output(COUNTS).read_pairs()] == [1, 1, 2, 1, 3, 1]
        assert list(driver.store(LAST_TWO).all()) == [("a", 3), ("b", 1)]


def test_mistakes_are_told_with_what_to_write() -> None:
    with pytest.raises(ValueError, match="leaves no room for a row"):
        stores.lru("x", max_rows=0)
    with pytest.raises(TypeError, match="write an int"):
        stores.lru("x", max_rows="10")  # type: ignore[arg-type]  # the mistake under test
    with pytest.raises(AttributeError, match=r"write stores\.lru\(name, max_rows="):
        stores.lru_map("x", 10)  # type: ignore[attr-defined]  # the mistake under test
