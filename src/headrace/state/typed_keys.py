"""Keys of a store as user code has them, and as the store has them: objects and bytes."""

from typing import Generic

from typing_extensions import TypeVar

from headrace.base.advice import no_attribute
from headrace.base.errors import SerializationError
from headrace.serde.serde import Serde, is_of_nobody, reason_of
from headrace.state.spec import StoreSpec

__all__ = ["TypedKeys", "only_read"]

K = TypeVar("K")


def only_read(store: object, name: str) -> AttributeError:
    """Make the error of something that a store lacks which can only be read: a query's, or a global one."""
    kind = type(store)
    writing = dict.fromkeys(_WRITES, "the store can only be read here, and what fills it puts into it")
    return no_attribute(kind.__name__, name, dir(kind), writing)


_WRITES = ("put", "put_if_absent", "delete", "remove")


class TypedKeys(Generic[K]):
    """Keys of one store into bytes and back, with errors that name the store.

    They are serialised for the changelog topic of an application.
    """

    __slots__ = ("_decode", "_encode", "_serde", "store")

    def __init__(self, spec: StoreSpec, application_id: str) -> None:
        topic = f"{application_id}-{spec.changelog_topic}"
        self._serde: Serde[K] = spec.key
        self.store = spec.name
        self._encode = self._serde.serializer(topic)
        self._decode = self._serde.deserializer(topic)

    def to_bytes(self, key: K) -> bytes:
        if key is None:
            raise ValueError(f"a key of store {self.store!r} cannot be None")
        try:
            return self._encode(key)
        except Exception as error:
            if is_of_nobody(error):
                raise
            raise SerializationError(
                f"cannot serialize a key for store {self.store!r} with {self._serde!r}: "
                f"{reason_of(self._serde, error)}"
            ) from error

    def to_key(self, data: bytes) -> K:
        try:
            return self._decode(data)
        except Exception as error:
            if is_of_nobody(error):
                raise
            raise SerializationError(
                f"cannot deserialize a key of store {self.store!r} with {self._serde!r}: {error}"
            ) from error
