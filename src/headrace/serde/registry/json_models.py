"""Read pydantic models of JSON that others wrote: decoded by msgspec, then validated.

pydantic's own reader takes numbers for floats before it makes decimals of them, and guesses whether a number in the
place of a time is of seconds or milliseconds. Here decimals keep their digits, and such a number is refused.
"""

import dataclasses
import datetime
import decimal
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

import msgspec

from headrace.serde.models import is_pydantic

__all__ = ["model_reader"]

_TIMES: Final = (datetime.date, datetime.time, datetime.timedelta)

#: Raises ValueError for a number in the place of a time; None where there is no such place.
_Check = Callable[[Any, str], None] | None


def model_reader(annotation: Any) -> Callable[[bytes], Any]:
    """Return what reads values of a type that holds models."""
    from pydantic import TypeAdapter

    adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    if _is_strict(annotation, set()):
        # Only its own reader knows that text may stand for a time, and is strict besides.
        return adapter.validator.validate_json
    decode = msgspec.json.Decoder(float_hook=_number).decode
    validate = adapter.validator.validate_python
    check = _check_of(annotation, {})
    if check is None:
        return lambda data: validate(decode(data))

    def read(data: bytes) -> Any:
        document = decode(data)
        check(document, "$")
        return validate(document)

    return read


def _number(text: str) -> float | decimal.Decimal:
    """Keep the digits that a float would lose."""
    found = float(text)
    exact = decimal.Decimal(text)
    return found if decimal.Decimal(repr(found)) == exact else exact


def _is_strict(annotation: Any, seen: set[Any]) -> bool:
    if is_pydantic(annotation):
        if annotation in seen:
            return False
        seen.add(annotation)
        if annotation.model_config.get("strict"):
            return True
        return any(_is_strict(field.annotation, seen) for field in annotation.model_fields.values())
    return any(_is_strict(part, seen) for part in _parts(annotation))


def _parts(annotation: Any) -> tuple[Any, ...]:
    return () if get_origin(annotation) is Literal else get_args(annotation)


def _check_of(annotation: Any, above: dict[Any, Callable[[Any, str], None]]) -> _Check:
    if is_pydantic(annotation) or (isinstance(annotation, type) and dataclasses.is_dataclass(annotation)):
        return _check_of_fields(annotation, above)
    origin = get_origin(annotation) or annotation
    if isinstance(origin, type) and issubclass(origin, _TIMES):
        return _refuse_number
    parts = [check for part in _parts(annotation) if (check := _check_of(part, above)) is not None]
    if not parts:
        return None
    if isinstance(origin, type) and issubclass(origin, Mapping):
        last = parts[-1]

        def of_values(value: Any, at: str) -> None:
            if isinstance(value, dict):
                for name, each in value.items():
                    last(each, f"{at}.{name}")

        return of_values
    if isinstance(origin, type) and hasattr(origin, "__iter__"):

        def of_items(value: Any, at: str) -> None:
            if isinstance(value, list):
                for number, each in enumerate(value):
                    parts[min(number, len(parts) - 1)](each, f"{at}[{number}]")

        return of_items if len(_parts(annotation)) <= 2 else None
    if len(parts) < len([part for part in _parts(annotation) if part is not type(None)]):
        return None  # a union in which a number may be meant

    def of_members(value: Any, at: str) -> None:
        for check in parts:
            check(value, at)

    return of_members


def _check_of_fields(cls: Any, above: dict[Any, Callable[[Any, str], None]]) -> _Check:
    if cls in above:
        return above[cls]
    checks: dict[str, Callable[[Any, str], None]] = {}

    def of_fields(value: Any, at: str) -> None:
        if isinstance(value, dict):
            for name, check in checks.items():
                if name in value:
                    check(value[name], f"{at}.{name}")

    above[cls] = of_fields
    if is_pydantic(cls):
        fields = {
            alias: field.annotation
            for name, field in cls.model_fields.items()
            for alias in {name, field.alias or name}
        }
    else:
        fields = get_type_hints(cls)
    for name, annotation in fields.items():
        if (check := _check_of(annotation, above)) is not None:
            checks[name] = check
    return of_fields


def _refuse_number(value: Any, at: str) -> None:
    if isinstance(value, int | float | decimal.Decimal) and not isinstance(value, bool):
        raise ValueError(f"a number stands for a time, which may be of seconds or milliseconds - at `{at}`")
