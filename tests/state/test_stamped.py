"""The bytes of a value with the time and the headers of its record."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.state.stamped import pack_stamp, unpack_stamped

HEADERS = st.lists(st.tuples(st.text(max_size=80), st.none() | st.binary(max_size=300)), max_size=4)


@given(headers=HEADERS, timestamp=st.integers(-1, 2**63 - 1), value=st.binary(max_size=20))
def test_stamped_bytes_come_back_equal(
    headers: list[tuple[str, bytes | None]], timestamp: int, value: bytes
) -> None:
    row = pack_stamp(timestamp, headers) + value
    assert unpack_stamped(row) == (value, timestamp, tuple(headers))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ((), "00000001a22465d070"),
        ((("h1", b"v"), ("e", b"")), "12040468310276026500000001a22465d070"),
        ((("n", None),), "0802026e01000001a22465d070"),
    ],
)
def test_stamp_is_the_one_of_kafka_streams(
    headers: tuple[tuple[str, bytes | None], ...], expected: str
) -> None:
    assert pack_stamp(0x1A22465D070, headers).hex() == expected


@given(st.binary(max_size=40))
def test_hostile_bytes_are_refused_or_read(row: bytes) -> None:
    try:
        value, timestamp, headers = unpack_stamped(row)
    except ValueError:
        return
    assert len(value) <= len(row)
    assert isinstance(timestamp, int)
    assert all(isinstance(name, str) for name, _ in headers)
