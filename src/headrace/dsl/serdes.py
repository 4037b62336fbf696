"""How serdes travel through the builder: known, or unknown with the reason, which costs nothing until bytes are needed.

An operator that changes a type takes the new serde from, in this order: its `key=` or `value=`; the class, if the
function is one; the function's return annotation; what the operation itself knows. None is guessed, and no default is
applied to a type that has changed.

What is still unknown at an automatic repartition is taken from what the repartition leads to, where that holds the very
same type and its serde is declared: keys from the store of an aggregation, or from the table of a join; values from the
store of a reduction. A serde that travels, or that `key=` or `value=` gives, goes first: the topic then has that one,
and the store the one it is declared with, as with Java's `Grouped` and `Materialized`. (`to_table` is one step with one
pair of serdes, in Java too: its store's, for the topic as well.) Where the optimiser puts one repartition in the place
of several, the first of them whose serde travels decides, else the first that leads to a declared one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from headrace.base.callables import named
from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.dsl.functions import described, result_annotation
from headrace.serde.resolve import advice, serde_from_annotation
from headrace.serde.serde import CodecSerde, Serde
from headrace.serde.windowed import WindowedSerde
from headrace.topology.arguments import Part, given

__all__ = [
    "Typed",
    "UnknownSerde",
    "agreed",
    "can_be_same",
    "either",
    "first_known",
    "merged",
    "of_annotation",
    "of_result",
    "refuse_clash",
    "required",
]


@dataclass(frozen=True, slots=True)
class UnknownSerde:
    """A serde that is not known: where the type comes from, and what to write there."""

    part: Part
    origin: str
    advice: str


#: The serde of a stream's or table's keys or values.
Typed: TypeAlias = Serde[Any] | UnknownSerde


def either(spec: object, otherwise: Typed, part: Part, where: Location) -> Typed:
    """Return the given serde, else the one that travels."""
    return given(spec, part, where) or otherwise


def first_known(first: Typed, *others: Typed) -> Typed:
    """Return the first serde that is known, of several for one type; the first unknown one if none is."""
    return next((each for each in (first, *others) if not isinstance(each, UnknownSerde)), first)


def agreed(
    one: Serde[Any] | None, declared: Serde[Any] | None, part: Part, store: str | None, where: Location
) -> None:
    """Refuse a serde that one call gives in two ways.

    Raises:
        TopologyError: they differ.
    """
    if one is not None and declared is not None and one != declared:
        raise TopologyError(f"{where}: {part}= is {one!r}, but store '{store}' is declared with {declared!r}")


def refuse_clash(
    flowing: Typed, declared: Typed, part: Part, into: str, where: Location, *, to_meet: bool = False
) -> None:
    """Refuse what is known to be of one type where another one is declared: every record would fail.

    `to_meet`: the bytes have to be the same as well, since they decide what is found, and in which partition.

    Raises:
        TopologyError: the types cannot be the same.
    """
    clash = not can_be_same(flowing, declared)
    if to_meet and isinstance(flowing, CodecSerde) and isinstance(declared, CodecSerde):
        clash = clash or (flowing != declared and flowing.type in _OF_ONE_FORM)
    if clash:
        raise TopologyError(
            f"{where}: the {part}s are of {flowing!r}, and {into} has {declared!r}: make them the same, or give "
            f"`{part}=` where they come from if that is not what they are"
        )


def can_be_same(one: Typed, other: Typed) -> bool:
    """Say whether two serdes can be of one type, for all that is known."""
    if isinstance(one, UnknownSerde) or isinstance(other, UnknownSerde):
        return True
    return one == other or not _clash(one, other)


#: Types whose serdes differ in their bytes alone: an int of 4 bytes is found in no table of 8.
_OF_ONE_FORM = frozenset({int, float})


def _clash(one: Serde[Any], other: Serde[Any]) -> bool:
    if isinstance(one, WindowedSerde) and isinstance(other, WindowedSerde):
        same = type(one) is type(other) and getattr(one, "size_ms", 0) == getattr(other, "size_ms", 0)
        return not same or _clash(one.inner, other.inner)
    if isinstance(one, WindowedSerde) or isinstance(other, WindowedSerde):
        # Of a serde of the user's own that names no type nobody knows what it takes.
        return (other if isinstance(one, WindowedSerde) else one).type is not None
    if one.type is None or other.type is None or (one.type is int and other.type is float):
        return False
    try:
        return not (issubclass(one.type, other.type) or issubclass(other.type, one.type))
    except TypeError:  # a protocol with attributes
        return False


def of_result(fn: Callable[..., Any], spec: object, part: Part, where: Location) -> Typed:
    """Return the serde of what a function returns."""
    explicit = given(spec, part, where)
    if explicit is not None:
        return explicit
    return of_annotation(fn if isinstance(fn, type) else result_annotation(fn), fn, part)


def of_annotation(annotation: object, fn: Callable[..., Any], part: Part) -> Typed:
    """Return the serde of an annotation that was found at a function."""
    found = None if annotation is None else serde_from_annotation(annotation)
    return found or UnknownSerde(
        part, described(fn) if annotation is None else named(fn), advice(annotation, part)
    )


def merged(one: Typed, other: Typed, part: Part, where: Location) -> Typed:
    """Return the serde of two streams that become one: known only if both have the same."""
    if isinstance(one, UnknownSerde):
        return one
    if isinstance(other, UnknownSerde):
        return other
    if one == other:
        return one
    return UnknownSerde(
        part, f"the merge at {where} of {one!r} and {other!r}", f"write `{part}=` where the bytes are needed"
    )


def required(typed: Typed, node: str, where: Location) -> Serde[Any]:
    """Return the serde.

    Raises:
        TopologyError: it is unknown; names node, place, where the type comes from, and what to write.
    """
    if isinstance(typed, UnknownSerde):
        raise TopologyError(
            f"{node} ({where}) needs the serde of its {typed.part}, which comes from {typed.origin}: {typed.advice}"
        )
    return typed
