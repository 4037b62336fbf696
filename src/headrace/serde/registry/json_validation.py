"""Hold JSON against a schema, with what it refers to."""

from collections.abc import Callable
from typing import Any

import msgspec

from headrace.base.errors import SchemaRegistryError
from headrace.serde.registry.schema import Schema, SchemaSource

__all__ = ["validation"]

#: What the validator puts before a relative reference.
_BASE = "json-schema:///"

#: Stands for a value in a message: it may be confidential.
_MASK = "the value"


def validation(schema: Schema, source: SchemaSource) -> Callable[[bytes], None]:
    """Return what raises ValueError for JSON that the schema does not take; says where.

    Raises:
        SchemaRegistryError: the schema is none that can be read.
    """
    import jsonschema_rs

    try:
        referred = {name: msgspec.json.decode(text) for name, text in _referred(schema, source).items()}

        def retrieve(uri: str) -> Any:
            # Never from the net: what a schema refers to, the registry has.
            for name in (uri, uri.removeprefix(_BASE), uri.rpartition("/")[2]):
                if name in referred:
                    return referred[name]
            raise ValueError(
                f"the schema refers to {uri.removeprefix(_BASE)!r}, which is none of its references"
            )

        validator = jsonschema_rs.validator_for(
            msgspec.json.decode(schema.text), retriever=retrieve, mask=_MASK
        )
    except SchemaRegistryError:
        raise
    except Exception as error:
        raise SchemaRegistryError(f"the JSON schema cannot be read: {error}") from error
    decode = msgspec.json.decode

    def validate(data: bytes) -> None:
        try:
            validator.validate(decode(data))
        except jsonschema_rs.ValidationError as error:
            at = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in error.instance_path)
            raise ValueError(f"{error.message} - at `${at}`") from None

    return validate


def _referred(schema: Schema, source: SchemaSource) -> dict[str, str]:
    found: dict[str, str] = {}
    waiting = list(schema.references)
    while waiting:
        reference = waiting.pop()
        if reference.name not in found:
            other = source(reference)
            found[reference.name] = other.text
            waiting += other.references
    return found
