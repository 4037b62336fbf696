"""What whoever writes to a topic makes of keys and values: their bytes, their headers, and what places a record."""

from typing_extensions import TypeVar

from headrace.base.records import Headers
from headrace.serde.serde import Serde
from headrace.serde.windowed import WindowedSerde

__all__ = ["key_serde", "placing", "serialized"]

T = TypeVar("T")


def key_serde(serde: Serde[T]) -> Serde[T]:
    """Return what an application would write a topic's keys with; keys that it may only read go as they are."""
    try:
        return serde.for_keys()
    except TypeError:
        return serde


def serialized(serde: Serde[T], topic: str, value: T, headers: Headers) -> tuple[bytes, Headers]:
    """Return what a producer would write: with the headers of a serde that writes some."""
    if serde.writes_headers:
        return serde.serialize_with_headers(topic, value, headers)
    return serde.serialize(topic, value, headers), headers


def placing(serde: Serde[T], key: bytes) -> bytes:
    """Return what decides a key's partition: of a windowed key the key in it."""
    if not isinstance(serde, WindowedSerde):
        return key
    try:
        return key[: -serde.window_of(key)[0]]
    except Exception:  # poison input
        return key
