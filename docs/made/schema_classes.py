# ruff: noqa: D101 - a docstring would be in the schema
"""Classes of the page of types with a schema registry, which shows them as they stand here."""

import enum
from dataclasses import dataclass

import msgspec
import pydantic


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@dataclass
class Item:
    sku: str
    count: int = 1


@dataclass
class Note:
    text: str | None = None


@dataclass
class Tree:
    value: int
    left: "Tree | None" = None


class Point(msgspec.Struct):
    x: int
    y: int


class Person(pydantic.BaseModel):
    name: str
    age: int | None = None
