"""The tree of an expression: plain values, which `expression` builds, `types` judges and `source` writes as Python."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

__all__ = [
    "Binary",
    "Call",
    "Constant",
    "Document",
    "Element",
    "IsIn",
    "IsNull",
    "Member",
    "Method",
    "Node",
    "Part",
    "Unary",
    "parts_of",
]

Method: TypeAlias = Literal["contains", "endswith", "length", "lower", "startswith", "strip", "upper"]


@dataclass(frozen=True, slots=True)
class Part:
    """A record's own key or value."""

    name: Literal["key", "value"]


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that was there when the expression was written."""

    value: Any


@dataclass(frozen=True, slots=True)
class Member:
    """A field by its name: an item of a mapping, an attribute of anything else."""

    of: "Node"
    name: str


@dataclass(frozen=True, slots=True)
class Element:
    """An element by its place."""

    of: "Node"
    index: int


@dataclass(frozen=True, slots=True)
class Unary:
    """`not`, a sign, or `abs`."""

    operator: Literal["not", "-", "+", "abs"]
    of: "Node"


@dataclass(frozen=True, slots=True)
class Binary:
    """Arithmetic, a comparison, or `and` and `or`, which look at the right side only where they need it."""

    operator: str
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Call:
    """A method of texts; `length` and `contains` are `len()` and `in`."""

    method: Method
    of: "Node"
    arguments: tuple["Node", ...] = ()


@dataclass(frozen=True, slots=True)
class IsIn:
    """Whether the value is one of a collection, which nobody changes any more: a tuple or a frozenset."""

    of: "Node"
    values: tuple[Any, ...] | frozenset[Any]


@dataclass(frozen=True, slots=True)
class IsNull:
    """Whether the value is None."""

    of: "Node"


@dataclass(frozen=True, slots=True)
class Document:
    """A new dictionary, with its fields in their order."""

    fields: tuple[tuple[str, "Node"], ...]


Node: TypeAlias = Part | Constant | Member | Element | Unary | Binary | Call | IsIn | IsNull | Document


def parts_of(node: Node) -> frozenset[str]:
    """Return which parts of a record an expression looks at: `key`, `value`, both or none."""
    match node:
        case Part(name):
            return frozenset({name})
        case Constant():
            return frozenset()
        case Member(of) | Element(of) | Unary(_, of) | IsIn(of) | IsNull(of):
            return parts_of(of)
        case Binary(_, left, right):
            return parts_of(left) | parts_of(right)
        case Call(_, of, arguments):
            return parts_of(of).union(*map(parts_of, arguments))
        case Document(fields):
            return frozenset[str]().union(*(parts_of(each) for _, each in fields))
