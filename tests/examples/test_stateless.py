"""`examples/stateless.py`: values in and out, and what the handler does about bad input."""

import pytest

import headrace as hr
from examples.stateless import BASKETS, PURCHASES, UNREADABLE, Basket, Purchase, parse, set_aside, topology
from headrace.testing import TopologyTestDriver


# A function of the topology is a function: what it does to one value needs no driver.
def test_line_is_parsed() -> None:
    assert parse("ada: 2 apple, 1 pear") == Basket("ada", {"apple": 2, "pear": 1})


@pytest.mark.parametrize("line", ["", "ada", "ada: apple", "ada: two apple", "ada: 1 apple: 2 pear"])
def test_other_lines_are_refused_with_a_value_error(line: str) -> None:
    with pytest.raises(ValueError):
        parse(line)


def test_basket_becomes_a_record_for_each_item() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(BASKETS).pipe(None, "Ada: 2 apple, 1 pear", timestamp=5)
        assert driver.output(PURCHASES).read_pairs() == [
            ("apple", Purchase("ada", 2)),
            ("pear", Purchase("ada", 1)),
        ]


def test_results_have_the_time_of_their_line() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(BASKETS).pipe(None, "ada: 2 apple", timestamp=5)
        assert driver.output(PURCHASES).read().timestamp == 5


def test_baskets_of_the_customer_test_are_left_out() -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(BASKETS).pipe_all([(None, "test: 99 apple"), (None, "ada: 1 pear")])
        assert driver.output(PURCHASES).read_table() == {"pear": Purchase("ada", 1)}


# The driver takes the properties that `hr.Streams` takes.
def test_line_that_cannot_be_parsed_goes_to_the_dead_letter_topic() -> None:
    with TopologyTestDriver(topology, processing_exception_handler=set_aside) as driver:
        driver.input(BASKETS).pipe_all([(None, "two apples please", 7), (None, "ada: 1 pear", 8)])

        letter = driver.output(UNREADABLE).read()
        assert letter.value == "two apples please"
        assert letter.timestamp == 7
        headers = dict(letter.headers)
        assert headers["__streams.errors.exception"] == b"ValueError"
        assert headers["__streams.errors.topic"] == b"baskets"
        assert headers["__streams.errors.offset"] == b"0"

        assert driver.output(PURCHASES).read_pairs() == [("pear", Purchase("ada", 1))]


def test_without_the_handler_such_a_line_stops_the_application() -> None:
    with (
        TopologyTestDriver(topology) as driver,
        pytest.raises(hr.ProcessingError, match="ValueError: not enough values to unpack"),
    ):
        driver.input(BASKETS).pipe(None, "two apples please")


def test_another_error_stops_it_also_with_the_handler() -> None:
    with (
        TopologyTestDriver(topology, processing_exception_handler=set_aside) as driver,
        pytest.raises(hr.ProcessingError, match=r"AttributeError.*the value was null"),
    ):
        driver.input(BASKETS).pipe(None, None)  # `parse` was not written for null values
