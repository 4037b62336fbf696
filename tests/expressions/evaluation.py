"""A plain interpreter of the tree: what an expression means, said once more, without a line of generated code."""

import operator
from collections.abc import Callable, Mapping
from typing import Any

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

BINARY: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}
UNARY: Mapping[str, Callable[[Any], Any]] = {
    "not": operator.not_,
    "-": operator.neg,
    "+": operator.pos,
    "abs": operator.abs,
}


def evaluated(node: Node, key: Any, value: Any) -> Any:
    def result(each: Node) -> Any:
        return evaluated(each, key, value)

    match node:
        case Part(name):
            return key if name == "key" else value
        case Constant(constant):
            return constant
        case Member(of, name):
            owner = result(of)
            return owner[name] if isinstance(owner, Mapping) else getattr(owner, name)
        case Element(of, index):
            return operator.getitem(result(of), index)
        case Unary(sign, of):
            return UNARY[sign](result(of))
        case Binary("and", left, right):
            return first if not (first := result(left)) else result(right)
        case Binary("or", left, right):
            return first if (first := result(left)) else result(right)
        case Binary(sign, left, right):
            return BINARY[sign](result(left), result(right))
        case Call("length", of):
            return len(result(of))
        case Call("contains", of, (part,)):
            wanted = result(part)
            return wanted in result(of)
        case Call(method, of, arguments):
            called = getattr(result(of), method)
            return called(*map(result, arguments))
        case IsIn(of, values):
            return result(of) in values
        case IsNull(of):
            return result(of) is None
        case Document(fields):
            return {name: result(each) for name, each in fields}
