"""Which handles a store of the topology is found by, and what a query is handed."""

import pytest

import headrace as hr
from headrace import stores
from headrace.query.local import store_name, view_of

HOURLY = stores.window("hourly", key=str, value=int)


def topology() -> hr.Topology:
    builder = hr.StreamsBuilder()
    windows = hr.TimeWindows("1h", grace="0s")
    builder.stream("in").group_by_key().windowed_by(windows).count(store=HOURLY)
    return builder.build()


def test_store_is_found_by_its_name_and_by_any_handle_that_agrees() -> None:
    for handle in (
        "hourly",
        HOURLY,
        stores.window("hourly"),
        stores.window("hourly", key=str, retention="9h"),
    ):
        assert store_name(topology(), handle) == "hourly"


def test_handle_of_another_kind_is_refused() -> None:
    with pytest.raises(hr.TopologyError) as caught:
        store_name(topology(), stores.key_value("hourly", key=str, value=int))
    assert str(caught.value) == (
        "store 'hourly' (test_local.py:15) is a window store, and is asked for as a key-value store: declare it once "
        "with stores.window(...), and use that everywhere"
    )


def test_handle_of_another_type_is_refused() -> None:
    with pytest.raises(hr.TopologyError) as caught:
        store_name(topology(), stores.window("hourly", key=str, value=float))
    assert str(caught.value) == (
        "store 'hourly' (test_local.py:15) has values of int64, and is asked for with float64: declare it once, and "
        "use that everywhere"
    )


def test_what_is_no_store_is_refused() -> None:
    with pytest.raises(
        hr.TopologyError, match="a store is asked for by its declaration or its name, found 3"
    ):
        store_name(topology(), 3)  # type: ignore[arg-type]


def test_view_is_a_read_only_store_of_its_kind() -> None:
    view: object = view_of(topology().stores["hourly"], dict)
    kinds = (stores.ReadOnlyWindowStore, stores.ReadOnlyKeyValueStore, stores.WindowStore)
    assert [isinstance(view, kind) for kind in kinds] == [True, False, False]

    builder = hr.StreamsBuilder()
    builder.table("in", store=stores.key_value("latest", key=str, value=int))
    view = view_of(builder.build().stores["latest"], dict)
    assert [isinstance(view, kind) for kind in (stores.ReadOnlyKeyValueStore, stores.KeyValueStore)] == [
        True,
        False,
    ]
