"""Keys and values as JSON: what is shown of bytes, and what becomes bytes."""

from dataclasses import dataclass
from uuid import UUID

import msgspec
import pytest

from headrace.base.errors import SerializationError
from headrace.base.records import Window, Windowed
from headrace.query.formats import AUTO, FORMATS, Format, format_of
from headrace.serde.primitives import float64, int64, string, uuid
from headrace.serde.serde import Serde
from headrace.serde.structured import json, msgpack
from headrace.serde.windowed import time_windowed


@dataclass(frozen=True)
class Order:
    id: str
    amount: float


def _shown(format: Format, data: bytes) -> str:
    return msgspec.json.encode(format.show(data)).decode()


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"ann", '"ann"'),
        ("größer".encode(), '"größer"'),
        (b"", '""'),
        (b"5", '"5"'),
        (b'{"a": 1}', '{"a":1}'),
        (b"[1, 2]", "[1,2]"),
        (b"{broken", '"{broken"'),
        (b"\xff\xfe", '{"base64":"//4="}'),
        (b"\x00\x00\x00\x00\x00\x00\x00\x05", '{"base64":"AAAAAAAAAAU="}'),
    ],
)
def test_undeclared_bytes_are_shown_as_text_json_or_base64(data: bytes, shown: str) -> None:
    assert _shown(AUTO, data) == shown


@pytest.mark.parametrize(
    ("document", "data"),
    [
        ("ann", b"ann"),
        ({"a": 1}, b'{"a":1}'),
        ([1, 2], b"[1,2]"),
        (5, b"5"),
        (True, b"true"),
        ({"base64": "//4="}, b"\xff\xfe"),
    ],
)
def test_undeclared_documents_become_text_json_or_what_base64_says(document: object, data: bytes) -> None:
    assert AUTO.read(document) == data


def test_the_format_of_base64_takes_it_with_and_without_its_name() -> None:
    assert FORMATS["base64"].read("//4=") == b"\xff\xfe"
    assert FORMATS["base64"].read({"base64": "//4="}) == b"\xff\xfe"
    with pytest.raises(SerializationError, match="7 is not base64"):
        FORMATS["base64"].read(7)


def test_broken_base64_is_refused() -> None:
    with pytest.raises(SerializationError, match="not base64"):
        AUTO.read({"base64": "???"})


def test_numbers_are_numbers_with_their_serde() -> None:
    format = FORMATS["int64"]
    assert _shown(format, (5).to_bytes(8)) == "5"
    assert format.read(5) == (5).to_bytes(8)


def test_bytes_that_are_no_value_of_the_serde_are_still_shown() -> None:
    assert _shown(FORMATS["int64"], b"ann") == '"ann"'


@pytest.mark.parametrize("serde", [json(Order), msgpack(Order)])
def test_objects_are_checked_against_their_type(serde: Serde[Order]) -> None:
    format = format_of(serde, "orders")
    data = serde.serialize("orders", Order("a", 5.0))
    assert _shown(format, data) == '{"id":"a","amount":5.0}'
    assert format.read({"id": "a", "amount": 5.0}) == data
    with pytest.raises(SerializationError):
        format.read({"id": "a"})


def test_json_over_several_lines_is_shown_on_one() -> None:
    assert (
        _shown(format_of(json(Order), "orders"), b'{"id": "a",\n "amount": 5}') == '{"id":"a","amount":5.0}'
    )


def test_other_types_are_given_as_json_has_them() -> None:
    text = "12345678-1234-5678-1234-567812345678"
    assert format_of(uuid, "t").read(text) == text.encode()
    assert _shown(format_of(uuid, "t"), text.encode()) == f'"{text}"'
    assert format_of(float64, "t").read(1) == float64.serialize("t", 1.0)
    assert format_of(uuid, "t").read(text) == uuid.serialize("t", UUID(text))


def test_a_number_is_refused_where_text_is_declared() -> None:
    with pytest.raises(SerializationError, match="string does not take 5"):
        format_of(string, "t").read(5)


def test_windowed_keys_are_objects() -> None:
    serde = time_windowed(int64, "5s")
    format = format_of(serde, "counts")
    data = serde.serialize("counts", Windowed(7, Window(10_000, 15_000)))
    assert _shown(format, data) == '{"key":7,"start":10000,"end":15000}'
    assert format.read({"key": 7, "start": 10_000, "end": 15_000}) == data
    with pytest.raises(SerializationError, match="a windowed key is"):
        format.read("ann")
