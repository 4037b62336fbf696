"""Serdes of a schema registry, in Confluent's format: `hr.registry.avro(Order)`, `.json_schema(...)`, `.protobuf(...)`.

Where the registry is, and how to log in, the application's properties say (`schema.registry.url` and others). It needs
the extra `registry`: `pip install 'headrace[registry]'`.
"""

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from typing_extensions import TypeForm, TypeVar

from headrace.serde.registry.avro import avro_format
from headrace.serde.registry.avro_types import As, Decimal
from headrace.serde.registry.json_schema import json_format
from headrace.serde.registry.mock import MockRegistry, mock_registry
from headrace.serde.registry.protobuf import protobuf_format
from headrace.serde.registry.schema import Reference
from headrace.serde.registry.serde import IdPlace, RegistrySerde, Wishes
from headrace.serde.registry.subjects import STRATEGIES, SubjectStrategy
from headrace.serde.serde import Serde

if TYPE_CHECKING:
    from google.protobuf.message import Message

__all__ = [
    "As",
    "Decimal",
    "MockRegistry",
    "Reference",
    "SubjectStrategy",
    "avro",
    "json_schema",
    "mock",
    "protobuf",
]

T = TypeVar("T")
M = TypeVar("M", bound="Message")


def _ensure_installed() -> None:
    # Each is imported by what needs it, with the first record: too late to be told that it is missing.
    for module in ("fastavro", "jsonschema_rs", "google.protobuf"):
        try:
            is_there = find_spec(module) is not None
        except ModuleNotFoundError:  # the package around it
            is_there = False
        if not is_there:
            raise ImportError(
                f"headrace.registry needs {module}, which is not installed: pip install 'headrace[registry]'"
            )


_ensure_installed()


@overload
def avro(
    type: TypeForm[T],
    *,
    schema: str | os.PathLike[str] | None = None,
    references: Sequence[Reference] = (),
    namespace: str = "",
    subject: str | SubjectStrategy | None = None,
    auto_register: bool | None = None,
    normalize: bool | None = None,
    use_latest: bool | None = None,
    use_id: int | None = None,
    id_in: IdPlace = "prefix",
) -> Serde[T]: ...
@overload
def avro(
    type: None = None,
    *,
    schema: str | os.PathLike[str] | None = None,
    references: Sequence[Reference] = (),
    namespace: str = "",
    subject: str | SubjectStrategy | None = None,
    auto_register: bool | None = None,
    normalize: bool | None = None,
    use_latest: bool | None = None,
    use_id: int | None = None,
    id_in: IdPlace = "prefix",
) -> Serde[dict[str, object]]: ...
def avro(
    type: Any = None,
    *,
    schema: str | os.PathLike[str] | None = None,
    references: Sequence[Reference] = (),
    namespace: str = "",
    subject: str | SubjectStrategy | None = None,
    auto_register: bool | None = None,
    normalize: bool | None = None,
    use_latest: bool | None = None,
    use_id: int | None = None,
    id_in: IdPlace = "prefix",
) -> Serde[Any]:
    """Serialize values of a type as Avro, with a schema that is made of the type where none is given.

    Types are plain ones, dataclasses, msgspec structs, pydantic models, TypedDicts and NamedTuples, and lists,
    dictionaries and unions of such.
    Without a type, values are dictionaries, as the schema has them. A path names a file with the schema. `namespace` is
    that of the names in a schema which is made.

    Raises:
        TypeError: the type has no schema, or the one that is given does not fit it.
    """
    wishes = _wishes(subject, auto_register, normalize, use_latest, use_id, id_in)
    return RegistrySerde(avro_format(type, _text(schema), tuple(references), namespace), wishes)


@overload
def json_schema(
    type: TypeForm[T],
    *,
    schema: str | os.PathLike[str] | None = None,
    references: Sequence[Reference] = (),
    subject: str | SubjectStrategy | None = None,
    auto_register: bool | None = None,
    normalize: bool | None = None,
    use_latest: bool | None = None,
    use_id: int | None = None,
    id_in: IdPlace = "prefix",
) -> Serde[T]: ...
@overload
def json_schema(
    type: None = None,
    *,
    schema: str | os.PathLike[str] | None = None,
    references: Sequence[Reference] = (),
    subject: str | SubjectStrategy | None = None,
    auto_register: bool | None = None,
    normalize: bool | None = None,
    use_latest: bool | None = None,
    use_id: int | None = None,
    id_in: IdPlace = "prefix",
) -> Serde[dict[str, object]]: ...
def json_schema(
    type: Any = None,
    *,
    schema: str | os.PathLike[str] | None = None,
    references: Sequence[Reference] = (),
    subject: str | SubjectStrategy | None = None,
    auto_register: bool | None = None,
    normalize: bool | None = None,
    use_latest: bool | None = None,
    use_id: int | None = None,
    id_in: IdPlace = "prefix",
) -> Serde[Any]:
    """Serialize values of a type as JSON with a schema, which is made of the type where none is given.

    Without a type, values are dictionaries, as the schema takes them. A path names a file with the schema.

    Raises:
        TypeError: values of the type cannot be told apart or read, or the schema is none.
    """
    wishes = _wishes(subject, auto_register, normalize, use_latest, use_id, id_in)
    return RegistrySerde(json_format(type, _text(schema), tuple(references)), wishes)


def protobuf(
    type: "type[M]",
    *,
    subject: str | SubjectStrategy | None = None,
    auto_register: bool | None = None,
    normalize: bool | None = None,
    use_latest: bool | None = None,
    use_id: int | None = None,
    id_in: IdPlace = "prefix",
) -> "Serde[M]":
    """Serialize messages of a class that protoc has generated, with the schema of its file, which is made of it.

    Files that it imports are registered under their names.

    Raises:
        TypeError: it is no such class.
    """
    wishes = _wishes(subject, auto_register, normalize, use_latest, use_id, id_in)
    return RegistrySerde(protobuf_format(type), wishes)


def mock(name: str) -> MockRegistry:
    """Return the registry within the process that `schema.registry.url=mock://NAME` means, for tests to look at."""
    return mock_registry(name)


def _wishes(
    subject: str | SubjectStrategy | None,
    auto_register: bool | None,
    normalize: bool | None,
    use_latest: bool | None,
    use_id: int | None,
    id_in: IdPlace,
) -> Wishes:
    if isinstance(subject, str) and subject not in STRATEGIES:
        raise TypeError(
            f"subject={subject!r} is no strategy: write one of {', '.join(STRATEGIES)}, or a function "
            "(topic, is_key, record name) -> subject"
        )
    if id_in not in ("prefix", "header"):
        raise TypeError(f"id_in={id_in!r}: 'prefix' or 'header' is wanted")
    if use_id is not None and use_latest:
        raise TypeError(f"use_id={use_id} and use_latest=True name two schemas to write with: keep one")
    return Wishes(
        subject=subject,
        auto_register=auto_register,
        normalize=normalize,
        use_latest=use_latest,
        use_id=use_id,
        id_in=id_in,
    )


def _text(schema: str | os.PathLike[str] | None) -> str | None:
    """Return the schema's text: what is given, or what stands in the file that a path names."""
    if schema is None or isinstance(schema, str):
        return schema
    path = Path(schema)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TypeError(f"the schema cannot be read from {path}: {error}") from None
