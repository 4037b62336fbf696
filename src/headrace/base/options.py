"""Declare a configuration property: its Kafka name, how text becomes its value, its default, and a line of text.

Each room declares its own in `options.py`; the facade collects them, and the documentation's table is made of them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from typing import Any, Generic

from typing_extensions import TypeVar

from headrace.base.callables import misfit
from headrace.base.durations import milliseconds
from headrace.base.errors import ConfigError

__all__ = [
    "REQUIRED",
    "Option",
    "OptionKind",
    "boolean",
    "by_name",
    "choice",
    "double",
    "duration_ms",
    "function",
    "integer",
    "long",
    "names",
    "text",
]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


@dataclass(frozen=True, slots=True)
class OptionKind(Generic[T_co]):
    """How a property is read: what it may be, in words, and the parser.

    `parse` takes what was written in code, or the text of a file, a flag or the environment. It raises ValueError or
    TypeError for anything else; the option turns that into an error that names the property.
    """

    allowed: str
    parse: Callable[[object], T_co]


class _Required:
    """The default of a property that has none."""

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Any = _Required()


@dataclass(frozen=True, slots=True)
class Option(Generic[T]):
    """One property.

    Attributes:
        name: Kafka's name, with dots.
        kind: how it is read.
        default: its value when nobody sets it, or `REQUIRED`. None means *not set*, and is kept as it is.
        text: one line for the documentation.
        validate: returns what is wrong with a value of the right kind, or None.
        is_secret: its value is a password or a key: it is never shown, not even in an error.
    """

    name: str
    kind: OptionKind[T]
    default: T
    text: str
    validate: Callable[[T], str | None] | None = None
    is_secret: bool = False

    @property
    def field(self) -> str:
        """The name in Python: `_` for each dot and dash."""
        return self.name.replace(".", "_").replace("-", "_")

    @property
    def is_required(self) -> bool:
        """Whether somebody has to set it."""
        return isinstance(self.default, _Required)

    def parse(self, raw: object) -> T:
        """Return the value that `raw` stands for.

        Raises:
            ConfigError: it is of the wrong kind or beyond what is allowed; names the property, what was found and what
                is allowed.
        """
        if raw is None and self.default is None:
            return self.default
        said = "****" if self.is_secret else repr(raw)
        try:
            value = self.kind.parse(raw)
        except (TypeError, ValueError) as error:
            reason = str(error)
            raise ConfigError(
                f"{self.name} is {said}, but must be {self.kind.allowed}{': ' + reason if reason else ''}"
            ) from error
        wrong = self.validate(value) if self.validate else None
        if wrong is not None:
            raise ConfigError(f"{self.name} is {said}, but {wrong}")
        return value


def _text(raw: object) -> str:
    if not isinstance(raw, str):
        raise TypeError
    return raw


def _boolean(raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    word = raw.strip().lower() if isinstance(raw, str) else None
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise TypeError


def _whole(raw: object) -> int:
    # bool is an int to Python, but `num.stream.threads=True` is a mistake.
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    if isinstance(raw, str):
        try:
            return int(raw.strip().replace("_", ""))
        except ValueError:
            raise TypeError from None
    raise TypeError


def _bounded(minimum: int, maximum: int) -> Callable[[object], int]:
    def parse(raw: object) -> int:
        value = _whole(raw)
        if not minimum <= value <= maximum:
            raise TypeError
        return value

    return parse


def integer(*, minimum: int = -(2**31), maximum: int = 2**31 - 1) -> OptionKind[int]:
    """Read a whole number of 32 bits (Kafka's INT), within bounds."""
    return OptionKind(f"a whole number {_bounds(minimum, maximum, 31)}", _bounded(minimum, maximum))


def long(*, minimum: int = -(2**63), maximum: int = 2**63 - 1) -> OptionKind[int]:
    """Read a whole number of 64 bits (Kafka's LONG), within bounds."""
    return OptionKind(f"a whole number {_bounds(minimum, maximum, 63)}", _bounded(minimum, maximum))


def _bounds(minimum: int, maximum: int, bits: int) -> str:
    if maximum == 2**bits - 1:
        return f"of {bits + 1} bits" if minimum == -(2**bits) else f"of at least {minimum}"
    return f"from {minimum} to {maximum}"


def double(*, minimum: float = float("-inf"), maximum: float = float("inf")) -> OptionKind[float]:
    """Read a number, within bounds."""

    def parse(raw: object) -> float:
        if isinstance(raw, bool) or not isinstance(raw, int | float | str):
            raise TypeError
        try:
            value = float(raw)
        except ValueError:
            raise TypeError from None
        # Written so that not-a-number, which compares as false, is refused.
        if not minimum <= value <= maximum:
            raise TypeError
        return value

    return OptionKind(
        "a number" if minimum == float("-inf") else f"a number from {minimum} to {maximum}", parse
    )


def duration_ms(*, minimum: int = 0, maximum: int = 2**63 - 1) -> OptionKind[int]:
    """Read a property in milliseconds, whose name says so: a whole number, `"5s"`, or a timedelta."""

    def parse(raw: object) -> int:
        if isinstance(raw, timedelta) or (isinstance(raw, str) and raw[-1:].isalpha()):
            try:
                value = milliseconds(raw, name="it", negative_allowed=True)
            except ValueError:
                # What is allowed says all of it; "it='soon' is not a duration" only repeats.
                raise TypeError from None
        else:
            value = _whole(raw)
        if not minimum <= value <= maximum:
            raise TypeError
        return value

    return OptionKind(f"milliseconds {_bounds(minimum, maximum, 63)}, or a duration such as '5s'", parse)


def choice(*allowed: str, ignore_case: bool = False) -> OptionKind[str]:
    """Read one of a few words."""

    def parse(raw: object) -> str:
        word = _text(raw)
        for one in allowed:
            if word == one or (ignore_case and word.lower() == one.lower()):
                return one
        raise TypeError

    return OptionKind("one of " + ", ".join(allowed), parse)


def names() -> OptionKind[Sequence[str]]:
    """Read a list of words: a sequence of text, or text with commas. Gives a tuple without empty entries."""

    def parse(raw: object) -> Sequence[str]:
        parts = raw.split(",") if isinstance(raw, str) else raw
        if not isinstance(parts, Sequence) or isinstance(parts, bytes):
            raise TypeError
        return tuple(word for word in (_text(part).strip() for part in parts) if word)

    return OptionKind("a list of words, or text with commas between them", parse)


def function(*arguments: str) -> OptionKind[Callable[..., Any]]:
    """Read a function that is called with these arguments, or its name `MODULE:NAME`, which a file can give."""

    def parse(raw: object) -> Callable[..., Any]:
        found = _named(raw) if isinstance(raw, str) else raw
        if not callable(found):
            raise TypeError
        problem = misfit(found, arguments)
        if problem is not None:
            raise ValueError(problem)
        return found

    return OptionKind("a function, or text that names one as MODULE:NAME", parse)


def _named(text: str) -> object:
    module, colon, name = text.partition(":")
    if not (module and colon and name):
        raise TypeError
    try:
        found: object = import_module(module)
    except ImportError as error:
        raise ValueError(f"module {module!r} cannot be imported: {error}") from error
    try:
        for part in name.split("."):
            found = getattr(found, part)
    except AttributeError as error:
        raise ValueError(str(error)) from error
    return found


#: Text as it stands.
text: OptionKind[str] = OptionKind("text", _text)

#: True or false; in text also yes and no, on and off, 1 and 0.
boolean: OptionKind[bool] = OptionKind("true or false", _boolean)


def by_name(options: Sequence[Option[Any]]) -> Mapping[str, Option[Any]]:
    """Return options by Kafka's name, in the order given.

    Raises:
        ValueError: two have the same name: a property is declared once.
    """
    found: dict[str, Option[Any]] = {}
    for option in options:
        if option.name in found:
            raise ValueError(f"property {option.name} is declared twice")
        found[option.name] = option
    return found
