"""What classes with fields have in common: dataclasses, structs, models, named tuples and typed dictionaries."""

import dataclasses
import inspect
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NewType,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec
from typing_extensions import TypeAliasType, is_typeddict

from headrace.serde.models import is_pydantic

__all__ = [
    "NOT_SET",
    "ClassField",
    "fields_of",
    "has_fields",
    "is_named_tuple",
    "is_typed_dict",
    "literal_texts",
    "maker_of",
    "members_of",
    "remarks_of",
    "text_of",
]


class _NotSet:
    def __repr__(self) -> str:
        return "NOT_SET"


#: The default of a field that has none.
NOT_SET: Final = _NotSet()


@dataclass(frozen=True, slots=True)
class ClassField:
    """A field of a class: its name in Python, its annotation with all remarks, its default, what is said of it."""

    name: str
    annotation: Any
    default: Any
    text: str = ""


def has_fields(annotation: Any) -> bool:
    """Whether an annotation is a class of records."""
    return isinstance(annotation, type) and (
        dataclasses.is_dataclass(annotation)
        or issubclass(annotation, msgspec.Struct)
        or is_pydantic(annotation)
        or is_typed_dict(annotation)
        or is_named_tuple(annotation)
    )


def is_typed_dict(annotation: Any) -> bool:
    """Whether it is a TypedDict, whose values are dictionaries and not its instances."""
    return is_typeddict(annotation)


def is_named_tuple(annotation: Any) -> bool:
    """Whether it is a NamedTuple that says the types of its fields."""
    return (
        isinstance(annotation, type)
        and issubclass(annotation, tuple)
        and hasattr(annotation, "_field_defaults")
    )


def fields_of(cls: Any) -> tuple[ClassField, ...]:
    """Return the fields of a class, in order.

    Raises:
        TypeError: an annotation names what is not defined, is not there, or lets a field be left out.
    """
    try:
        hints = get_type_hints(cls, include_extras=True)
    except NameError as error:
        raise TypeError(f"an annotation of {cls.__name__} names what is not defined: {error}") from error
    if is_pydantic(cls):
        return tuple(
            ClassField(
                name,
                hints.get(name, field.annotation),
                NOT_SET
                if field.is_required()
                else field.get_default(call_default_factory=True, validated_data={}),
                field.description or _remarked(hints.get(name)),
            )
            for name, field in cls.model_fields.items()
        )
    if issubclass(cls, msgspec.Struct):
        return tuple(
            ClassField(each.name, hints[each.name], _default_of_struct(each), _remarked(hints[each.name]))
            for each in msgspec.structs.fields(cls)
        )
    if is_typed_dict(cls):
        return tuple(_field_of_typed_dict(cls, name, hint) for name, hint in hints.items())
    if is_named_tuple(cls):
        return tuple(_field_of_named_tuple(cls, name, hints) for name in cls._fields)
    return tuple(
        ClassField(each.name, hints[each.name], _default_of_dataclass(each), _remarked(hints[each.name]))
        for each in dataclasses.fields(cls)
        if each.init
    )


def _field_of_typed_dict(cls: Any, name: str, hint: Any) -> ClassField:
    if name in cls.__optional_keys__:
        raise TypeError(
            f"the field {name!r} of {cls.__name__} may be left out, for which a schema has no place: write it without "
            "NotRequired and total=False, as T | None"
        )
    annotation = get_args(hint)[0] if get_origin(hint) is Required else hint
    return ClassField(name, annotation, NOT_SET, _remarked(annotation))


def _field_of_named_tuple(cls: Any, name: str, hints: Mapping[str, Any]) -> ClassField:
    if name not in hints:
        raise TypeError(
            f"the field {name!r} of {cls.__name__} has no type: write a class of typing.NamedTuple"
        )
    return ClassField(name, hints[name], cls._field_defaults.get(name, NOT_SET), _remarked(hints[name]))


def _default_of_struct(field: Any) -> Any:
    if field.default is not msgspec.NODEFAULT:
        return field.default
    return NOT_SET if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def _default_of_dataclass(field: "dataclasses.Field[Any]") -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    return NOT_SET if field.default_factory is dataclasses.MISSING else field.default_factory()


def maker_of(cls: Any) -> Callable[[dict[str, Any]], Any]:
    """Return what makes an object of its fields. Models are validated, by names that validation takes."""
    if not is_pydantic(cls):
        return lambda fields: cls(**fields)
    aliases = {
        name: field.validation_alias
        for name, field in cls.model_fields.items()
        if isinstance(field.validation_alias, str) and field.validation_alias != name
    }
    validate = cls.model_validate
    if not aliases:
        made: Callable[[dict[str, Any]], Any] = validate
        return made
    return lambda fields: validate({aliases.get(name, name): value for name, value in fields.items()})


def text_of(cls: Any) -> str:
    """Return what the author says of a class: its docstring, unless a library has made it."""
    said = cls.__dict__.get("__doc__")
    if not said or said.startswith(f"{cls.__name__}("):
        return ""
    return inspect.cleandoc(said)


def _remarked(annotation: Any) -> str:
    for remark in remarks_of(annotation)[1]:
        if isinstance(remark, msgspec.Meta) and remark.description:
            return remark.description
    return ""


def remarks_of(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return a type without names and remarks, and the remarks."""
    remarks: tuple[Any, ...] = ()
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            remarks = (*remarks, *more)
        elif isinstance(annotation, NewType):
            annotation = annotation.__supertype__
        elif isinstance(annotation, TypeAliasType):
            annotation = annotation.__value__
        else:
            return annotation, remarks


def members_of(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a union, with their remarks; of anything else the type alone."""
    plain, remarks = remarks_of(annotation)
    if get_origin(plain) not in {Union, types.UnionType}:
        return (annotation,)
    found: list[Any] = []
    for part in get_args(plain):
        # A remark on an optional type is on what is not None.
        marked = Annotated[(part, *remarks)] if remarks and part is not types.NoneType else part
        found.extend(members_of(marked))
    return tuple(found)


def literal_texts(annotation: Any) -> tuple[str, ...] | None:
    """Return the texts of a Literal; None where it is none, or has others."""
    if get_origin(annotation) is not Literal:
        return None
    values = get_args(annotation)
    return values if all(isinstance(each, str) for each in values) else None
