"""Serdes of a schema registry have the types of their values."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypedDict, assert_type

from google.protobuf.timestamp_pb2 import Timestamp

import headrace as hr


@dataclass
class Order:
    id: str


class Row(TypedDict):
    id: str


class Point(NamedTuple):
    x: int


assert_type(hr.registry.avro(Order), hr.Serde[Order])
assert_type(hr.registry.avro(Row), hr.Serde[Row])
assert_type(hr.registry.json_schema(Row), hr.Serde[Row])
assert_type(hr.registry.avro(Point), hr.Serde[Point])
assert_type(hr.registry.avro(list[int]), hr.Serde[list[int]])
assert_type(hr.registry.avro(int | None), hr.Serde[int | None])
assert_type(hr.registry.avro(schema='"int"'), hr.Serde[dict[str, object]])
assert_type(hr.registry.json_schema(Order, id_in="header"), hr.Serde[Order])
assert_type(hr.registry.json_schema(), hr.Serde[dict[str, object]])
assert_type(hr.registry.protobuf(Timestamp), hr.Serde[Timestamp])

ORDERS = hr.Topic("orders", key=hr.registry.avro(str), value=hr.registry.avro(Order))
assert_type(ORDERS, hr.Topic[str, Order])
assert_type(hr.StreamsBuilder().stream(ORDERS), hr.KStream[str, Order])


def of_a_file(path: Path) -> None:  # which is read at once
    assert_type(hr.registry.avro(Order, schema=path, use_latest=True), hr.Serde[Order])
