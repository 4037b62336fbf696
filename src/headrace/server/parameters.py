"""What a request may say in its path and its query: declared once, read and described from there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias
from urllib.parse import parse_qsl

from headrace.base.durations import milliseconds
from headrace.base.wording import shortened
from headrace.server.answers import Problem

__all__ = ["Given", "Parameter", "read"]

#: What a request gives, by the names of the parameters; those that it leaves out have their defaults.
Given: TypeAlias = Mapping[str, Any]

_Kind: TypeAlias = Literal["text", "time", "count", "flag", "duration"]

_TIME_MAX = 2**63 - 1
_COUNT_MAX = 1_000
_QUERY_FIELDS_MAX = 32


@dataclass(frozen=True, slots=True)
class Parameter:
    """One of them; `text` is its line in the description, `allowed` are the words that it may be, any if empty."""

    name: str
    kind: _Kind
    text: str
    default: Any = None
    is_in_path: bool = False
    allowed: tuple[str, ...] = ()

    @property
    def schema(self) -> dict[str, Any]:
        """Return its JSON schema."""
        match self.kind:
            case "time":
                return {"type": "integer", "minimum": 0, "maximum": _TIME_MAX}
            case "count":
                return {"type": "integer", "minimum": 1, "maximum": _COUNT_MAX, "default": self.default}
            case "flag":
                return {"type": "boolean", "default": False}
            case "duration":
                return {"type": "string", "pattern": r"^[0-9]{1,6}(ms|s|m)$"}
            case "text":
                return {"type": "string", "enum": list(self.allowed)} if self.allowed else {"type": "string"}


def read(parameters: Sequence[Parameter], path: Mapping[str, str], query: bytes) -> Given:
    """Read a request's path and query.

    Raises:
        Problem: a parameter is unknown, given twice, or of another kind.
    """
    known = {each.name: each for each in parameters}
    found: dict[str, Any] = {each.name: each.default for each in parameters}
    found.update(path)
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_QUERY_FIELDS_MAX
        )
    except (UnicodeDecodeError, ValueError):
        raise Problem(400, "the query is no list of name=value in percent-encoded UTF-8") from None
    seen: set[str] = set()
    for name, text in pairs:
        parameter = known.get(name)
        if parameter is None or parameter.is_in_path:
            allowed = ", ".join(each.name for each in parameters if not each.is_in_path) or "none"
            raise Problem(400, f"there is no parameter {shortened(name)}; there is: {allowed}")
        if name in seen:
            raise Problem(400, f"{name} is given twice")
        seen.add(name)
        found[name] = _value(parameter, text)
    return found


def _value(parameter: Parameter, text: str) -> Any:
    name = parameter.name
    match parameter.kind:
        case "text":
            if parameter.allowed and text not in parameter.allowed:
                raise Problem(400, f"{name} is {shortened(text)}, but must be {', '.join(parameter.allowed)}")
            return text
        case "flag":
            if text not in ("true", "false"):
                raise Problem(400, f"{name} is {shortened(text)}, but must be true or false")
            return text == "true"
        case "time":
            return _number(name, text, 0, _TIME_MAX, "epoch milliseconds")
        case "count":
            return _number(name, text, 1, _COUNT_MAX, f"a number from 1 to {_COUNT_MAX}")
        case "duration":
            try:
                return milliseconds(text, name=name) / 1000
            except (TypeError, ValueError):
                raise Problem(
                    400, f"{name} is {shortened(text)}, but must be a duration such as 5s"
                ) from None


def _number(name: str, text: str, least: int, most: int, allowed: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else -1
    if not least <= number <= most:
        raise Problem(400, f"{name} is {shortened(text)}, but must be {allowed}")
    return number
