"""Writes an expression as Python: one expression of `key` and `value`, that makes no call but those it says."""

from collections.abc import Mapping
from keyword import iskeyword
from math import isfinite
from typing import Any, Final

from headrace.expressions.tree import (
    Binary,
    Call,
    Constant,
    Document,
    Element,
    IsIn,
    IsNull,
    Member,
    Node,
    Part,
    Unary,
)
from headrace.expressions.types import Access, Types, access_of, type_of

__all__ = ["field_of", "source_of"]


def field_of(value: Any, name: str) -> Any:
    """Return the field of a value whose type was not known, and which is no plain dictionary."""
    return value[name] if isinstance(value, Mapping) else getattr(value, name)


def source_of(node: Node, types: Types, prefix: str) -> tuple[str, dict[str, Any]]:
    """Return the source, and what it finds by name. All names but `key` and `value` begin with the prefix.

    Raises:
        NoSuchFieldError: it takes a field that its type does not have.
    """
    writer = _Writer(types, prefix)
    return writer.write(node), writer.names


_CHAINED: Final = frozenset({"and", "or", "+", "*"})


class _Writer:
    def __init__(self, types: Types, prefix: str) -> None:
        self._types = types
        self._prefix = prefix
        self._variables = 0
        self.names: dict[str, Any] = {}

    def write(self, node: Node) -> str:
        match node:
            case Part(name):
                return name
            case Constant(value):
                return self._constant(value)
            case Member(of, name):
                return self._member(of, name)
            case Element(of, index):
                return f"{self.write(of)}[{index}]"
            case Unary(operator, of):
                return f"({operator} {self.write(of)})" if operator != "abs" else f"abs({self.write(of)})"
            case Binary(operator, left, right):
                # Of a long chain the parentheses would be too many for Python.
                is_chain = operator in _CHAINED and isinstance(left, Binary) and left.operator == operator
                before = self.write(left)
                return f"({before[1:-1] if is_chain else before} {operator} {self.write(right)})"
            case Call("length", of):
                return f"len({self.write(of)})"
            case Call("contains", of, (part,)):
                return f"({self.write(part)} in {self.write(of)})"
            case Call(method, of, arguments):
                return f"{self.write(of)}.{method}({', '.join(map(self.write, arguments))})"
            case IsIn(of, values):
                return f"({self.write(of)} in {self._named(values)})"
            case IsNull(of):
                return f"({self.write(of)} is None)"
            case Document(fields):
                return f"{{{', '.join(f'{name!r}: {self.write(each)}' for name, each in fields)}}}"

    def _member(self, of: Node, name: str) -> str:
        owner, access = self.write(of), access_of(type_of(of, self._types))
        if access is Access.ITEM:
            return f"{owner}[{name!r}]"
        if access is Access.ATTRIBUTE and name.isidentifier() and not iskeyword(name):
            return f"{owner}.{name}"
        self.names[f"{self._prefix}field_of"] = field_of
        if isinstance(of, Part):
            held = found = owner
        else:
            held = f"{self._prefix}v{self._variables}"
            found = f"({held} := {owner})"
            self._variables += 1
        return (
            f"({held}[{name!r}] if {found}.__class__ is dict else {self._prefix}field_of({held}, {name!r}))"
        )

    def _constant(self, value: Any) -> str:
        # Python's own text of these means the very same value. Of huge numbers it makes none.
        if value is None or type(value) in (bool, str):
            return repr(value)
        if (type(value) is int and value.bit_length() <= 64) or (type(value) is float and isfinite(value)):
            return repr(value)
        return self._named(value)

    def _named(self, value: Any) -> str:
        name = f"{self._prefix}c{len(self.names)}"
        self.names[name] = value
        return name
