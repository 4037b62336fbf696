"""What a serde is: the extension point between bytes and values, and the shape that all built-in ones have."""

import builtins
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Generic, TypeAlias, final

from typing_extensions import TypeVar

from headrace.base.errors import HeadraceError, SerializationError
from headrace.base.records import Headers

__all__ = [
    "CodecSerde",
    "Serde",
    "SerdeLike",
    "SerdeOf",
    "ensure_bytes",
    "is_of_nobody",
    "kind_of",
    "reason_of",
]

T = TypeVar("T")


class Serde(Generic[T]):
    """Turn values of one type into bytes and back. Subclass it for a format of your own.

    Override `serialize` and `deserialize`; whatever they raise goes to the handler of that stage. None never reaches a
    serde: it is a null key or a tombstone, and stays one. One serde serves many tasks and threads, so it keeps no state
    between calls. Give a subclass `__eq__` and `__hash__` if equal instances should count as the same serde (a `merge`
    keeps a serde only if both sides have the same one).

    Attributes:
        uses_headers: whether the methods want the record's headers. If not, the runtime takes the quicker callables of
            `serializer` and `deserializer` instead.
        reads_headers: whether `deserialize` wants them, where a record has some. A sink calls `serialize_with_headers`
            for such a record then, since what was read from a header may not hold for what is written.
        writes_headers: whether a sink is to call that for every record.
        immutable: whether a value can be kept as an object in place of its bytes: nobody can change it, and bytes made
            of it come back as an equal value that makes the same bytes. This speaks of values whose class *is* `type`;
            an instance of a subclass, or an int where a float is declared, is to be serialised.
        is_text: whether values are text, and bytes are its UTF-8, as `str.encode` and `bytes.decode` have it. Such
            columns may be read and written as text, without a call of `serialize` and `deserialize`.
        type: the class of the values, or None if there is not exactly one.
    """

    uses_headers: bool = False
    reads_headers: bool = False
    writes_headers: bool = False
    immutable: bool = False
    is_text: bool = False
    type: "builtins.type[Any] | None" = None

    def serialize(self, topic: str, value: T, headers: Headers = ()) -> bytes:
        """Return the bytes of a value."""
        raise NotImplementedError(f"{type(self).__name__} does not override serialize()")

    def deserialize(self, topic: str, data: bytes, headers: Headers = ()) -> T:
        """Return the value of bytes."""
        raise NotImplementedError(f"{type(self).__name__} does not override deserialize()")

    def serialize_with_headers(self, topic: str, value: T, headers: Headers) -> tuple[bytes, Headers]:
        """Return the bytes of a value, and the headers that its record is to have."""
        return self.serialize(topic, value, headers), headers

    def configure(self, properties: Mapping[str, object]) -> None:
        """Take the properties of the application, by Kafka's names, before it serializes anything with this serde.

        Called each time an application that has this serde starts, or a test driver or a command that reads for one. A
        serde that is made of others hands them on.
        """

    def reading_keys(self) -> "Serde[T]":
        """Return the serde that reads keys: this one, unless what it looks at depends on that. Refuses nothing."""
        return self

    def settler(self, topic: str) -> Callable[[bytes, Headers], bytes] | None:
        """Return what makes of the bytes that others write to a topic those that a store has for the same value.

        None if they are the same, as those of most serdes are. A store that is restored from the topic itself asks.
        """
        return None

    def accepts(self, value: T) -> object:
        """Say at once, without writing it, whether a value whose class *is* `type` can be written; False if not sure.

        A cache asks before it keeps the value as an object, to be written much later. False costs it a call of
        `serialize` for each value.
        """
        return False

    def for_keys(self) -> "Serde[T]":
        """Return the serde that keys get: this one, unless equal values could make different bytes.

        A key is found by its bytes, so whatever writes keys (a sink, a repartition, a store) asks for this.

        Raises:
            TypeError: equal values come back as different ones; says which, and what to write.
        """
        return self

    def serializer(self, topic: str) -> Callable[[T], bytes]:
        """Return `serialize` for one topic, without headers, as cheap as it can be.

        Calls no more Python than it must, so what it raises is raw (TypeError, struct.error, ...): any exception means
        that the value is refused, and `serialize` of the same value raises the error with words.
        """
        serialize = self.serialize

        def bound(value: T) -> bytes:
            data = serialize(topic, value)
            return data if data.__class__ is bytes else ensure_bytes(self, topic, data)

        return bound

    def deserializer(self, topic: str) -> Callable[[bytes], T]:
        """Return `deserialize` for one topic, without headers, as cheap as it can be; raises as `serializer` does."""
        deserialize = self.deserialize

        def bound(data: bytes) -> T:
            return deserialize(topic, data)

        return bound


def ensure_bytes(serde: Serde[Any], topic: str, data: object) -> bytes:
    """Return what a serde of the user's has made, if it is bytes: a log takes nothing else, and None would delete.

    Raises:
        SerializationError: it is something else.
    """
    if isinstance(data, bytes):
        return data
    raise SerializationError(
        f"cannot serialize for topic {topic!r}: serialize() of {type(serde).__name__} returned {_found(data)}; it must "
        f"return bytes, and raise where it cannot"
    )


#: A type stands for its serde: str, int and float (64 bit), bytes, bool, UUID; all else is JSON, as list[Order] is.
SerdeLike: TypeAlias = Serde[T] | type[T]

#: As an optional argument. Never a type form here: a checker then puts None into T.
SerdeOf: TypeAlias = Serde[T] | type[T] | None


@final
class CodecSerde(Serde[T]):
    """A built-in serde: two functions, the same for every topic, and what is known of their values.

    Two are equal if their names and identities are: the functions of `json(Order)` are made anew each time.
    """

    def __init__(
        self,
        name: str,
        encode: Callable[[T], bytes],
        decode: Callable[[bytes], T],
        *,
        expects: str,
        type: "builtins.type[Any] | None",
        immutable: bool,
        identity: Hashable = None,
        key_encoder: Callable[[], Callable[[T], bytes]] | None = None,
        accepts: Callable[[T], object] | None = None,
        whole: range | None = None,
        is_text: bool = False,
    ) -> None:
        self.name = name
        self.encode = encode
        self.decode = decode
        self.expects = expects
        self.type = type
        self.immutable = immutable
        self.is_text = is_text
        self.identity = identity
        self.key_encoder = key_encoder
        #: Of whole numbers: those that it writes.
        self.whole = whole
        if accepts is not None:
            self.accepts = accepts  # type: ignore[method-assign,assignment]  # the function itself: a method costs 0.05 µs more

    def for_keys(self) -> Serde[T]:
        """Return an equal serde, with the encoding that `key_encoder` makes where there is one."""
        if self.key_encoder is None:
            return self
        try:
            encode = self.key_encoder()
        except TypeError as error:
            raise TypeError(f"{self.name} cannot be the serde of a key: {error}") from error
        return CodecSerde(
            self.name,
            encode,
            self.decode,
            expects=self.expects,
            type=self.type,
            immutable=self.immutable,
            identity=self.identity,
        )

    def serialize(self, topic: str, value: T, headers: Headers = ()) -> bytes:
        """Return the bytes of a value.

        Raises:
            SerializationError: the value is of another type or out of range. `__cause__` has the detail.
        """
        try:
            return self.encode(value)
        except Exception as error:
            raise SerializationError(
                f"cannot serialize for topic {topic!r}: {self.name} expects {self.expects}, "
                f"found {_found(value)}: {reason_of(self, error)}"
            ) from error

    def deserialize(self, topic: str, data: bytes, headers: Headers = ()) -> T:
        """Return the value of bytes.

        Raises:
            SerializationError: the bytes are no value of this serde. `__cause__` has the detail.
        """
        try:
            return self.decode(data)
        except Exception as error:
            raise SerializationError(
                f"cannot deserialize from topic {topic!r}: {self.name} expects {self.expects}, "
                f"found {_found(data)}: {error}"
            ) from error

    def serializer(self, topic: str) -> Callable[[T], bytes]:
        """Return the encoding function itself."""
        return self.encode

    def deserializer(self, topic: str) -> Callable[[bytes], T]:
        """Return the decoding function itself."""
        return self.decode

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CodecSerde):
            return NotImplemented
        return self.name == other.name and self.identity == other.identity

    def __hash__(self) -> int:
        # The identity of a type form may hold metadata that cannot be hashed; the name tells nearly all apart.
        return hash(self.name)

    def __repr__(self) -> str:
        return self.name


def reason_of(serde: Serde[Any], error: Exception) -> str:
    """Say why a serde's quick function raised: a method in C tells of itself where only the class is wrong."""
    text = str(error) or type(error).__name__
    if serde.type is not None and isinstance(error, TypeError) and text.startswith("descriptor "):
        return "not bytes" if serde.type is bytes else f"not a {serde.type.__name__}"
    return text


def is_of_nobody(error: Exception) -> bool:
    """Whether no value is at fault for what a serde raised: its registry is away, say. It goes through as it is."""
    return isinstance(error, HeadraceError) and not isinstance(error, SerializationError)


def kind_of(value: object) -> str:
    """Name a value by its type, with the article: a text is `a str`, an order `an Order`."""
    if value is None:
        return "None"
    name = type(value).__qualname__.rsplit(".<locals>.", 1)[-1]
    return f"{'an' if name[:1] in 'AEIOaeio' else 'a'} {name}"


def _found(value: object) -> str:
    """Name a value by type, and by size where that tells something. Its content may be confidential."""
    return f"{len(value)} bytes" if isinstance(value, bytes | bytearray) else kind_of(value)
