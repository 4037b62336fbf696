"""Expressions where functions are taken: they become functions, for the types that flow there."""

from collections.abc import Callable, Mapping
from typing import Any

from typing_extensions import is_typeddict

from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.dsl.functions import plain
from headrace.dsl.serdes import Typed, UnknownSerde
from headrace.dsl.stream_state import Flow
from headrace.expressions.expression import Expression, document, node_of
from headrace.expressions.function import function_of
from headrace.expressions.tree import parts_of
from headrace.expressions.types import Types
from headrace.serde.structured import annotation_of

__all__ = ["OfValues", "keyed_mapper", "of_record", "refuse_other_than_documents"]


def of_record(fn: object, what: str, where: Location, flow: Flow) -> Callable[..., Any]:
    """Return a function of key and value, of a function or an expression.

    Raises:
        TopologyError: as `plain` and `function_of` say.
    """
    if isinstance(fn, Expression):
        return function_of(fn, what, where, _types(flow.key, flow.value), "key", "value")
    return plain(fn, what, where, "key", "value")[0]


def keyed_mapper(fn: object, what: str, where: Location, flow: Flow) -> tuple[Callable[..., Any], bool]:
    """Return a mapper of values, and whether it takes the key before: of a function, an expression or a document.

    Raises:
        TopologyError: as `of_record`.
    """
    made = _document_or_not(fn, what, where)
    if isinstance(made, Expression):
        takes_key = "key" in parts_of(node_of(made))
        arguments = ("key", "value") if takes_key else ("value",)
        return function_of(made, what, where, _types(flow.key, flow.value), *arguments), takes_key
    return plain(made, what, where, "value", keyed=True)


class OfValues:
    """A function of the value that is handed over before anybody knows which values: it is made for those that come.

    Attributes:
        plain: the function for values of any type.
    """

    __slots__ = ("_given", "_what", "_where", "plain")

    def __init__(self, fn: object, what: str, where: Location) -> None:
        self._given = fn
        self._what = what
        self._where = where
        self.plain = self(UnknownSerde("value", "", ""))

    def __call__(self, value: Typed) -> Callable[..., Any]:
        """Return the function for values of a type.

        Raises:
            TopologyError: as `of_record`.
        """
        if isinstance(self._given, Expression):
            types = Types(value=_annotation(value))
            return function_of(self._given, self._what, self._where, types, "value")
        return plain(self._given, self._what, self._where, "value")[0]


def _document_or_not(fn: object, what: str, where: Location) -> object:
    """Return the expression of a dictionary of expressions; anything else as it is.

    Raises:
        TopologyError: it cannot be one.
    """
    if not isinstance(fn, Mapping):
        return fn
    try:
        return document(fn)
    except TypeError as error:
        raise TopologyError(f"{where}: the {what} makes no document: {error}") from error


def refuse_other_than_documents(fn: object, what: str, value: Typed, where: Location) -> None:
    """Refuse a serde of something else for the dictionaries that a document makes.

    Raises:
        TopologyError: it is one.
    """
    if not isinstance(fn, Mapping) or isinstance(value, UnknownSerde) or value.type is None:
        return
    if not is_typeddict(value.type) and not issubclass(value.type, Mapping):
        raise TopologyError(
            f"{where}: the {what} makes dictionaries, and value= is of {value!r}: leave it out, give a TypedDict, or "
            "write a function that makes one"
        )


def _types(key: Typed, value: Typed) -> Types:
    return Types(_annotation(key), _annotation(value))


def _annotation(typed: Typed) -> Any:
    return Any if isinstance(typed, UnknownSerde) else annotation_of(typed)
