"""What each store logs, byte by byte, and when; and which puts are dropped."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from headrace.base.errors import SerializationError, StateCorruptionError
from headrace.serde.structured import json
from headrace.state.port import StorePosition
from tests.state.stores import Stores, store_spec

OpenStores = Callable[..., Stores]


class Cart(msgspec.Struct):
    items: int


@pytest.mark.parametrize("timestamped", [True, False])
def test_uncached_store_logs_each_put_at_once_without_headers(
    open_stores: OpenStores, timestamped: bool
) -> None:
    stores = open_stores(store_spec(timestamped=timestamped))
    stores.only.put(b"a", 1, 10, (("h", b"x"),))
    stores.only.put(b"a", 2, 20, ())
    stores.only.put(b"a", None, 30, (("h", b"x"),))
    stores.only.put(b"unknown", None, 40, ())
    assert stores.logged() == [
        (b"a", b"\0\0\0\0\0\0\0\x01", 10),
        (b"a", b"\0\0\0\0\0\0\0\x02", 20),
        (b"a", None, 30),
        (b"unknown", None, 40),
    ]
    assert stores.columns["store"].headers == [(), (), (), ()]


def test_store_that_is_to_log_headers_logs_those_of_puts_and_deletions(open_stores: OpenStores) -> None:
    stores = open_stores(replace(store_spec(), logged_headers="all"))
    stores.only.put(b"a", 1, 10, (("h", b"x"),))
    stores.only.put(b"a", None, 20, (("i", None),))
    assert stores.columns["store"].headers == [(("h", b"x"),), (("i", None),)]


def test_plain_store_reads_without_a_timestamp(open_stores: OpenStores) -> None:
    stores = open_stores(store_spec(timestamped=False))
    stores.only.put(b"a", 1, 10, ())
    assert stores.only.get(b"a") == (1, -1)
    stores.commit()
    assert stores.only.get(b"a") == (1, -1)


@pytest.mark.parametrize("engine", ["memory", "rocksdb"])
def test_timestamped_rows_begin_with_their_timestamp(open_stores: OpenStores, engine: Any) -> None:
    stores = open_stores(store_spec("t", engine=engine), store_spec("p", engine=engine, timestamped=False))
    for name in "tp":
        stores[name].put(b"a", 1, 258, ())
    stores.commit()
    rows = {name: stores.state._stores[name].rows.database.family(name).get(b"a") for name in "tp"}
    assert rows == {"t": b"\0\0\0\0\0\0\x01\x02\0\0\0\0\0\0\0\x01", "p": b"\0\0\0\0\0\0\0\x01"}


def test_store_without_changelog_logs_nothing(open_stores: OpenStores) -> None:
    stores = open_stores(
        store_spec(logging=False), store_spec("w", "window", retention_ms=100, logging=False)
    )
    stores["store"].put(b"a", 1, 1, ())
    stores["w"].put(b"a", 0, 1, 1, ())
    assert stores.columns == {}
    assert stores["store"].get(b"a") == (1, 1)
    assert stores["w"].get(b"a", 0) == (1, 1)


def test_window_is_logged_under_key_start_and_sequence(open_stores: OpenStores) -> None:
    stores = open_stores(store_spec(kind="window", retention_ms=1_000_000))
    stores.only.put(b"a", 258, 1, 10, ())
    stores.only.put(b"a", 258, None, 20, ())
    key = b"a" + b"\0\0\0\0\0\0\x01\x02" + b"\0\0\0\0"
    assert stores.logged() == [(key, b"\0\0\0\0\0\0\0\x01", 10), (key, None, 20)]


def test_window_row_has_its_segment_before_the_key(open_stores: OpenStores) -> None:
    stores = open_stores(store_spec(kind="window", retention_ms=240_000))  # segments of 120 s
    stores.only.put(b"a", 250_000, 1, 10, ())
    stores.commit()
    ((key, _),) = stores.state._stores["store"].rows.database.family("store").scan(None, None)
    assert key == (240_000).to_bytes(8, "big") + b"a" + (250_000).to_bytes(8, "big") + b"\0\0\0\0"


def test_duplicates_are_numbered_and_outlive_a_restart(open_stores: OpenStores) -> None:
    spec = store_spec(
        kind="window", engine="rocksdb", timestamped=False, retention_ms=1_000, retain_duplicates=True
    )
    stores = open_stores(spec)
    for value in (1, 2):
        stores.only.put(b"a", 7, value, value, ())
    stores.only.put(
        b"a", 7, None, 3, (("h", b"x"),)
    )  # nothing can be deleted, but it is logged, and has a number
    key = b"a\0\0\0\0\0\0\0\x07\0\0\0"
    assert stores.logged()[1:] == [(key + b"\x02", b"\0\0\0\0\0\0\0\x02", 2), (key + b"\x03", None, 3)]
    assert stores.columns["store"].headers == [(), (), (("h", b"x"),)]
    stores.commit()
    stores.only.put(b"a", 5, 3, 3, ())
    stores.crash()
    stores.only.put(b"a", 7, 4, 4, ())
    stores.only.put(b"a", 8, 5, 5, ())
    assert [key for key, _, _ in stores.logged()] == [
        b"a\0\0\0\0\0\0\0\x07\0\0\0\x04",
        b"a\0\0\0\0\0\0\0\x08\0\0\0\x05",
    ]
    expected = [(b"a", 7, 1, -1), (b"a", 7, 2, -1), (b"a", 7, 4, -1), (b"a", 8, 5, -1)]
    assert list(stores.only.range(b"a", 0, 10)) == expected
    stores.commit()
    assert list(stores.only.range(None, 0, 10, True)) == expected[::-1]


@pytest.mark.parametrize(
    ("engine", "late", "dropped"),
    [
        ("memory", 100_000, True),
        ("rocksdb", 100_000, False),
        ("rocksdb", 60_000, False),
        ("rocksdb", 59_999, True),
    ],
)
def test_expired_put_is_logged_and_hidden_and_reported_by_the_engines_own_granularity(
    open_stores: OpenStores, engine: Any, late: int, dropped: bool
) -> None:
    """Segments are 60 s long: stream time less retention falls into the one that begins at 60 s."""
    stores = open_stores(store_spec(kind="window", engine=engine, retention_ms=100_000))
    stores.only.put(b"a", 200_000, 1, 1, ())
    stores.only.put(b"a", late, 2, 2, ())
    assert stores.only.get(b"a", late) is None
    assert len(stores.logged()) == 2
    assert stores.dropped == ([("store", "window has expired")] if dropped else [])


def test_window_lives_until_stream_time_is_its_retention_ahead(open_stores: OpenStores) -> None:
    stores = open_stores(store_spec(kind="window", retention_ms=100_000))
    stores.only.put(b"a", 0, 1, 1, ())
    stores.only.put(b"b", 99_999, 2, 2, ())
    assert stores.only.get(b"a", 0) == (1, 1)
    stores.only.put(b"b", 100_000, 3, 3, ())
    assert stores.only.get(b"a", 0) is None
    assert list(stores.only.range(b"a", None, None)) == []


@pytest.mark.parametrize("engine", ["memory", "rocksdb"])
def test_expired_segments_are_deleted_with_the_commit(open_stores: OpenStores, engine: Any) -> None:
    stores = open_stores(store_spec(kind="window", engine=engine, retention_ms=120_000))
    family = stores.state._stores["store"].rows.database.family("store")
    for start in (0, 59_999, 60_000):
        stores.only.put(b"a", start, 1, 1, ())
    stores.commit()
    stores.only.put(
        b"a", 180_000, 2, 2, ()
    )  # nothing before 60 s + 1 can be read, but their segment still lives
    stores.commit()
    assert len(list(family.scan(None, None))) == 2
    stores.only.put(b"a", 1_000_000, 3, 3, ())
    stores.commit()
    assert len(list(family.scan(None, None))) == 1


def test_refused_value_names_the_store_and_changes_nothing(open_stores: OpenStores) -> None:
    stores = open_stores(store_spec(), store_spec("w", "window", retention_ms=100))
    with pytest.raises(SerializationError, match="cannot serialize a value for store 'store'"):
        stores["store"].put(b"a", "text", 1, ())
    with pytest.raises(SerializationError, match="cannot serialize a value for store 'w'"):
        stores["w"].put(b"a", 0, "text", 1, ())
    assert stores.logged("store") == stores.logged("w") == []
    assert stores["store"].get(b"a") is None
    assert stores["w"].get(b"a", 0) is None


def test_bytes_that_are_no_value_name_the_store(open_stores: OpenStores) -> None:
    stores = open_stores(store_spec())
    stores.restore("store", [(b"a", b"short", 1, ())])
    stores.restored("store", StorePosition(1, "id"))
    with pytest.raises(SerializationError, match="cannot deserialize a value of store 'store'"):
        stores.only.get(b"a")


def test_restoring_a_window_store_from_other_records_is_corruption(open_stores: OpenStores) -> None:
    stores = open_stores(store_spec(kind="window", retention_ms=100))
    with pytest.raises(StateCorruptionError, match="is no window's key"):
        stores.restore("store", [(b"short", b"\0" * 8, 1, ())])


def test_restoring_a_window_store_from_long_plain_keys_is_corruption(open_stores: OpenStores) -> None:
    """Their last bytes would be the time of a window in the far future, and expire all others."""
    stores = open_stores(store_spec(kind="window", retention_ms=100))
    with pytest.raises(StateCorruptionError, match="b'customer-000123' is no window's key"):
        stores.restore("store", [(b"customer-000123", b"\0" * 8, 1, ())])


def test_restoring_a_key_value_store_from_windows_is_corruption(open_stores: OpenStores) -> None:
    stores = open_stores(store_spec())
    window = b"a" + (1_700_000_000_000).to_bytes(8, "big") + b"\0\0\0\0"
    with pytest.raises(StateCorruptionError, match=r"a key cannot be read .* another kind of store"):
        stores.restore("store", [(window, b"\0" * 8, 1, ())])


@pytest.mark.parametrize("caching", [True, False])
def test_no_object_is_shared_with_the_caller(open_stores: OpenStores, caching: bool) -> None:
    from tests.state.stores import LISTS

    stores = open_stores(store_spec(caching=caching, value=LISTS))
    value = [1]
    stores.only.put(b"a", value, 1, ())
    value.append(2)
    stores.only.get(b"a")[0].append(3)
    assert stores.only.get(b"a") == ([1], 1)
    stores.commit()
    stores.only.get(b"a")[0].append(4)
    assert stores.only.get(b"a") == ([1], 1)


@pytest.mark.parametrize("caching", [True, False])
def test_value_of_a_subclass_reads_as_it_would_after_a_restart(
    open_stores: OpenStores, caching: bool
) -> None:
    """A `float` is declared and an int is put: it must not depend on a commit which of them comes back."""
    from headrace.serde.primitives import float64

    stores = open_stores(store_spec(caching=caching, value=float64))
    stores.only.put(b"a", 1, 1, ())
    assert type(stores.only.get(b"a")[0]) is float
    assert type(next(iter(stores.only.range(None, None)))[1]) is float


@pytest.mark.parametrize("caching", [True, False])
def test_no_instance_of_a_class_that_can_change_is_shared(open_stores: OpenStores, caching: bool) -> None:
    stores = open_stores(store_spec(caching=caching, value=json(Cart)))
    cart = Cart(1)
    stores.only.put(b"a", cart, 1, ())
    cart.items = 2
    stores.only.get(b"a")[0].items = 3
    assert stores.only.get(b"a") == (Cart(1), 1)


@pytest.mark.parametrize("engine", ["memory", "rocksdb"])
@pytest.mark.parametrize("reverse", [False, True])
def test_windows_of_a_longer_key_between_those_of_a_key_are_not_its_own(
    open_stores: OpenStores, engine: Any, reverse: bool
) -> None:
    stores = open_stores(store_spec(kind="window", engine=engine, retention_ms=100_000))
    for key in (b"a", b"a" + bytes(8), b"a" + bytes(12)):
        stores.only.put(key, 0, 1, 1, ())
        stores.only.put(key, 5, 2, 2, ())
    stores.commit()
    expected = [(b"a", 0, 1, 1), (b"a", 5, 2, 2)]
    assert list(stores.only.range(b"a", None, None, reverse)) == (expected[::-1] if reverse else expected)
