"""`examples/branching.py`: a record takes one way."""

import pytest

import headrace as hr
from examples.branching import EMAILS, MESSAGES, OTHERS, TEXTS, URGENT, Message, topology
from headrace.testing import TopologyTestDriver

OUTPUTS = (EMAILS, OTHERS, TEXTS, URGENT)


@pytest.mark.parametrize(
    ("message", "topic"),
    [
        (Message("email", "hello"), EMAILS),
        (Message("text", "lunch?"), TEXTS),
        (Message("pigeon", "coo"), OTHERS),
        (
            Message("email", "fire!", is_urgent=True),
            URGENT,
        ),  # the first branch that fits, though a later one would
        (Message("pigeon", "coo!", is_urgent=True), URGENT),
    ],
)
def test_message_goes_to_the_topic_of_its_kind_and_to_no_other(
    message: Message, topic: hr.Topic[str, Message]
) -> None:
    with TopologyTestDriver(topology) as driver:
        driver.input(MESSAGES).pipe("ada", message)
        assert {output.name: driver.output(output).read_pairs() for output in OUTPUTS} == {
            output.name: [("ada", message)] if output is topic else [] for output in OUTPUTS
        }


def test_messages_keep_their_order_within_a_topic() -> None:
    with TopologyTestDriver(topology) as driver:
        first, second = Message("text", "1"), Message("text", "2")
        driver.input(MESSAGES).pipe_all([("a", first), ("b", Message("email", "x")), ("c", second)])
        assert driver.output(TEXTS).read_pairs() == [("a", first), ("c", second)]


def test_message_without_a_kind_is_no_message() -> None:
    with (
        TopologyTestDriver(topology) as driver,
        pytest.raises(hr.ProcessingError, match="missing required field `kind`"),
    ):
        driver.input(MESSAGES).pipe_raw(b"ada", b'{"body": "hello"}')
