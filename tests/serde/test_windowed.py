"""Windowed keys: the bytes that Kafka Streams writes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.base.errors import SerializationError
from headrace.base.records import Headers, Window, Windowed
from headrace.serde.primitives import int64, string
from headrace.serde.serde import Serde
from headrace.serde.windowed import session_windowed, time_windowed

TIMES = st.integers(0, 2**62 - 1)


def test_time_window_is_key_and_start() -> None:
    serde = time_windowed(str, "5m")
    key = Windowed("ann", Window(258, 300_258))
    data = b"ann\x00\x00\x00\x00\x00\x00\x01\x02"
    assert serde.serialize("t", key) == data
    assert serde.serializer("t")(key) == data
    assert serde.deserialize("t", data) == key
    assert serde.deserializer("t")(data) == key


def test_session_is_key_and_end_and_start() -> None:
    serde = session_windowed(str)
    key = Windowed("ann", Window(1, 2))
    data = b"ann" + b"\x00" * 7 + b"\x02" + b"\x00" * 7 + b"\x01"
    assert serde.serialize("t", key) == data
    assert serde.serializer("t")(key) == data
    assert serde.deserialize("t", data) == key
    assert serde.deserializer("t")(data) == key


@given(st.text(st.characters(exclude_categories=["Cs"])), TIMES, TIMES)
def test_every_window_comes_back(key: str, start: int, length: int) -> None:
    window = Windowed(key, Window(start, start + 1000))
    times = time_windowed(str, "1s")
    assert times.deserialize("t", times.serialize("t", window)) == window
    session = Windowed(key, Window(start, start + length))
    sessions = session_windowed(str)
    assert sessions.deserialize("t", sessions.serialize("t", session)) == session


def test_end_beyond_64_bits_is_cut() -> None:
    serde = time_windowed(int64, "1s")
    data = b"\x00" * 8 + b"\x7f" + b"\xff" * 7
    assert serde.deserialize("t", data) == Windowed(0, Window(2**63 - 1, 2**63 - 1))


@pytest.mark.parametrize("data", [b"", b"1234567", b"\xff" * 8, b"\xff" * 16, b"\xff" * 20])
def test_other_bytes_are_refused(data: bytes) -> None:
    for serde in (time_windowed(str, "1s"), session_windowed(str)):
        with pytest.raises(SerializationError):
            serde.deserialize("t", data)


def test_session_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(SerializationError, match="starts at 2 and ends at 1"):
        session_windowed(str).deserialize("t", b"\x00" * 7 + b"\x01" + b"\x00" * 7 + b"\x02")


@given(st.binary(max_size=40))
def test_hostile_bytes_give_a_key_or_the_error(data: bytes) -> None:
    for serde in (time_windowed(str, "1s"), session_windowed(str)):
        try:
            key = serde.deserialize("t", data)
        except SerializationError:
            continue
        assert serde.serialize("t", key) == data


@pytest.mark.parametrize(
    "value", ["ann", None, Windowed(5, Window(0, 1)), Windowed("a", Window(2**63, 2**63))]
)
def test_other_value_is_refused(value: Windowed[str]) -> None:
    for serde in (time_windowed(str, "1s"), session_windowed(str)):
        with pytest.raises(SerializationError):
            serde.serialize("t", value)


def test_serdes_of_the_same_window_are_equal() -> None:
    assert time_windowed(str, "60s") == time_windowed(string, "1m")
    assert hash(time_windowed(str, "60s")) == hash(time_windowed(string, "1m"))
    assert time_windowed(str, "1m") != time_windowed(str, "2m")
    by_number: object = time_windowed(int, "1m")
    assert time_windowed(str, "1m") != by_number
    assert session_windowed(str) == session_windowed(string)
    assert session_windowed(str) != time_windowed(str, "1m")


def test_size_needs_a_unit_and_a_length() -> None:
    with pytest.raises(TypeError, match="size=5 has no unit"):
        time_windowed(str, 5)  # type: ignore[arg-type]  # the mistake under test
    with pytest.raises(ValueError, match="is no window"):
        time_windowed(str, "0s")


def test_headers_reach_the_inner_serde() -> None:
    class Marked(Serde[str]):
        uses_headers = True

        def serialize(self, topic: str, value: str, headers: Headers = ()) -> bytes:
            return f"{topic}/{value}/{len(headers)}/".encode()

    serde = session_windowed(Marked())
    assert serde.uses_headers
    assert serde.serialize("t", Windowed("a", Window(0, 0)), [("h", None)])[:6] == b"t/a/1/"


@pytest.mark.parametrize(
    ("window", "reason"),
    [
        (
            Window(0, 500),
            "the window is 500 ms long, and would be read as one of 1000 ms: give hr.time_windowed",
        ),
        (Window(-1000, 0), "the window starts at -1000, before 1970"),
        (
            Window(2**63, 2**63 + 1000),
            "cannot serialize for topic 't' with time_windowed\\(string, '1000ms'\\)",
        ),
        (None, "cannot serialize for topic 't'"),
    ],
)
def test_window_that_would_be_read_as_another_is_refused(window: Window, reason: str) -> None:
    serde = time_windowed(str, "1s")
    with pytest.raises(SerializationError, match=reason):
        serde.serialize("t", Windowed("a", window))
    with pytest.raises(Exception):  # noqa: B017 - the quick form refuses the same, with an error of any class
        serde.serializer("t")(Windowed("a", window))


def test_window_whose_end_is_cut_comes_back() -> None:
    serde = time_windowed(str, "1s")
    key = Windowed("a", Window(2**63 - 500, 2**63 - 1))
    assert serde.deserialize("t", serde.serialize("t", key)) == key


@pytest.mark.parametrize("window", [Window(2, 1), Window(-1, 1)])
def test_session_that_would_not_be_read_is_refused(window: Window) -> None:
    with pytest.raises(
        SerializationError, match=f"the session starts at {window.start} and ends at {window.end}"
    ):
        session_windowed(str).serialize("t", Windowed("a", window))
