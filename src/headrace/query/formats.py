"""Keys and values as JSON: how bytes are shown on a line, and how what stands on a line becomes bytes."""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from headrace.base.errors import SchemaRegistryError, SerializationError
from headrace.base.records import Headers, Window, Windowed
from headrace.base.wording import shortened
from headrace.serde.primitives import boolean, float32, float64, int32, int64, string, uuid
from headrace.serde.registry.protobuf import is_message, message_document
from headrace.serde.registry.serde import RegistrySerde
from headrace.serde.rows import RowSerde
from headrace.serde.serde import CodecSerde, Serde
from headrace.serde.windowed import WindowedSerde

__all__ = ["AUTO", "FORMATS", "Format", "format_of", "plain"]


@dataclass(frozen=True, slots=True)
class Format:
    """How keys, or values, of a topic stand on a line.

    `show` gives something that msgspec writes as JSON without a line break, for any bytes. `read` takes what JSON had,
    and raises SerializationError. `placing` gives the part of a key that decides its partition. `of_record` shows what
    only the record's headers tell how to read; None where they tell nothing.
    """

    show: Callable[[bytes], object]
    read: Callable[[Any], bytes]
    placing: Callable[[bytes], bytes] = lambda key: key
    of_record: Callable[[bytes, Headers], object] | None = None

    def shown(self, data: bytes, headers: Headers) -> object:
        """Show what stands in a record with these headers."""
        return self.of_record(data, headers) if headers and self.of_record is not None else self.show(data)


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode

# Text that people wrote has no other control characters; a number of 8 bytes would pass for text by its zeros.
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def _show_auto(data: bytes) -> object:
    """Text as text, objects and lists of JSON as such, and all else in base64."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}
    if text[:1] in ("{", "["):
        try:
            return _decode(data)
        except (msgspec.DecodeError, RecursionError):
            pass
    if _CONTROLS.search(text):
        return {"base64": base64.b64encode(data).decode()}
    return text


def _read_auto(document: Any) -> bytes:
    found = _from_base64(document)
    if found is not None:
        return found
    return document.encode() if isinstance(document, str) else _encode(document)


def _from_base64(document: Any) -> bytes | None:
    if isinstance(document, dict) and document.keys() == {"base64"} and isinstance(document["base64"], str):
        try:
            return base64.b64decode(document["base64"], validate=True)
        except ValueError:  # binascii.Error is one, and so is a character that is not ASCII
            raise SerializationError(f"{shortened(document['base64'])} is not base64") from None
    return None


#: What needs no declaration: text, JSON objects and lists, and base64 for other bytes.
AUTO = Format(_show_auto, _read_auto)


def _show_json(data: bytes) -> object:
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _show_auto(data)


def _show_raw(data: bytes) -> object:
    return {"base64": base64.b64encode(data).decode()}


def _read_raw(document: Any) -> bytes:
    found = _from_base64({"base64": document} if isinstance(document, str) else document)
    if found is None:
        raise SerializationError(f'{shortened(document)} is not base64: write "AAE=" or {{"base64": "AAE="}}')
    return found


def _rows(serde: RowSerde, topic: str) -> Format:
    """Show results in the place of rows."""

    def show(data: bytes) -> object:
        try:
            return plain(serde.result(serde.deserialize(topic, data)))
        except Exception:
            return _show_auto(data)

    def read(document: Any) -> bytes:
        raise SerializationError(
            f"{shortened(document)} is a result, of which {serde!r} cannot be made again"
        )

    return Format(show, read)


def format_of(serde: Serde[Any], topic: str) -> Format:
    """Return the format that a serde's values have on a line.

    Bytes that are no value of the serde are shown as without one. A windowed key is an object of key, start and end.
    """
    if isinstance(serde, WindowedSerde):
        return _windowed(serde, topic)
    if isinstance(serde, RowSerde):
        return _rows(serde, topic)
    if isinstance(serde, RegistrySerde):
        return _registered(serde, topic)
    if serde.type is bytes:
        return AUTO
    deserialize = serde.deserializer(topic) if not serde.uses_headers else _bound(serde.deserialize, topic)
    is_json = isinstance(serde, CodecSerde) and serde.name.startswith("json(")

    def show(data: bytes) -> object:
        try:
            value = deserialize(data)
            # JSON is shown as it was written, if it fits on a line: names of fields may be others than in Python.
            return msgspec.Raw(data) if is_json and b"\n" not in data and b"\r" not in data else plain(value)
        except Exception:
            return _show_auto(data)

    def read(document: Any) -> bytes:
        return serde.serialize(topic, _value(serde, topic, document, is_json=is_json))

    return Format(show, read)


def _registered(serde: RegistrySerde[Any], topic: str) -> Format:
    """Show values as their format has them in JSON; without a registry, bytes."""

    def of_record(data: bytes, headers: Headers) -> object:
        try:
            return serde.format.document(serde.deserialize(topic, data, headers))
        except SchemaRegistryError:  # it is away, or refuses: whoever looks is to know
            raise
        except Exception:
            return _show_auto(data)

    def read(document: Any) -> bytes:
        return serde.serialize(topic, serde.format.value_of(document))

    return Format(lambda data: of_record(data, ()), read, of_record=of_record)


def _bound(deserialize: Callable[[str, bytes], Any], topic: str) -> Callable[[bytes], Any]:
    return lambda data: deserialize(topic, data)


def _windowed(serde: WindowedSerde[Any], topic: str) -> Format:
    inner = serde.inner
    key_format = format_of(inner, topic)
    deserialize, serialize_key = serde.deserializer(topic), inner.serializer(topic)

    def show(data: bytes) -> object:
        try:
            windowed = deserialize(data)
            key = key_format.show(serialize_key(windowed.key))
            return {"key": key, "start": windowed.window.start, "end": windowed.window.end}
        except Exception:
            return _show_auto(data)

    def read(document: Any) -> bytes:
        if not isinstance(document, dict) or not document.keys() >= {"key", "start", "end"}:
            raise SerializationError('a windowed key is {"key": …, "start": …, "end": …}')
        key = inner.deserialize(topic, key_format.read(document["key"]))
        return serde.serialize(topic, Windowed(key, Window(int(document["start"]), int(document["end"]))))

    return Format(show, read, serde.placing_bytes)


def _value(serde: Serde[Any], topic: str, document: Any, *, is_json: bool) -> Any:
    if is_json:
        return serde.deserialize(topic, _encode(document))
    wanted = serde.type
    if wanted is None and isinstance(serde, CodecSerde) and isinstance(serde.identity, tuple):
        wanted = serde.identity[1]
    if wanted is None:
        return document
    try:
        return msgspec.convert(document, wanted)
    except (msgspec.ValidationError, TypeError) as error:
        raise SerializationError(f"{serde!r} does not take {shortened(document)}: {error}") from None


def plain(value: Any) -> object:
    """Return a value of a serde as what JSON has, bytes as without a declaration; of an unknown class, its text."""
    if isinstance(value, bytes):
        return _show_auto(value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return msgspec.to_builtins(value, enc_hook=_unknown)


def _unknown(value: Any) -> object:
    if is_message(value):
        return message_document(value)
    dump = getattr(value, "model_dump", None)
    return dump(mode="json") if callable(dump) else str(value)


_NAMED: Mapping[str, Serde[Any]] = {
    "string": string,
    "int32": int32,
    "int64": int64,
    "float32": float32,
    "float64": float64,
    "boolean": boolean,
    "uuid": uuid,
}

#: By the names that flags take.
FORMATS: Mapping[str, Format] = {
    "auto": AUTO,
    "json": Format(_show_json, _encode),
    "base64": Format(_show_raw, _read_raw),
    **{name: format_of(serde, "") for name, serde in _NAMED.items()},
}
