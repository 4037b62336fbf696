"""What a record cache lets go of, when, in which order, and in whose context."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from headrace.base.errors import SerializationError, StateError
from headrace.serde.primitives import boolean, float64, int64, string
from headrace.serde.serde import Serde
from headrace.serde.structured import json
from tests.state.stores import CACHES, Stores, store_spec

OpenStores = Callable[..., Stores]

pytestmark = pytest.mark.parametrize("is_compiled", CACHES, indirect=True)


def entry_bytes(is_compiled: bool) -> int:
    """What an entry with a number and a key of one byte weighs."""
    return 161 if is_compiled else 401


def cached(open_stores: OpenStores, **more: Any) -> Stores:
    return open_stores(store_spec(caching=True, **more))


def test_flush_forwards_and_logs_the_last_update_of_each_key_in_the_order_of_last_puts(
    open_stores: OpenStores,
) -> None:
    stores = cached(open_stores)
    for key, value in [(b"a", 1), (b"b", 2), (b"c", 3), (b"a", 4)]:
        stores.only.put(key, value, value * 10, ())
    assert stores.forwarded == []
    assert stores.logged() == []
    stores.state.flush()
    assert stores.forwarded == [(b"b", 2, None, 20, ()), (b"c", 3, None, 30, ()), (b"a", 4, None, 40, ())]
    assert stores.logged() == [
        (b"b", b"\0\0\0\0\0\0\0\x02", 20),
        (b"c", b"\0\0\0\0\0\0\0\x03", 30),
        (b"a", b"\0\0\0\0\0\0\0\x04", 40),
    ]


def test_old_value_is_what_was_forwarded_before_and_not_what_was_put_before(open_stores: OpenStores) -> None:
    stores = cached(open_stores)
    stores.only.put(b"a", 1, 1, ())
    stores.state.flush()
    stores.only.put(b"a", 2, 2, ())
    stores.only.put(b"a", 3, 3, ())
    stores.state.flush()
    stores.commit()
    stores.only.put(b"a", 4, 4, ())
    stores.state.flush()
    assert stores.forwarded == [(b"a", 1, None, 1, ()), (b"a", 3, 1, 3, ()), (b"a", 4, 3, 4, ())]


def test_old_value_is_left_out_unless_wanted(open_stores: OpenStores) -> None:
    stores = cached(open_stores)
    stores.only.on_flush(lambda *update: stores.forwarded.append(update), send_old=False)
    stores.only.put(b"a", 1, 1, ())
    stores.state.flush()
    stores.only.put(b"a", 2, 2, ())
    stores.state.flush()
    stores.only.put(b"a", None, 3, ())
    stores.state.flush()
    assert stores.forwarded == [(b"a", 1, None, 1, ()), (b"a", 2, None, 2, ()), (b"a", None, None, 3, ())]


def test_put_and_delete_of_a_key_unknown_below_forwards_and_logs_nothing(open_stores: OpenStores) -> None:
    stores = cached(open_stores)
    stores.only.put(b"a", 1, 1, ())
    stores.only.put(b"a", None, 2, ())
    stores.state.flush()
    assert stores.forwarded == []
    assert stores.logged() == []


def test_delete_of_a_known_key_forwards_and_logs_a_tombstone(open_stores: OpenStores) -> None:
    stores = cached(open_stores)
    stores.only.put(b"a", 1, 1, ())
    stores.commit()
    stores.only.put(b"a", 2, 2, ())
    stores.only.put(b"a", None, 3, ())
    stores.state.flush()
    assert stores.forwarded[1:] == [(b"a", None, 1, 3, ())]
    assert stores.logged() == [(b"a", None, 3)]


def test_a_cache_nobody_listens_to_logs_even_a_tombstone_of_an_unknown_key(open_stores: OpenStores) -> None:
    """So does `CachingKeyValueStore` without a listener, which is a processor's store."""
    stores = open_stores(store_spec(caching=True, timestamped=False))
    stores.only._listener = None
    stores.only.put(b"a", None, 3, ())
    stores.state.flush()
    assert stores.logged() == [(b"a", None, 3)]


def test_windows_are_forwarded_one_by_one(open_stores: OpenStores) -> None:
    stores = cached(open_stores, kind="window", retention_ms=1_000_000)
    stores.only.put(b"a", 0, 1, 5, ())
    stores.only.put(b"a", 60_000, 2, 6, ())
    stores.only.put(b"a", 0, 3, 7, ())
    stores.state.flush()
    stores.only.put(b"a", 0, 4, 8, ())
    stores.state.flush()
    assert stores.forwarded == [
        (b"a", 60_000, 2, None, 6, ()),
        (b"a", 0, 3, None, 7, ()),
        (b"a", 0, 4, 3, 8, ()),
    ]


def test_eviction_takes_one_entry_the_longest_unused_first(
    open_stores: OpenStores, is_compiled: bool
) -> None:
    room = 3 * entry_bytes(is_compiled) + 50
    stores = open_stores(store_spec(caching=True), cache_bytes=room)
    for number, key in enumerate([b"a", b"b", b"c"]):
        stores.only.put(key, number, number, ())
    stores.commit()
    stores.only.get(b"a")
    stores.only.put(b"d", 3, 3, ())
    assert set(stores.only.copied()) == {b"a", b"c", b"d"}
    assert stores.only.get(b"b") == (1, 1)
    assert stores.cache.used_bytes <= room


def test_eviction_of_an_update_lets_all_go_in_the_order_of_the_last_puts(
    open_stores: OpenStores, is_compiled: bool
) -> None:
    """What lies below goes by the time of what it hears: an update must not come after later ones."""
    stores = open_stores(store_spec(caching=True), cache_bytes=3 * entry_bytes(is_compiled) + 50)
    for number, key in enumerate([b"a", b"b", b"c", b"a"]):
        stores.only.put(key, number, number, ())
    assert stores.forwarded == []
    stores.only.put(b"d", 4, 4, ())
    assert [(key, timestamp) for key, _, _, timestamp, _ in stores.forwarded] == [
        (b"b", 1),
        (b"c", 2),
        (b"a", 3),
        (b"d", 4),
    ]


def test_budget_is_shared_by_all_stores_and_each_evicts_its_own(
    open_stores: OpenStores, is_compiled: bool
) -> None:
    room = 2 * entry_bytes(is_compiled) + 50
    stores = open_stores(store_spec("s", caching=True), store_spec("t", caching=True), cache_bytes=room)
    stores["s"].put(b"a", 1, 1, ())
    stores["s"].put(b"b", 2, 2, ())
    stores["t"].put(b"c", 3, 3, ())
    assert stores.forwarded == [(b"c", 3, None, 3, ())]
    assert stores.cache.used_bytes == 2 * entry_bytes(is_compiled)
    stores.abort()
    assert stores.cache.used_bytes == 0


def test_no_budget_means_no_cache(open_stores: OpenStores) -> None:
    stores = open_stores(store_spec(caching=True), cache_bytes=0)
    assert not stores.only.caching
    with pytest.raises(StateError, match="has no cache"):
        stores.only.on_flush(print, send_old=False)


@pytest.mark.parametrize(
    ("value", "in_place"),
    [(int64, True), (float64, True), (boolean, True), (string, False), (json(list[int]), False)],
    ids=repr,
)
def test_what_all_weighs_the_same_and_is_taken_for_sure_is_updated_in_place(
    open_stores: OpenStores, value: Serde[Any], in_place: bool
) -> None:
    stores = cached(open_stores, value=value)
    assert (stores.only.in_place() is not None) is in_place


def test_large_values_count(open_stores: OpenStores) -> None:
    from headrace.serde.primitives import string

    stores = open_stores(store_spec(caching=True, value=string), cache_bytes=100_000)
    stores.only.put(b"a", "", 1, ())
    stores.only.put(b"a", "x" * 50_000, 1, ())
    assert stores.cache.used_bytes == 50_401
    stores.only.put(b"a", "x", 1, ())
    assert stores.cache.used_bytes == 402


def test_what_is_let_go_of_has_the_context_of_its_own_record(open_stores: OpenStores) -> None:
    stores = cached(open_stores)
    seen: list[tuple[object, ...]] = []

    def listener(key: bytes, *update: object) -> None:
        context = stores.context
        seen.append((key, context.topic, context.offset, context.timestamp, context.headers, context.raw_key))

    stores.only.on_flush(listener, send_old=False)
    stores.at(101, 11, (("h", b"1"),))
    stores.only.put(b"a", 1, 11, (("h", b"1"),))
    stores.at(102, 12)
    stores.only.put(b"b", 2, 12, ())
    stores.context.topic, stores.context.offset = None, -1
    stores.only.put(b"c", 3, 13, ())
    stores.at(150, 50, (("now", b""),))
    stores.state.flush()
    assert seen == [
        (b"a", "input", 101, 11, (("h", b"1"),), None),
        (b"b", "input", 102, 12, (), None),
        (b"c", None, -1, 13, (), None),
    ]
    context = stores.context
    assert (context.kept, context.offset, context.timestamp, context.headers) == (
        None,
        150,
        50,
        (("now", b""),),
    )


def test_an_entry_put_while_another_is_let_go_of_takes_over_its_context(open_stores: OpenStores) -> None:
    stores = open_stores(store_spec("first", caching=True), store_spec("second", caching=True))
    seen: list[tuple[object, ...]] = []
    stores["first"].on_flush(
        lambda key, new, old, timestamp, headers: stores["second"].put(key, new, timestamp, headers),
        send_old=False,
    )
    stores["second"].on_flush(
        lambda key, new, *_: seen.append((key, new, stores.context.offset)), send_old=False
    )
    stores.at(105, 1)
    stores["first"].put(b"a", 1, 1, ())
    stores.at(120, 2)
    stores.state.flush()
    assert seen == [(b"a", 1, 105)]


def test_a_failing_listener_leaves_the_context_as_it_was(open_stores: OpenStores) -> None:
    stores = cached(open_stores)

    def listener(*update: object) -> None:
        raise RuntimeError("downstream")

    stores.only.on_flush(listener, send_old=False)
    stores.at(101, 11)
    stores.only.put(b"a", 1, 11, ())
    stores.at(102, 12)
    with pytest.raises(RuntimeError, match="downstream"):
        stores.state.flush()
    assert (stores.context.kept, stores.context.timestamp) == (None, 12)


def test_what_a_flush_puts_into_its_own_store_goes_with_it(open_stores: OpenStores) -> None:
    stores = cached(open_stores)

    def listener(key: bytes, new: int | None, old: int | None, timestamp: int, headers: object) -> None:
        stores.forwarded.append((key, new, old))
        if new is not None and new < 3:
            stores.only.put(b"next", new + 1, timestamp, ())

    stores.only.on_flush(listener, send_old=True)
    stores.only.put(b"a", 1, 1, ())
    stores.state.flush()
    assert stores.forwarded == [(b"a", 1, None), (b"next", 2, None), (b"next", 3, 2)]


def test_a_store_that_forwards_to_itself_without_end_is_an_error(open_stores: OpenStores) -> None:
    stores = cached(open_stores)
    stores.only.on_flush(lambda key, new, *_: stores.only.put(key, new + 1, 1, ()), send_old=False)
    stores.only.put(b"a", 1, 1, ())
    with pytest.raises(StateError, match="after 100 flushes"):
        stores.state.flush()


def test_commit_refuses_to_leave_updates_behind(open_stores: OpenStores) -> None:
    stores = cached(open_stores)
    stores.only.put(b"a", 1, 1, ())
    with pytest.raises(StateError, match="1 updates wait in its cache; flush it first"):
        stores.commit_stores()


def test_reads_of_queries_leave_no_trace_in_the_cache(open_stores: OpenStores, is_compiled: bool) -> None:
    stores = cached(open_stores)
    stores.only.put(b"a", 1, 1, ())
    stores.commit()
    stores.abort()
    reader = stores.state.read_only("store")
    assert reader.get("a") == 1
    assert stores.cache.used_bytes == 0
    assert stores.only.get(b"a") == (1, 1)
    assert stores.cache.used_bytes == entry_bytes(is_compiled)


@pytest.mark.parametrize("value", [1, 2])
def test_an_entry_put_again_by_its_own_listener_stays_and_is_weighed(
    open_stores: OpenStores, is_compiled: bool, value: int
) -> None:
    stores = open_stores(store_spec(caching=True), cache_bytes=entry_bytes(is_compiled) + 99)

    def listener(key: bytes, new: int, *_: object) -> None:
        stores.forwarded.append((key, new))
        if new == 1:
            stores.only.put(key, 10, 1, ())

    stores.only.on_flush(listener, send_old=False)
    stores.only.put(b"a", value, 1, ())
    stores.only.put(b"b", 5, 1, ())
    assert stores.forwarded[0] == (b"a", value)
    assert stores.only.get(b"a") == (10 if value == 1 else 2, 1)
    stores.commit()
    assert stores.only.get(b"a") == (10 if value == 1 else 2, 1)
    stores.abort()
    assert stores.cache.used_bytes == 0


class Size(msgspec.Struct, frozen=True):
    width: int


@pytest.mark.parametrize(
    ("serde", "good", "bad"),
    [
        (int64, 5, 2**63),
        (string, "ö", "\ud800"),
        (json(Size), Size(1), Size(None)),  # type: ignore[arg-type]  # the mistake under test
        (json(str), "a", "\ud800"),
    ],
)
@pytest.mark.parametrize("kind", ["key_value", "window"])
def test_value_that_cannot_be_written_is_refused_at_once_and_the_row_stays(
    open_stores: OpenStores, kind: str, serde: Serde[Any], good: Any, bad: Any
) -> None:
    stores = cached(open_stores, kind=kind, value=serde, retention_ms=100, size_ms=10)
    at = (0,) if kind == "window" else ()
    stores.only.put(b"a", *at, good, 1, ())
    with pytest.raises(SerializationError, match="cannot serialize a value for store 'store'"):
        stores.only.put(b"a", *at, bad, 2, ())
    assert stores.only.get(b"a", *at) == (good, 1)
    stores.state.flush()
    assert [value for _, value, _ in stores.logged()] == [serde.serialize("t", good)]
