"""Stores, declared: `from headrace import stores`, then `stores.key_value(...)`, `stores.window(...)` and others.

A declaration does no IO. It is given to the DSL (`store=`), connected to processors, and asked for by queries.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NoReturn, overload

from typing_extensions import TypeVar

from headrace.base.advice import no_attribute
from headrace.base.durations import Duration, milliseconds
from headrace.base.foreign_names import STORES_INSTEAD
from headrace.serde.primitives import raw
from headrace.serde.resolve import serde_of
from headrace.serde.serde import SerdeLike
from headrace.state.custom_store import CustomStore, StoreContext
from headrace.state.declaration import Logging, Store, check_logging
from headrace.state.spec import Engine
from headrace.state.stamped import Stamped
from headrace.state.typed_key_value import KeyValueStore, ReadOnlyKeyValueStore
from headrace.state.typed_session import ReadOnlySessionStore, SessionStore
from headrace.state.typed_versioned import ReadOnlyVersionedStore, VersionedStore
from headrace.state.typed_window import ReadOnlyWindowStore, WindowStore

__all__ = [
    "CustomStore",
    "Engine",
    "KeyValueStore",
    "Logging",
    "ReadOnlyKeyValueStore",
    "ReadOnlySessionStore",
    "ReadOnlyVersionedStore",
    "ReadOnlyWindowStore",
    "SessionStore",
    "Stamped",
    "Store",
    "StoreContext",
    "VersionedStore",
    "WindowStore",
    "custom",
    "key_value",
    "lru",
    "session",
    "versioned",
    "window",
]

KA = TypeVar("KA", default=Any)
VA = TypeVar("VA", default=Any)
C = TypeVar("C", bound=CustomStore)


@overload
def key_value(
    name: str | None = None,
    *,
    key: SerdeLike[KA] | None = None,
    value: SerdeLike[VA] | None = None,
    ttl: Duration | None = None,
    engine: Engine | None = None,
    caching: bool | None = None,
    logging: Logging = True,
    headers: Literal[False] = False,
) -> Store[KeyValueStore[KA, VA]]: ...
@overload
def key_value(
    name: str | None = None,
    *,
    key: SerdeLike[KA] | None = None,
    value: SerdeLike[VA] | None = None,
    engine: Engine | None = None,
    caching: bool | None = None,
    logging: Logging = True,
    headers: Literal[True],
) -> Store[KeyValueStore[KA, Stamped[VA]]]: ...
def key_value(
    name: str | None = None,
    *,
    key: SerdeLike[KA] | None = None,
    value: SerdeLike[VA] | None = None,
    ttl: Duration | None = None,
    engine: Engine | None = None,
    caching: bool | None = None,
    logging: Logging = True,
    headers: bool = False,
) -> Store[KeyValueStore[KA, Any]]:
    """Declare a store of the last value of each key.

    With `ttl`, a row expires when the store's stream time is so far ahead of its own timestamp, which is that of the
    record that put it, or of the latest that went into an aggregate. Stream time is the highest timestamp of the
    records that have reached a node with the store; the wall clock has no say in it, so that a replay lets the same
    rows expire. From then on nobody reads the row. It is deleted, in the changelog too; a table sends a deletion on, a
    processor's store sends nothing. A row that would have expired when it is put is dropped, and counted as such.

    With `headers`, which is for processors, values are `Stamped`: with the timestamp and the headers of their records,
    which their change records have too.

    Raises:
        TypeError: `key` or `value` is no serde, nor a class that stands for one; `ttl` is a bare number.
        ValueError: another argument is impossible; the message says which and what is wanted.
    """
    _check(name, engine, logging)
    ttl_ms = None if ttl is None else milliseconds(ttl, name="ttl")
    if ttl_ms == 0:
        raise ValueError(f"ttl={ttl!r} would keep nothing: a duration of more than 0 is wanted")
    if headers and ttl_ms is not None:
        raise ValueError("ttl= and headers=True do not go together yet: leave one of them out")
    return Store(
        name,
        "key_value",
        serde_of(key),
        serde_of(value),
        engine,
        caching,
        logging,
        ttl_ms=ttl_ms,
        headers=headers,
    )


@overload
def window(
    name: str | None = None,
    *,
    key: SerdeLike[KA] | None = None,
    value: SerdeLike[VA] | None = None,
    size: Duration | None = None,
    retention: Duration | None = None,
    engine: Engine | None = None,
    caching: bool | None = None,
    logging: Logging = True,
    headers: Literal[False] = False,
) -> Store[WindowStore[KA, VA]]: ...
@overload
def window(
    name: str | None = None,
    *,
    key: SerdeLike[KA] | None = None,
    value: SerdeLike[VA] | None = None,
    size: Duration | None = None,
    retention: Duration | None = None,
    engine: Engine | None = None,
    caching: bool | None = None,
    logging: Logging = True,
    headers: Literal[True],
) -> Store[WindowStore[KA, Stamped[VA]]]: ...
def window(
    name: str | None = None,
    *,
    key: SerdeLike[KA] | None = None,
    value: SerdeLike[VA] | None = None,
    size: Duration | None = None,
    retention: Duration | None = None,
    engine: Engine | None = None,
    caching: bool | None = None,
    logging: Logging = True,
    headers: bool = False,
) -> Store[WindowStore[KA, Any]]:
    """Declare a store of a value for each key and window.

    Windows whose start is `retention` behind the highest start ever put are dropped. The DSL knows size and retention
    from the windows; a processor's store needs both.

    With `headers`, which is for processors, values are `Stamped`: with the timestamp and the headers of their records,
    which their change records have too.

    Raises:
        TypeError: `key` or `value` is no serde, nor a class that stands for one; a duration is a bare number.
        ValueError: another argument is impossible, such as a retention below the size.
    """
    _check(name, engine, logging)
    size_ms = None if size is None else milliseconds(size, name="size")
    retention_ms = None if retention is None else milliseconds(retention, name="retention")
    if size_ms is not None and retention_ms is not None and retention_ms < size_ms:
        raise ValueError(
            f"retention={retention!r} is shorter than size={size!r}: windows would expire before they end"
        )
    return Store(
        name,
        "window",
        serde_of(key),
        serde_of(value),
        engine,
        caching,
        logging,
        retention_ms=retention_ms,
        size_ms=size_ms,
        headers=headers,
    )


@overload
def session(
    name: str | None = None,
    *,
    key: SerdeLike[KA] | None = None,
    value: SerdeLike[VA] | None = None,
    retention: Duration | None = None,
    engine: Engine | None = None,
    caching: bool | None = None,
    logging: Logging = True,
    headers: Literal[False] = False,
) -> Store[SessionStore[KA, VA]]: ...
@overload
def session(
    name: str | None = None,
    *,
    key: SerdeLike[KA] | None = None,
    value: SerdeLike[VA] | None = None,
    retention: Duration | None = None,
    engine: Engine | None = None,
    caching: bool | None = None,
    logging: Logging = True,
    headers: Literal[True],
) -> Store[SessionStore[KA, Stamped[VA]]]: ...
def session(
    name: str | None = None,
    *,
    key: SerdeLike[KA] | None = None,
    value: SerdeLike[VA] | None = None,
    retention: Duration | None = None,
    engine: Engine | None = None,
    caching: bool | None = None,
    logging: Logging = True,
    headers: bool = False,
) -> Store[SessionStore[KA, Any]]:
    """Declare a store of a value for each key and session.

    Sessions whose end is `retention` behind the highest end ever put are dropped. The DSL knows the retention from the
    session windows; a processor's store needs it.

    With `headers`, which is for processors, values are `Stamped`: with the timestamp and the headers of their records,
    which their change records have too.

    Raises:
        TypeError: `key` or `value` is no serde, nor a class that stands for one; the retention is a bare number.
        ValueError: another argument is impossible; the message says which and what is wanted.
    """
    _check(name, engine, logging)
    retention_ms = None if retention is None else milliseconds(retention, name="retention")
    return Store(
        name,
        "session",
        serde_of(key),
        serde_of(value),
        engine,
        caching,
        logging,
        retention_ms=retention_ms,
        headers=headers,
    )


def lru(
    name: str | None = None,
    *,
    max_rows: int,
    key: SerdeLike[KA] | None = None,
    value: SerdeLike[VA] | None = None,
    logging: Logging = True,
) -> Store[KeyValueStore[KA, VA]]:
    """Declare a key-value store in memory of at most `max_rows` rows in each task. It is not cached.

    A put of one row more lets the one go that was used the longest ago, by a get or a put, and logs it as deleted; what
    reads the table hears nothing of it. After a restart, rows are in the order of their last puts.

    Raises:
        TypeError: `key` or `value` is no serde, nor a class that stands for one; `max_rows` is no int.
        ValueError: another argument is impossible.
    """
    _check(name, None, logging)
    if isinstance(max_rows, bool) or not isinstance(max_rows, int):
        raise TypeError(f"max_rows={max_rows!r} is no number of rows: write an int")
    if max_rows < 1:
        raise ValueError(f"max_rows={max_rows} leaves no room for a row")
    return Store(
        name,
        "key_value",
        serde_of(key),
        serde_of(value),
        "memory",
        caching=False,
        logging=logging,
        rows_max=max_rows,
    )


def custom(
    name: str, make: Callable[[], C], *, persistent: bool = False, logging: Logging = True
) -> Store[C]:
    """Declare a store of your own for processors: `make` makes the object of a task, as its class does.

    `CustomStore` says what it implements, and what is promised. With `persistent`, it keeps files, and only what it has
    not flushed is restored.

    Raises:
        TypeError: `make` is not callable.
        ValueError: another argument is impossible.
    """
    _check(name, None, logging)
    if not callable(make):
        raise TypeError(
            f"make={make!r} makes no stores: write the class of yours, or a function that returns a new one each time"
        )
    engine: Engine = "rocksdb" if persistent else "memory"
    store: Store[C] = Store(
        name, "custom", raw, raw, engine, caching=False, logging=logging, make=make, persistent=persistent
    )
    return store


def versioned(
    name: str,
    *,
    history: Duration,
    key: SerdeLike[KA] | None = None,
    value: SerdeLike[VA] | None = None,
    logging: Logging = True,
) -> Store[VersionedStore[KA, VA]]:
    """Declare a store of the versions of each key, for tables without windows and for processors. It is not cached.

    A version can be read for `history` (of stream time) after another one has replaced it; the latest one always. What
    comes in late by more than that is dropped.

    On Kafka the changelog is not compacted for the history and a day, which brokers count from the versions' own times.
    While old data is replayed, those are long over: a store that is restored then may lack versions, and of two that
    came in the wrong order of their times the latest.

    Raises:
        TypeError: `key` or `value` is no serde, nor a class that stands for one; the history is a bare number.
        ValueError: another argument is impossible.
    """
    _check(name, None, logging)
    if name is None:
        raise ValueError("name=None: a versioned store needs a name")
    history_ms = milliseconds(history, name="history")
    return Store(
        name,
        "versioned",
        serde_of(key),
        serde_of(value),
        caching=False,
        logging=logging,
        history_ms=history_ms,
    )


def _check(name: str | None, engine: str | None, logging: Logging) -> None:
    if name == "":
        raise ValueError("name='' is no name: leave it out to have one made, or write one")
    if engine not in {None, "rocksdb", "memory"}:
        raise ValueError(f"engine={engine!r} does not exist: write 'rocksdb' or 'memory'")
    check_logging(logging)


if not TYPE_CHECKING:  # which says so itself

    def __getattr__(name: str) -> NoReturn:
        raise no_attribute(__name__, name, __all__, STORES_INSTEAD)
