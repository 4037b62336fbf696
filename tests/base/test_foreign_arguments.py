"""Keyword arguments that Kafka Streams or others have are answered with what to write."""

from collections.abc import Callable
from typing import Any

import pytest

import headrace as hr

Call = Callable[..., Any]


def builder() -> Any:
    return hr.StreamsBuilder()


@pytest.mark.parametrize(
    ("call", "argument", "told"),
    [
        (
            hr.Topic,
            "timestamp_extractor",
            "Topic() takes no timestamp_extractor=: write builder.stream(topic, …) with timestamp=, a function of "
            "record and partition time",
        ),
        (hr.Topic, "value_serde", "Topic() takes no value_serde=: write value="),
        (hr.Topic, "num_partitions", "Topic() takes no num_partitions=: write partitions="),
        (
            builder().stream,
            "timestamp_extractor",
            "StreamsBuilder.stream() takes no timestamp_extractor=: write timestamp=, a function of record and "
            "partition time",
        ),
        (
            builder().table,
            "materialized",
            "StreamsBuilder.table() takes no materialized=: write store=, with a name or a declared store",
        ),
    ],
)
def test_argument_of_others_is_answered_with_what_to_write(call: Call, argument: str, told: str) -> None:
    with pytest.raises(TypeError) as caught:
        call("topic", **{argument: None})
    assert str(caught.value) == told


def test_argument_that_nobody_has_is_pythons_own_error() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        builder().stream("topic", colour="red")
