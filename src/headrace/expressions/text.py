"""What an expression looks like where its user wrote it: for messages, pages and comparisons of topologies."""

from typing import Final

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

__all__ = ["text_of"]

_SIGNS: Final = {"and": "&", "or": "|"}


def text_of(node: Node) -> str:
    """Return an expression as one would write it; equal texts mean equal expressions, but for what constants hide."""
    match node:
        case Part(name):
            return f"{name}()"
        case Constant(value):
            return repr(value)
        case Member(Part("value"), name):
            return f"col({name!r})"
        case Member(of, name):
            return f"{_tight(of)}[{name!r}]"
        case Element(of, index):
            return f"{_tight(of)}[{index}]"
        case Unary("abs", of):
            return f"abs({text_of(of)})"
        case Unary(operator, of):
            return f"{'~' if operator == 'not' else operator}{_tight(of)}"
        case Binary(operator, left, right):
            return f"{_tight(left)} {_SIGNS.get(operator, operator)} {_tight(right)}"
        case Call(method, of, arguments):
            return f"{_tight(of)}.{method}({', '.join(map(text_of, arguments))})"
        case IsIn(of, values):
            # The order of a set is no one's: it is told in that of its texts.
            told = (
                repr(values) if isinstance(values, tuple) else f"{{{', '.join(sorted(map(repr, values)))}}}"
            )
            return f"{_tight(of)}.is_in({told})"
        case IsNull(of):
            return f"{_tight(of)}.is_null()"
        case Document(fields):
            return f"{{{', '.join(f'{name!r}: {text_of(each)}' for name, each in fields)}}}"


def _tight(node: Node) -> str:
    told = text_of(node)
    return f"({told})" if isinstance(node, Binary) else told
