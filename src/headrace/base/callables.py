"""Judges users' functions: whether they can be called as they will be, and whether what they give is a result.

An `async def`, or a generator function where one value is wanted, gives an object that is true and does nothing. What a
function says of itself is judged where it is handed over; what only its results show, where they come.
"""

import dis
import functools
import inspect
import types
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any

from headrace.base.ids import Location
from headrace.base.programs import inlinable

__all__ = [
    "TEXTS",
    "called",
    "gives_nothing",
    "misfit",
    "named",
    "not_several",
    "outline",
    "pair",
    "refuse_unstarted",
    "several",
    "short_name",
    "truth",
    "unstarted",
    "watched",
]

#: One value each, though they have elements.
TEXTS = (str, bytes, bytearray, memoryview)

_Cached = type(functools.lru_cache(lambda: None))

_UNSTARTED = (types.CoroutineType, types.GeneratorType, types.AsyncGeneratorType)

_NOBODY_AWAITS = (
    "whose result is a coroutine that nobody awaits; hand over a plain function, which may call asyncio.run(), or let "
    "map_values_async() await it"
)


def misfit(fn: object, arguments: Sequence[str], *, yields: bool = False, awaits: bool = False) -> str | None:
    """Return why a function cannot be called with these arguments for its result, or None if it can.

    With `yields` any iterable is wanted, so that a generator function will do; with `awaits` an async function will.
    What says nothing of itself, as some builtins do, is let through.
    """
    if not callable(fn):
        return f"must be a function, found {fn!r}"
    inner = called(fn)
    if inspect.iscoroutinefunction(inner) and not awaits:
        return f"{named(fn)} is an async function, {_NOBODY_AWAITS}"
    if inspect.isasyncgenfunction(inner):
        return f"{named(fn)} is an async generator function, whose values nobody awaits; hand over a plain function"
    if inspect.isgeneratorfunction(inner) and not yields:
        return (
            f"{named(fn)} is a generator function: calling it runs none of it, and its result is a generator; hand "
            "over a function that returns"
        )
    if _takes(fn, arguments):
        return None
    return f"{named(fn)} takes ({_parameters(fn)}), and is called with ({', '.join(arguments)})"


def gives_nothing(fn: object) -> bool:
    """Return whether every way through a function ends without a result: a `return` was forgotten.

    One that is annotated `-> None` means it, and a lambda cannot forget. The compiled code is read, since a function
    that was typed into an interpreter has no source.
    """
    inner = called(fn)
    if not isinstance(inner, types.FunctionType) or inspect.isgeneratorfunction(inner):
        return False
    if inner.__name__ == "<lambda>" or "return" in inner.__annotations__:
        return False
    ends = []
    before: dis.Instruction | None = None
    for instruction in dis.get_instructions(inner):
        if instruction.opname == "RETURN_CONST":
            ends.append(instruction.argval is None)
        elif instruction.opname == "RETURN_VALUE":
            # What is jumped to returns what lies on the stack there: `a or None`.
            is_none = before is not None and before.opname == "LOAD_CONST" and before.argval is None
            ends.append(is_none and not instruction.is_jump_target)
        before = instruction
    return bool(ends) and all(ends)


def _takes(fn: Callable[..., Any], arguments: Sequence[str]) -> bool:
    """Return whether a function can be called with as many arguments; True for what says nothing of them."""
    signature = _signature(fn)
    if signature is None:
        return True
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True


def _signature(fn: Callable[..., Any]) -> inspect.Signature | None:
    if isinstance(fn, _Cached):
        fn = fn.__wrapped__
    try:
        # What a decorator has wrapped may take other arguments than the decorator's own function, which is called.
        return inspect.signature(fn, follow_wrapped=False)
    except (TypeError, ValueError):
        return None


def _parameters(fn: Callable[..., Any]) -> str:
    signature = _signature(fn)
    shown = "" if signature is None else str(signature.replace(return_annotation=signature.empty))[1:-1]
    return _shortened(shown)


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:80]}…"


def called(fn: object) -> object:
    """Return the function that a call runs, behind everything that passes its result on as it is."""
    while True:
        if isinstance(fn, functools.partial):
            fn = fn.func
        elif isinstance(fn, _Watched):
            fn = fn.fn
        elif isinstance(fn, types.MethodType | staticmethod | classmethod):
            fn = fn.__func__
        elif isinstance(fn, _Cached):
            fn = fn.__wrapped__
        elif isinstance(fn, types.FunctionType | types.BuiltinFunctionType | type):
            return fn
        else:
            call = inspect.getattr_static(type(fn), "__call__", None)
            if not isinstance(call, types.FunctionType):
                return fn
            fn = call


def named(fn: object) -> str:
    """Name a function and where it was written: `keep() at shop.py:12`, `the lambda at shop.py:40`."""
    inner = called(fn)
    code = getattr(inner, "__code__", None)
    if isinstance(code, types.CodeType):
        written = inlinable(inner)
        if written is not None:
            return f"{_shortened(written.told)} at {_location(code)}"
        return _place(code, code.co_qualname)
    name = getattr(inner, "__qualname__", None)
    return f"{name}()" if isinstance(name, str) else repr(fn)


def short_name(fn: object) -> str:
    """Name a function as briefly as it can be: `keep()`, `lambda`, `Order`."""
    inner = called(fn)
    written = inlinable(inner)
    if written is not None:
        return _shortened(written.told)
    name = getattr(inner, "__qualname__", type(inner).__qualname__).rsplit(".<locals>.", 1)[-1]
    if name == "<lambda>":
        return "lambda"
    return name if isinstance(inner, type) else f"{name}()"


def outline(fn: object) -> str:
    """Name a function; of a lambda say which names and constants it uses: `lambda country, 2`.

    Tells functions apart from one build of a program to the next, where neither lines nor compiled code would do.
    """
    written = inlinable(called(fn))
    if written is not None:
        return written.told
    name = short_name(fn)
    code = getattr(called(fn), "__code__", None)
    if name != "lambda" or not isinstance(code, types.CodeType):
        return name
    return f"{name} {', '.join(_used(code))}".rstrip()


def _used(code: types.CodeType) -> list[str]:
    """Names in their order, then constants by their text: where those stand is each Python version's own affair."""
    inner = [each for each in code.co_consts if isinstance(each, types.CodeType)]
    constants = [repr(each) for each in code.co_consts if isinstance(each, str | int | float | bytes)]
    own = [*code.co_names, *code.co_freevars, *sorted(each for each in constants if "<locals>" not in each)]
    return own + [use for each in inner for use in _used(each)]


def _place(code: types.CodeType, qualified: str) -> str:
    name = qualified.rsplit(".<locals>.", 1)[-1]
    place = _location(code)
    return f"the lambda at {place}" if name == "<lambda>" else f"{name}() at {place}"


def _location(code: types.CodeType) -> Location:
    return Location(code.co_filename, code.co_firstlineno)


# ── results ──────────────────────────────────────────────────────────────────────────────────────────────────────


def truth(result: object) -> bool:
    """Return whether a predicate's result is true.

    Raises:
        TypeError: it is a coroutine, a generator or something else that has yet to run, which is true whatever comes
            of it.
    """
    if isinstance(result, _UNSTARTED) or hasattr(type(result), "__await__"):
        raise _unstarted(result)
    return bool(result)


def refuse_unstarted(result: object) -> None:
    """Refuse what has done nothing so far: a coroutine or a generator, where what it does or gives is wanted.

    Raises:
        TypeError: it is one; the message names its function.
    """
    error = unstarted(result)
    if error is not None:
        raise error


def unstarted(result: object) -> TypeError | None:
    """Return the error of a coroutine or a generator where a value is wanted; None for anything else."""
    return _unstarted(result) if isinstance(result, _UNSTARTED) else None


def several(result: Any) -> list[Any]:
    """Return a function's results, each of which is to become a record, as a list.

    Raises:
        TypeError: it is one result: a text, whose characters would become records, or something without elements.
    """
    if isinstance(result, TEXTS) or not isinstance(result, Iterable):
        raise not_several(result)
    return list(result)


def not_several(result: object) -> TypeError:
    """Return the error of one result where any number of them is wanted."""
    return unstarted(result) or TypeError(
        f"the function returned {_one(result)} where any number of results is wanted: yield each, or return a list"
    )


def pair(result: Any) -> Any:
    """Return a function's result where a pair of key and value is wanted.

    Raises:
        TypeError: it is a text, since one of two characters would make a pair, or something without order or elements.
    """
    if not isinstance(result, Iterable) or isinstance(result, (*TEXTS, Set, Mapping)):
        raise unstarted(result) or TypeError(
            f"the function returned {_one(result)} where a pair is wanted: return (key, value)"
        )
    return result


def _one(result: object) -> str:
    return "None" if result is None else f"one {type(result).__name__}"


def watched(fn: Callable[..., Any], *, yields: bool = False) -> Callable[..., Any]:
    """Return the function; where a decorator hides one that has yet to run when it returns, with a look at its results.

    Whether the decorator runs that to its end, nobody can tell before it is called.
    """
    return _Watched(fn, yields=yields) if _may_hide(called(fn), yields=yields) else fn


class _Watched:
    """Calls a function, and refuses a result that has yet to run."""

    __slots__ = ("_refused", "fn")

    def __init__(self, fn: Callable[..., Any], *, yields: bool) -> None:
        self.fn = fn
        self._refused = (types.CoroutineType, types.AsyncGeneratorType) if yields else _UNSTARTED

    def __call__(self, *arguments: Any) -> Any:
        result = self.fn(*arguments)
        if isinstance(result, self._refused):
            raise _unstarted(result)
        return result


def _may_hide(fn: object, *, yields: bool) -> bool:
    while (fn := getattr(fn, "__wrapped__", None)) is not None:
        inner = called(fn)
        if inspect.iscoroutinefunction(inner) or inspect.isasyncgenfunction(inner):
            return True
        if inspect.isgeneratorfunction(inner) and not yields:
            return True
    return False


def _unstarted(result: object) -> TypeError:
    code = (
        getattr(result, "cr_code", None)
        or getattr(result, "gi_code", None)
        or getattr(result, "ag_code", None)
    )
    what = repr(result)
    if code is not None:
        what = f"a {type(result).__name__.replace('_', ' ')} of {_place(code, code.co_qualname)}"
    if isinstance(result, types.CoroutineType | types.GeneratorType):
        result.close()  # or Python warns, somewhere else, that it was never awaited
    return TypeError(
        f"the function gave nothing that can be used: it is {what}, and none of it has run; use a plain function, or "
        "call asyncio.run() in it"
    )
