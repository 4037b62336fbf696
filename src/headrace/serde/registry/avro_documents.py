"""Values of Avro as people write and read them on a line: JSON, with decimals and times as text."""

import types
from typing import Any

import msgspec

from headrace.base.errors import SerializationError
from headrace.base.wording import shortened
from headrace.serde.registry.avro_binding import LEAVES
from headrace.serde.registry.avro_nodes import Node

__all__ = ["document_of", "value_of_document"]


def document_of(value: Any) -> object:
    """Return a value as msgspec writes it; of a model, its own document."""
    return msgspec.to_builtins(value, enc_hook=_dumped)


def _dumped(value: Any) -> object:
    dump = getattr(value, "model_dump", None)
    return dump(mode="json") if callable(dump) else str(value)


def value_of_document(document: Any, node: Node | None, annotation: Any) -> Any:
    """Return the value that JSON means: of a type if there is one, else of a schema.

    Raises:
        SerializationError: it means none.
    """
    try:
        if annotation is None:
            return document if node is None else _value(node, document)
        validate = getattr(annotation, "model_validate", None)
        if callable(validate):
            return validate(document)
        return msgspec.convert(document, annotation)
    except (ArithmeticError, KeyError, TypeError, ValueError) as error:
        raise SerializationError(f"{shortened(document)} is no value of the schema: {error}") from None


def _value(node: Node, document: Any) -> Any:
    if node.kind == "union":
        return _branch(node, document)
    if node.kind == "record" and isinstance(document, dict):
        nodes = {field.name: field.node for field in node.fields}
        return {name: _value(nodes[name], each) if name in nodes else each for name, each in document.items()}
    if node.kind == "array" and isinstance(document, list) and node.items is not None:
        return [_value(node.items, each) for each in document]
    if node.kind == "map" and isinstance(document, dict) and node.items is not None:
        return {name: _value(node.items, each) for name, each in document.items()}
    wanted = _WANTED.get(node.logical or node.kind)
    return document if wanted is None else msgspec.convert(document, wanted)


def _branch(node: Node, document: Any) -> Any:
    for branch in node.branches:
        if (document is None) != (branch.kind == "null"):
            continue
        try:
            return _value(branch, document)
        except (ArithmeticError, KeyError, TypeError, ValueError):
            continue
    return document


#: What JSON has no values of, or fewer kinds: the others are as they stand there.
_WANTED = {name: leaf for name, leaf in LEAVES.items() if leaf not in (types.NoneType, bool, int, str)}
