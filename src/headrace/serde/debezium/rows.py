"""How rows of one type are made of what an envelope has, column by column."""

from collections.abc import Mapping
from typing import Any, Generic, get_type_hints

import msgspec
from typing_extensions import TypeVar

from headrace.serde.debezium.columns import Converters, Decimals, converters_of, element_of, plain_type
from headrace.serde.debezium.semantics import Semantics
from headrace.serde.models import is_pydantic

__all__ = ["RowType", "fields_of"]

R = TypeVar("R")

#: What an unchanged array's elements may be without its mark being lost: see `unavailable`.
_MARKED = (str, int, dict, bytes)


def fields_of(type_: type) -> Mapping[str, tuple[str, Any]]:
    """Return the columns of a class: attribute and annotation by the name that the class has in JSON.

    Raises:
        TypeError: it is no dataclass, struct of msgspec, or model of pydantic.
    """
    if is_pydantic(type_):
        fields: Mapping[str, Any] = type_.model_fields  # type: ignore[attr-defined]  # of every model
        hints = get_type_hints(type_, include_extras=True)
        return {field.alias or name: (name, hints[name]) for name, field in fields.items()}
    try:
        info = msgspec.inspect.type_info(type_)
    except Exception as error:
        raise TypeError(f"{type_!r} is no type of rows: {error}") from error
    if not isinstance(info, msgspec.inspect.StructType | msgspec.inspect.DataclassType):
        raise TypeError(
            f"{type_!r} is no type of rows: write a dataclass, a struct of msgspec or a model of pydantic, whose "
            "fields are columns"
        )
    hints = get_type_hints(type_, include_extras=True)
    return {field.encode_name: (field.name, hints[field.name]) for field in info.fields}


class RowType(Generic[R]):
    """Of one class. Threads may share it."""

    def __init__(self, type_: type[R], decimals: Decimals) -> None:
        self.type = type_
        self._fields = fields_of(type_)
        self._decimals = decimals
        self._is_pydantic = is_pydantic(type_)
        # A null of an update may be their mark.
        self._ambiguous = [
            column
            for column, (_, annotation) in self._fields.items()
            if (element := element_of(plain_type(annotation)[0])) is not None
            and not (isinstance(plain := plain_type(element)[0], type) and issubclass(plain, _MARKED))
        ]

    def ambiguous(self, values: Mapping[str, object]) -> list[str]:
        """Return columns that are null, where Debezium may mean that they have not changed."""
        return [column for column in self._ambiguous if values.get(column, 0) is None]

    def values(self, columns: Mapping[str, Any], convert: Converters) -> dict[str, object]:
        """Return the values of the columns that the class has.

        Raises:
            ValueError: one cannot be read; names the column.
        """
        found: dict[str, object] = {}
        for column, value in columns.items():
            if value is not None and column in convert:
                try:
                    value = convert[column](value)
                except Exception as error:
                    raise ValueError(f"column {column!r}: {error}") from error
            if column in self._fields:
                found[column] = value
        return found

    def made(self, values: Mapping[str, object], before: R | None, unchanged: frozenset[str]) -> R:
        """Return the row, with values of the row before where they have not changed.

        Raises:
            ValueError: the values make no row; says why.
        """
        whole = dict(values)
        for column in unchanged:
            assert before is not None, "whoever has no row before asks for none of its values"
            whole[column] = self.value_of(before, column)
        if self._is_pydantic:
            model: Any = self.type
            made: R = model.model_validate(whole)
            return made
        return msgspec.convert(whole, self.type, from_attributes=True)

    def has(self, column: str) -> bool:
        """Whether the class has a column."""
        return column in self._fields

    def value_of(self, row: R, column: str) -> object:
        """Return a row's value of a column."""
        found: object = getattr(row, self._fields[column][0])
        return found

    def converters(self, semantics: Mapping[str, Semantics]) -> Converters:
        """Return what converts the columns of one schema; nothing is known of them where there is none."""
        return converters_of(
            {column: annotation for column, (_, annotation) in self._fields.items()},
            semantics,
            self._decimals,
        )
