"""Says what to write instead of keyword arguments that Kafka Streams or others have, where a function has none such."""

from collections.abc import Callable, Mapping
from functools import wraps
from types import FunctionType
from typing import ParamSpec, TypeVar

__all__ = ["GLOBAL_ARGUMENTS", "advising", "read_arguments"]

P = ParamSpec("P")
T = TypeVar("T")

_TIMESTAMP = "timestamp=, a function of record and partition time"
_RESET = 'offset_reset="latest", or "earliest", "none", or a timedelta'

#: Of what reads or declares a topic: Kafka Streams' names in Python's spelling, Faust's, Quix Streams'.
_SERDES: Mapping[str, str] = {
    "key_serde": "key=",
    "value_serde": "value=",
    "key_type": "key=",
    "value_type": "value=",
    "key_serializer": "key=",
    "value_serializer": "value=",
    "key_deserializer": "key=",
    "value_deserializer": "value=",
}


_FROM_THE_BEGINNING = "nothing: a global table is read from its topic's beginning"
_OWN_TIMES = "nothing: a global table goes by the records' own timestamps"

#: Of what reads a topic into a global table, which leaves no choice of these.
GLOBAL_ARGUMENTS: Mapping[str, str] = {
    **_SERDES,
    "consumed": "key=, value= and name= for themselves",
    "offset_reset": _FROM_THE_BEGINNING,
    "auto_offset_reset": _FROM_THE_BEGINNING,
    "reset_policy": _FROM_THE_BEGINNING,
    "timestamp": _OWN_TIMES,
    "timestamp_extractor": _OWN_TIMES,
}


def read_arguments(prefix: str = "") -> dict[str, str]:
    """Return what to write instead of the arguments with which others read a topic; `prefix` says where."""
    places = {"timestamp_extractor": _TIMESTAMP, "auto_offset_reset": _RESET, "reset_policy": _RESET}
    return {
        **{name: prefix + text for name, text in places.items()},
        **_SERDES,
        "consumed": "key=, value=, timestamp=, offset_reset= and name= for themselves",
    }


def _parameters(function: object) -> frozenset[str]:
    # Not by `inspect`, which takes longer to import than the package may.
    assert isinstance(function, FunctionType), "only what has parameters of its own can be advised about"
    code = function.__code__
    return frozenset(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])


def advising(instead: Mapping[str, str]) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Let a function's TypeError about a keyword argument say what to write, by the argument's name.

    For calls that describe a topology: a call takes a little longer. A type checker need not see it.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        known = _parameters(function)
        name = function.__qualname__.removesuffix(".__init__")

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            for each in kwargs:
                if each not in known and each in instead:
                    raise TypeError(f"{name}() takes no {each}=: write {instead[each]}")
            return function(*args, **kwargs)

        return call

    return decorate
