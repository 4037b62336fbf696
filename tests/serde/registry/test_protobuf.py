"""Protobuf: the text of schemas, places of messages, and what is registered; protoc's word on the text."""

import base64
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from google.protobuf import descriptor_pb2

import headrace as hr
from headrace.base.errors import SchemaRegistryError, SerializationError
from headrace.serde.registry.mock import MockRegistry
from headrace.serde.registry.proto_names import message_names
from headrace.serde.registry.proto_text import proto_text
from headrace.serde.registry.schema import Reference, Schema
from headrace.serde.serde import Serde
from tests.serde.registry import protos

Configured = Callable[..., Serde[Any]]


@pytest.fixture(scope="session")
def modules(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModuleType, ModuleType]:
    return protos.load(tmp_path_factory.mktemp("protos"))


@pytest.fixture(scope="session")
def orders(modules: tuple[ModuleType, ModuleType]) -> Any:
    return modules[0]


@pytest.fixture(scope="session")
def legacy(modules: tuple[ModuleType, ModuleType]) -> Any:
    return modules[1]


def described(cls: Any) -> descriptor_pb2.FileDescriptorProto:
    found = descriptor_pb2.FileDescriptorProto()
    cls.DESCRIPTOR.file.CopyToProto(found)
    return found


def in_order(file: descriptor_pb2.FileDescriptorProto) -> descriptor_pb2.FileDescriptorProto:
    """Leave out what the text does not keep: the order of fields and messages."""

    def sort(message: descriptor_pb2.DescriptorProto) -> None:
        fields, nested = sorted(message.field, key=lambda each: each.number), list(message.nested_type)
        del message.field[:], message.nested_type[:]
        for field in fields:
            field.ClearField("json_name")
        message.field.extend(fields)
        message.nested_type.extend(sorted(nested, key=lambda each: each.name))
        for each in message.nested_type:
            sort(each)

    for message in file.message_type:
        sort(message)
    for field in file.extension:
        field.ClearField("json_name")
    return file


@pytest.mark.parametrize("name", ["orders", "legacy"])
def test_protoc_makes_the_same_file_of_the_text(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    module = request.getfixturevalue(name)
    file = described(module.Order if name == "orders" else module.Legacy)
    out = tmp_path / "set"
    files = {"shop_money.proto": protos.MONEY} if name == "orders" else {}
    protos.compile_files(tmp_path, {**files, file.name: proto_text(file)}, f"--descriptor_set_out={out}")
    again = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file[-1]
    assert in_order(again) == in_order(file)


def test_text_is_what_people_write(orders: Any) -> None:
    text = proto_text(described(orders.Order))
    assert text.startswith(
        'syntax = "proto3";\npackage shop;\nimport "shop_money.proto";\nimport "google/protobuf/timestamp.proto";\n'
        'option java_package = "com.shop";\n'
    )
    assert "  map<string, shop.Money> prices = 3;\n" in text
    assert "  optional double weight = 5;\n" in text
    assert '  string other_name = 11 [json_name = "name"];\n' in text


@pytest.mark.parametrize(
    ("path", "indexes"),
    [(["Customer"], b"\x02\x00"), (["Order"], b"\x02\x02"), (["Order", "Item"], b"\x04\x02\x00")],
)
def test_a_message_is_written_behind_id_and_place(
    configured: Configured, orders: Any, path: list[str], indexes: bytes
) -> None:
    cls = orders
    for name in path:
        cls = getattr(cls, name)
    serde = configured(hr.registry.protobuf(cls))
    data = serde.serialize("t", cls())
    assert data == b"\x00\x00\x00\x00\x02" + (b"\x00" if indexes == b"\x02\x00" else indexes)
    assert serde.deserialize("t", data) == cls()


def test_messages_come_back(configured: Configured, orders: Any, registry: MockRegistry) -> None:
    serde = configured(hr.registry.protobuf(orders.Order))
    order = orders.Order(id="1", items=[orders.Order.Item(sku="a", extra={"b": b"2", "a": b"1"})], coupon="c")
    data = serde.serialize("orders", order)
    assert serde.deserialize("orders", data) == order
    assert serde.deserializer("orders")(serde.serializer("orders")(order)) == order
    assert list(registry.subjects) == ["orders-value", "shop_money.proto"]
    assert registry.subjects["orders-value"][0].references == (
        Reference("shop_money.proto", "shop_money.proto", 1),
    )
    assert serde.type is orders.Order
    assert not serde.immutable


def test_maps_are_written_in_order(configured: Configured, orders: Any) -> None:
    serde = configured(hr.registry.protobuf(orders.Order.Item))
    one, other = orders.Order.Item(), orders.Order.Item()
    for name in "abcdefgh":
        one.extra[name] = b""
    for name in "hgfedcba":
        other.extra[name] = b""
    assert serde.serialize("t", one) == serde.serialize("t", other)


def test_a_record_of_another_message_is_refused(configured: Configured, orders: Any) -> None:
    data = configured(hr.registry.protobuf(orders.Customer)).serialize("t", orders.Customer(name="ann"))
    with pytest.raises(
        SerializationError, match=r"it is message shop\.Customer of its schema, and no shop\.Order"
    ):
        configured(hr.registry.protobuf(orders.Order)).deserialize("t", data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x02\x0a", r"message \[5\], which is none"),
        (b"\x05", "cannot lie"),
        (b"", "does not end"),
        (b"\x02\x02\x0a", "parsing"),
    ],
)
def test_places_that_are_none_are_refused(
    configured: Configured, orders: Any, data: bytes, message: str
) -> None:
    serde = configured(hr.registry.protobuf(orders.Order))
    head = serde.serialize("t", orders.Order())[:5]
    with pytest.raises(SerializationError, match=message):
        serde.deserialize("t", head + data)


def test_what_is_no_message_of_the_class_is_refused(configured: Configured, orders: Any, legacy: Any) -> None:
    serde = configured(hr.registry.protobuf(orders.Order))
    with pytest.raises(SerializationError, match="expected a message Order, found a Customer"):
        serde.serialize("t", orders.Customer())
    with pytest.raises(SerializationError, match="required"):
        configured(hr.registry.protobuf(legacy.Legacy)).serialize("t", legacy.Legacy(count=1))
    with pytest.raises(TypeError, match="no class of Protobuf messages"):
        hr.registry.protobuf(int)  # type: ignore[type-var]


def test_the_place_in_a_latest_schema_is_found_by_name(
    configured: Configured, orders: Any, registry: MockRegistry
) -> None:
    text = 'syntax = "proto3"; package shop; message New {} message Other {} message Order { string id = 1; }'
    registry.register("t-value", Schema("PROTOBUF", text))
    serde = configured(hr.registry.protobuf(orders.Order, use_latest=True))
    data = serde.serialize("t", orders.Order(id="1"))
    assert data == b"\x00\x00\x00\x00\x01\x02\x04\x0a\x011"
    assert serde.deserialize("t", data) == orders.Order(id="1")
    with pytest.raises(SchemaRegistryError, match=r"it has no message shop\.Customer"):
        configured(hr.registry.protobuf(orders.Customer, use_latest=True)).serialize("t", orders.Customer())


def test_places_go_with_the_id_into_a_header(configured: Configured, orders: Any) -> None:
    serde = configured(hr.registry.protobuf(orders.Order.Item, id_in="header"))
    item = orders.Order.Item(sku="a")
    data, headers = serde.serialize_with_headers("t", item, ())
    assert data == b"\x0a\x01a"
    assert headers[0][1] is not None
    assert headers[0][1][17:] == b"\x04\x02\x00"
    assert serde.deserialize("t", data, headers) == item


# ── places by text ──────────────────────────────────────────────────────────────────────────────────────────────────

NESTED = """
/* message Comment { */
syntax = "proto3";
package a.b;
option (own) = { message: "x;{", inner { y: 1 } };
message First { string text = 1 [(note) = "message Quoted {"]; }
enum Not { ZERO = 0; }
message Second {
  map<string, int32> counts = 1;
  message Inner { message Deep {} }
  message CountsEntry { option map_entry = true; string key = 1; int32 value = 2; }
  oneof one { string message = 4; }
  message Last {}
}
extend First { optional int32 e = 100; }
service S { rpc Do (First) returns (Second) { option (x) = { a: "b" }; } rpc More (First) returns (First); }
"""


@pytest.mark.parametrize(
    ("indexes", "names"),
    [
        ((0,), {"a.b.First"}),
        ((1,), {"a.b.Second"}),
        ((1, 0), {"a.b.Second.Inner", "a.b.Second."}),
        ((1, 0, 0), {"a.b.Second.Inner.Deep"}),
        ((1, 1), {"a.b.Second.CountsEntry", "a.b.Second.Inner", "a.b.Second.Last"}),
        ((1, 2), {"a.b.Second.Last", "a.b.Second.CountsEntry"}),
        ((1, 3), {"a.b.Second.Last"}),
        ((2,), set()),
    ],
)
def test_places_are_read_with_hidden_messages_and_without(indexes: tuple[int, ...], names: set[str]) -> None:
    assert message_names(NESTED).names_at(indexes) == names


def test_places_are_written_as_the_text_counts() -> None:
    names = message_names(NESTED)
    assert names.indexes_of("a.b.Second.Last") == (1, 2)
    assert names.indexes_of("a.b.Second.Inner.Deep") == (1, 0, 0)
    assert names.indexes_of("a.Second") is None
    assert names.indexes_of("a.b.Third") is None


def test_a_descriptor_in_base64_is_a_schema_too(orders: Any) -> None:
    text = base64.b64encode(described(orders.Order).SerializeToString()).decode()
    assert "shop.Order.Item" in message_names(text).names_at((1, 0))


def test_groups_are_messages(legacy: Any) -> None:
    names = message_names(proto_text(described(legacy.Legacy)))
    assert names.names_at((0, 0)) == {"Legacy.Part"}


@pytest.mark.parametrize(
    "text", ["message A {", "message A { string x = 1; ", "}", "message A {}}", "syntax", "{" * 200]
)
def test_files_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="the file"):
        message_names(text)
