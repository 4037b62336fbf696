"""Subscriptions and responses of foreign-key joins: the bytes that Kafka Streams writes and reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.base.errors import SerializationError
from headrace.serde.foreign_keys import (
    Instruction,
    Response,
    ResponseSerde,
    foreign_key_prefix,
    subscriber,
    subscription,
)
from headrace.serde.primitives import int64, raw, string

HASH = bytes(range(16))
#: Instruction, hash, primary key and partition.
Parts = tuple[Instruction, bytes | None, bytes, int | None]
HASHES = st.none() | st.binary(min_size=16, max_size=16)
SUBSCRIPTIONS = st.tuples(
    st.sampled_from(Instruction), HASHES, st.binary(max_size=40), st.none() | st.integers(0, 2**31 - 1)
)


@pytest.mark.parametrize(
    ("value", "data"),
    [
        ((Instruction.KEEP, HASH, b"k4", 0), b"\x01\x03" + HASH + b"k4\0\0\0\0"),
        ((Instruction.KEEP_AND_ANSWER, None, b"k4", 258), b"\x81\x02k4\0\0\x01\x02"),
        ((Instruction.FORGET, HASH, b"", 1), b"\x01\x00" + HASH + b"\0\0\0\x01"),
        ((Instruction.FORGET_AND_ANSWER, None, b"k4", None), b"\x80\x01k4"),
        ((Instruction.KEEP, HASH, b"k4", None), b"\x00\x03" + HASH + b"k4"),
    ],
)
def test_subscription_has_the_bytes_of_kafka_streams(value: Parts, data: bytes) -> None:
    instruction, hash, primary_key, partition = value
    asked = subscriber(partition)(instruction, hash, primary_key)
    assert asked == (*value, data)
    assert subscription.serialize("t", asked) == data
    assert subscription.deserialize("t", data) == asked


@given(SUBSCRIPTIONS)
def test_every_subscription_comes_back(value: Parts) -> None:
    instruction, hash, primary_key, partition = value
    asked = subscriber(partition)(instruction, hash, primary_key)
    assert asked[:4] == value
    assert subscription.deserialize("t", subscription.serialize("t", asked)) == asked


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "index out of range"),
        (b"\x01", "index out of range"),
        (
            b"\x02\x00" + HASH + b"k\0\0\0\0",
            "a subscription of version 2, which is younger than this program",
        ),
        (b"\x01\x04" + HASH + b"k\0\0\0\0", "there is no instruction 4"),
        (b"\x01\x03" + HASH + b"\0\0\0", "it ends before its primary key"),
        (b"\x81\x03\0\0", "it ends before its primary key"),
    ],
)
def test_bytes_that_are_no_subscription_are_refused(data: bytes, problem: str) -> None:
    with pytest.raises(SerializationError, match=problem):
        subscription.deserialize("t", data)


@given(st.binary(max_size=60))
def test_hostile_bytes_give_a_subscription_or_the_error(data: bytes) -> None:
    try:
        found = subscription.deserialize("t", data)
    except SerializationError:
        return
    assert subscription.serialize("t", found) == data


@pytest.mark.parametrize(
    ("value", "data"),
    [
        ((HASH, "v", 3), b"\x00" + HASH + b"v"),
        ((HASH, None, 3), b"\x00" + HASH),
        ((None, None, 3), b"\x80"),
        ((None, "v", 3), b"\x80v"),
    ],
)
def test_response_has_the_bytes_of_kafka_streams_and_forgets_the_partition(
    value: Response[str], data: bytes
) -> None:
    serde = ResponseSerde(string)
    assert serde.serialize("t", value) == serde.serializer("t")(value) == data
    assert serde.deserialize("t", data) == serde.deserializer("t")(data) == (*value[:2], None)


def test_value_without_bytes_is_read_as_none_as_in_kafka_streams() -> None:
    serde = ResponseSerde(string)
    assert serde.deserialize("t", serde.serialize("t", (HASH, "", 0))) == (HASH, None, None)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "index out of range"),
        (b"\x01" + HASH, "a response of version 1, which is younger than this program"),
        (b"\x00" + HASH[:-1], "it ends within its hash"),
    ],
)
def test_bytes_that_are_no_response_are_refused(data: bytes, problem: str) -> None:
    with pytest.raises(SerializationError, match=problem):
        ResponseSerde(string).deserialize("t", data)


@given(st.binary(max_size=40))
def test_hostile_bytes_give_a_response_or_the_error(data: bytes) -> None:
    serde = ResponseSerde(raw)
    try:
        found = serde.deserialize("t", data)
    except SerializationError:
        return
    assert serde.serialize("t", found) == data


def test_values_of_responses_go_through_the_inner_serde() -> None:
    assert ResponseSerde(int64).serialize("t", (None, 1, 0)) == b"\x80\0\0\0\0\0\0\0\x01"
    with pytest.raises(SerializationError, match="int64"):
        ResponseSerde(int64).deserialize("t", b"\x80\0")


def test_serdes_of_the_same_values_are_equal() -> None:
    assert ResponseSerde(string) == ResponseSerde(string)
    assert hash(ResponseSerde(string)) == hash(ResponseSerde(string))
    assert ResponseSerde(string) != ResponseSerde(int64)
    assert ResponseSerde(string) != string
    assert repr(ResponseSerde(string)) == "response(string)"


def test_subscriptions_of_a_foreign_key_lie_behind_its_length_and_bytes() -> None:
    assert foreign_key_prefix(b"b a") == b"\0\0\0\x03b a"
