"""`examples/word_count.py`: updates of a table, its store, and what a crash leaves."""

import pytest

from examples.word_count import COUNTS, LINES, WORDS, topology
from headrace.testing import TopologyTestDriver


def test_each_word_is_counted() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(LINES).pipe(None, "To be or not to be")
        assert driver.output(COUNTS).read_table() == {"to": 2, "be": 2, "or": 1, "not": 1}


# In production the cache holds the first of them back; the driver commits after each record, and shows all.
def test_each_update_of_a_count_goes_out() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(LINES).pipe_all([(None, "be"), (None, "be")])
        assert driver.output(COUNTS).read_pairs() == [("be", 1), ("be", 2)]


def test_only_the_words_of_a_line_come_again() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(LINES).pipe(None, "to be")
        driver.output(COUNTS).read_all()
        driver.input(LINES).pipe(None, "be")
        assert driver.output(COUNTS).read_pairs() == [("be", 2)]


def test_store_has_the_counts() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(LINES).pipe(None, "to be or not to be")
        words = driver.store(WORDS)
        assert words.get("be") == 2
        assert words.get("question") is None
        assert list(words.all()) == [("be", 2), ("not", 1), ("or", 1), ("to", 2)]


@pytest.mark.parametrize("lose_state", [False, True])
def test_counts_survive_a_crash_and_the_loss_of_the_disk(lose_state: bool) -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(LINES).pipe(None, "be")
        driver.restart(lose_state=lose_state)
        driver.input(LINES).pipe(None, "be")
        assert driver.store(WORDS).get("be") == 2


def test_empty_line_counts_nothing() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(LINES).pipe(None, "   ")
        assert driver.output(COUNTS).read_all() == []


# Several partitions are several tasks. Equal words meet nevertheless, whatever line they come from.
def test_words_of_several_partitions_are_counted_together() -> None:
    with TopologyTestDriver(topology, partitions=4) as driver:
        driver.input(LINES).pipe_all([(f"line {number}", "be") for number in range(20)])
        assert driver.store(WORDS).get("be") == 20
