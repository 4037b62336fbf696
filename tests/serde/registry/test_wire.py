"""The bytes around a value, literally."""

from uuid import UUID

import pytest

from headrace.serde.registry.wire import header_of, indexes_bytes, prefix_of, read_identity, read_indexes

GUID = UUID("00112233-4455-6677-8899-aabbccddeeff")


def test_an_id_is_a_zero_and_four_bytes() -> None:
    assert prefix_of(258) == b"\x00\x00\x00\x01\x02"
    assert read_identity(b"\x00\x00\x00\x01\x02value") == (258, 5)


def test_a_header_has_the_guid_where_there_is_one_else_the_id() -> None:
    assert header_of(7, GUID) == b"\x01" + bytes.fromhex("00112233445566778899aabbccddeeff")
    assert header_of(7, None) == b"\x00\x00\x00\x00\x07"
    assert read_identity(header_of(7, GUID)) == (GUID, 17)


@pytest.mark.parametrize(
    ("indexes", "data"),
    [([0], b"\x00"), ([1], b"\x02\x02"), ([0, 0], b"\x04\x00\x00"), ([2, 0, 64], b"\x06\x04\x00\x80\x01")],
)
def test_indexes_are_counted_zigzag_numbers(indexes: list[int], data: bytes) -> None:
    assert indexes_bytes(indexes) == data
    assert read_indexes(b"??" + data + b"rest", 2) == (tuple(indexes), 2 + len(data))


@pytest.mark.parametrize("data", [b"", b"\x00\x00\x00", b"\x01\x00", b"\x02abcde", b'{"id":1}'])
def test_what_begins_otherwise_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"id|GUID"):
        read_identity(data)


@pytest.mark.parametrize(
    "data", [b"", b"\x04\x00", b"\x01", b"\x02\x01", b"\xff" * 9, b"\xfe\xff\xff\xff\x0f"]
)
def test_indexes_that_are_none_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_indexes(data, 0)
