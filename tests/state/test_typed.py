"""Stores as processors and queries see them, and how they are declared."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from headrace import stores as public
from headrace.base.errors import SerializationError
from headrace.base.records import Record, Window, Windowed
from headrace.serde.primitives import int64, string
from headrace.state.typed_key_value import KeyValueStore
from headrace.state.typed_session import SessionStore
from headrace.state.typed_stores import typed
from headrace.state.typed_window import WindowStore
from tests.state.stores import Stores, store_spec

OpenStores = Callable[..., Stores]


def key_value_store(stores: Stores, name: str = "store") -> KeyValueStore[str, int]:
    store: KeyValueStore[str, int] = typed(stores[name], stores.context, "app")
    return store


@pytest.mark.parametrize("timestamped", [True, False])
@pytest.mark.parametrize("caching", [True, False])
def test_key_value_store_reads_what_was_written(
    open_stores: OpenStores, caching: bool, timestamped: bool
) -> None:
    store = key_value_store(open_stores(store_spec(caching=caching, timestamped=timestamped)))
    store.put("a", 1)
    assert store.put_if_absent("a", 2) == 1
    assert store.put_if_absent("ab", 3) is None
    store.put("b", 4)
    assert store.get("a") == 1
    assert store.get("none") is None
    assert list(store.all()) == [("a", 1), ("ab", 3), ("b", 4)]
    assert list(store.range("ab", "b", reverse=True)) == [("b", 4), ("ab", 3)]
    assert list(store.range(end="ab")) == [("a", 1), ("ab", 3)]
    assert list(store.range("b", "a")) == []
    assert list(store.prefix("a")) == [("a", 1), ("ab", 3)]
    assert store.delete("a") == 1
    assert store.delete("a") is None
    store.put("ab", None)
    assert list(store.all(reverse=True)) == [("b", 4)]


def test_writes_have_the_timestamp_of_the_record(open_stores: OpenStores) -> None:
    stores = open_stores(store_spec(timestamped=False), store_spec("w", "window", retention_ms=1_000))
    store: WindowStore[str, int] = typed(stores["w"], stores.context)
    stores.at(101, 77)
    key_value_store(stores).put("a", 1)
    key_value_store(stores).delete("b")
    store.put("a", 2, 500)
    assert [row[2] for row in stores.logged()] == [77, 77]
    assert [row[2] for row in stores.logged("w")] == [77]


def test_put_if_absent_logs_only_what_it_puts(open_stores: OpenStores) -> None:
    stores = open_stores(store_spec(timestamped=False))
    store = key_value_store(stores)
    store.put_if_absent("a", 1)
    store.put_if_absent("a", 2)
    assert [row[0] for row in stores.logged()] == [b"a"]


def test_values_may_be_deleted_while_iterating(open_stores: OpenStores) -> None:
    store = key_value_store(open_stores(store_spec()))
    for number, key in enumerate("abc"):
        store.put(key, number)
    for key, _ in store.all():
        store.delete(key)
    assert list(store.all()) == []


def test_window_store_reads_what_was_written(open_stores: OpenStores) -> None:
    stores = open_stores(store_spec(kind="window", retention_ms=1_000_000, size_ms=60_000))
    store: WindowStore[str, int] = typed(stores.only, stores.context)
    store.put("a", 1, 0)
    store.put("b", 2, 60_000)
    store.put("a", 3, 120_000)
    assert store.get("a", 120_000) == 3
    assert store.get("b", 0) is None
    assert list(store.range("a", start=0, end=120_000)) == [
        (Windowed("a", Window(0, 60_000)), 1),
        (Windowed("a", Window(120_000, 180_000)), 3),
    ]
    assert list(store.range(start=60_000, reverse=True)) == [
        (Windowed("b", Window(60_000, 120_000)), 2),
        (Windowed("a", Window(120_000, 180_000)), 3),
    ]
    store.put("a", None, 0)
    assert [window.key for window, _ in store.range()] == ["a", "b"]


def test_times_that_are_none_are_told_before_a_window_is_looked_for(open_stores: OpenStores) -> None:
    stores = open_stores(store_spec(kind="window", retention_ms=1_000, size_ms=10))
    store: WindowStore[str, int] = typed(stores.only, stores.context)
    wrong: Any
    for wrong in ("10", 10.0, datetime(2026, 1, 1, tzinfo=UTC)):
        with pytest.raises(TypeError, match=r"windows of store 'store' are read with start=.*as an int"):
            store.get("a", wrong)
        with pytest.raises(TypeError, match=r"windows of store 'store' are read with start=.*as an int"):
            store.range("a", start=wrong)
    with pytest.raises(TypeError, match="end='10'"):
        store.range("a", end=cast("Any", "10"))


def test_window_end_does_not_overflow(open_stores: OpenStores) -> None:
    stores = open_stores(store_spec(kind="window", retention_ms=2**63 - 1, size_ms=2**63 - 1))
    store: WindowStore[str, int] = typed(stores.only, stores.context)
    store.put("a", 1, 5)
    assert list(store.range("a")) == [(Windowed("a", Window(5, 2**63 - 1)), 1)]


def test_read_only_views_cannot_write(open_stores: OpenStores) -> None:
    stores = open_stores(store_spec(), store_spec("w", "window", retention_ms=100, size_ms=10))
    key_value_store(stores).put("a", 1)
    stores["w"].put(b"a", 0, 2, 1, ())
    reader, window_reader = stores.state.read_only("store"), stores.state.read_only("w")
    assert not hasattr(reader, "put")
    assert not hasattr(window_reader, "put")
    assert reader.get("a") == 1
    assert window_reader.get("a", 0) == 2
    assert list(stores.state.read_only("store", committed=True).all()) == []
    assert stores.state.read_only("w", committed=True).get("a", 0) is None


def test_keys_that_cannot_be_used_name_the_store(open_stores: OpenStores) -> None:
    store: KeyValueStore[Any, int] = key_value_store(open_stores(store_spec()))
    with pytest.raises(ValueError, match="a key of store 'store' cannot be None"):
        store.get(None)
    with pytest.raises(SerializationError, match="cannot serialize a key for store 'store'"):
        store.put(5, 1)


def test_declarations_hold_what_was_said() -> None:
    store = public.window("clicks", key=str, value=int, size="5m", retention="1h", logging={"a": "b"})
    assert store == public.Store(
        "clicks", "window", string, int64, logging={"a": "b"}, retention_ms=3_600_000, size_ms=300_000
    )
    assert public.key_value() == public.Store(None, "key_value")
    assert public.key_value("s", engine="memory", caching=False, logging=False) == public.Store(
        "s", "key_value", engine="memory", caching=False, logging=False
    )


def test_impossible_declarations_are_refused() -> None:
    with pytest.raises(ValueError, match="is shorter than size"):
        public.window("w", size="2h", retention="1h")
    with pytest.raises(TypeError, match="has no unit"):
        public.window("w", size=5)  # type: ignore[call-overload]  # the mistake under test
    with pytest.raises(ValueError, match="write 'rocksdb' or 'memory'"):
        public.key_value("s", engine="sqlite")  # type: ignore[call-overload]  # the mistake under test
    with pytest.raises(ValueError, match="is no name"):
        public.key_value("")


def test_store_reads_where_no_more_than_reading_is_wanted(open_stores: OpenStores) -> None:
    stores = open_stores(store_spec(), store_spec("w", "window", retention_ms=10, size_ms=1))
    key_value: public.ReadOnlyKeyValueStore[str, float] = key_value_store(stores)
    window: public.ReadOnlyWindowStore[str, float] = typed(stores["w"], stores.context)
    assert isinstance(key_value, public.ReadOnlyKeyValueStore)
    assert isinstance(window, public.ReadOnlyWindowStore)


def test_session_store_reads_the_sessions_that_overlap_a_time(open_stores: OpenStores) -> None:
    stores = open_stores(store_spec(kind="session", retention_ms=1_000_000))
    store: SessionStore[str, int] = typed(stores.only, stores.context)
    early, late, other = (
        Windowed("a", Window(0, 10)),
        Windowed("a", Window(20, 30)),
        Windowed("b", Window(5, 25)),
    )
    for session, value in ((late, 2), (early, 1), (other, 3)):
        store.put(session, value)
    assert store.get(early) == 1
    assert store.get(Windowed("a", Window(0, 11))) is None
    assert list(store.sessions("a")) == [(early, 1), (late, 2)]
    assert list(store.sessions("a", start=10, end=19)) == [(early, 1)]
    assert list(store.sessions("a", start=11, end=19)) == []
    assert list(store.sessions(start=10, end=20, reverse=True)) == [(other, 3), (late, 2), (early, 1)]
    store.put(early, None)
    assert [session for session, _ in store.sessions()] == [late, other]


def test_what_is_no_session_is_told(open_stores: OpenStores) -> None:
    stores = open_stores(store_spec(kind="session", retention_ms=1_000))
    store: SessionStore[str, int] = typed(stores.only, stores.context)
    wrong: Any = "a"
    with pytest.raises(TypeError, match=r"told by key and window, found 'a': write Windowed\(key, Window"):
        store.put(wrong, 1)
    with pytest.raises(TypeError, match=r"a session of store 'store' has start=0.5"):
        store.get(Windowed("a", Window(cast("Any", 0.5), 1)))
    for window in (Window(2, 1), Window(-1, 1), Window(0, 2**63)):
        with pytest.raises(ValueError, match="cannot start at"):
            store.put(Windowed("a", window), 1)
    with pytest.raises(TypeError, match="sessions of store 'store' are read with end='1'"):
        store.sessions("a", end=cast("Any", "1"))


@pytest.mark.parametrize("caching", [True, False])
def test_stamped_values_have_the_time_and_headers_that_they_were_put_with(
    open_stores: OpenStores, caching: bool
) -> None:
    stores = open_stores(store_spec(timestamped=False, stamped=True, caching=caching))
    store: KeyValueStore[str, public.Stamped[int]] = typed(stores.only, stores.context)
    stores.at(101, 77, (("of", b"the record"),))
    stamped = public.Stamped.of(Record("a", 1, 50, (("h", b"v"), ("e", b""))))
    store.put("a", stamped)
    store.put("b", public.Stamped(2, 60))
    assert store.get("a") == public.Stamped(1, 50, (("h", b"v"), ("e", b"")))
    stores.commit()
    assert store.delete("b") == public.Stamped(2, 60)
    stores.commit()
    assert stores.log["store"] == [
        (b"a", int64.serialize("t", 1), 50, (("h", b"v"), ("e", b""))),
        (b"b", int64.serialize("t", 2), 60, ()),
        (b"b", None, 77, (("of", b"the record"),)),
    ]


def test_store_with_headers_refuses_a_bare_value(open_stores: OpenStores) -> None:
    stores = open_stores(store_spec(timestamped=False, stamped=True))
    store: Any = typed(stores.only, stores.context)
    with pytest.raises(SerializationError, match=r"write stores\.Stamped\(value, record\.timestamp"):
        store.put("a", 1)
    with pytest.raises(SerializationError, match=r"is wanted; write \.encode"):
        store.put("a", public.Stamped(1, 0, (("h", cast("bytes", "text")),)))
