"""Makes the function that an expression stands for: plain compiled Python, without a tree to go through."""

import ast
import difflib
from collections.abc import Callable
from functools import partial
from types import CodeType, FunctionType
from typing import Any, Final

from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.base.programs import Inlinable
from headrace.expressions.expression import Expression, node_of
from headrace.expressions.source import source_of
from headrace.expressions.text import text_of
from headrace.expressions.tree import parts_of
from headrace.expressions.types import NoSuchFieldError, Types, type_of

__all__ = ["function_of"]

#: Of a function's own names in its source; what an expression of the user's has are constants and attributes.
_PREFIX: Final = "_"


def function_of(
    expression: Expression[Any], what: str, where: Location, types: Types, *arguments: str
) -> Callable[..., Any]:
    """Return the function of `key` and `value`, or of one of them, as `arguments` name them.

    It says its result's type where that is known, as an annotated function does, and shows the user's own line in a
    traceback.

    Raises:
        TopologyError: the expression takes a part of the record that the function is not given, or a field that is not
            there. `what` names the function.
    """
    node = node_of(expression)
    for part in sorted(parts_of(node) - set(arguments)):
        raise TopologyError(
            f"{where}: the {what} is not given the record's {part}, which {expression!r} takes"
        )
    try:
        result = type_of(node, types)
        source, names = source_of(node, types, _PREFIX)
    except NoSuchFieldError as error:
        raise TopologyError(f"{where}: the {what}, {expression!r}: {error}{_instead(error)}") from error
    code = _compiled(f"lambda {', '.join(arguments)}: {source}", where)
    # Its own globals: constants, and Python's functions.
    fn = FunctionType(code, {"__name__": "<expression>", **names}, "<lambda>")
    if result is not Any:
        fn.__annotations__ = {"return": result}
    fn.__dict__["inlinable"] = Inlinable(partial(source_of, node, types), text_of(node))
    return fn


def _instead(error: NoSuchFieldError) -> str:
    near = difflib.get_close_matches(error.field, error.names, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; it has {', '.join(map(repr, error.names))}" if error.names else ""


def _compiled(source: str, where: Location) -> CodeType:
    """Compile a lambda that stands, all of it, in the user's own line."""
    tree = ast.parse(source, mode="eval")
    line = max(where.line, 1)  # there may be none
    for each in ast.walk(tree):
        if isinstance(each, ast.expr | ast.arg):
            each.lineno = each.end_lineno = line
            each.col_offset = each.end_col_offset = 0
    outer = compile(tree, where.file, "eval")
    return next(each for each in outer.co_consts if isinstance(each, CodeType))
