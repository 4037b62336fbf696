"""Which stores there are, and what is in them."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from headrace.query.query_options import QueryOptions
from headrace.server.answers import Problem
from headrace.server.parameters import Given, Parameter
from headrace.server.routes import Route
from headrace.server.store_rows import StoreRows, key_of
from headrace.server.streaming import Streaming
from headrace.state.spec import StoreSpec
from headrace.streams.streams import Streams

__all__ = ["store_routes"]

_KEY_TEXT = (
    'text as it stands; any other key as JSON writes it (7, true, {…}), bytes as text or {"base64": …}.'
)
_LIMIT = Parameter("limit", "count", "How many rows a page has at most.", 100)
_COMMON = (
    Parameter("start", "time", "Windows, sessions, versions: from this time on (epoch ms)."),
    Parameter("end", "time", "Windows, sessions, versions: up to this time, which is included (epoch ms)."),
    Parameter("as_of", "time", "Versioned: the version that was valid at this time (epoch ms)."),
    Parameter("history", "flag", "Versioned: all versions from start to end, the oldest first.", False),
    Parameter("reverse", "flag", "Against the order.", False),
    _LIMIT,
    Parameter("cursor", "text", "Goes on behind a page: its `next`."),
    Parameter("committed", "flag", "As of the last commit.", False),
    Parameter("stale", "duration", "A standby may answer that has seen all until so long ago (5s, 500ms)."),
    Parameter("timeout", "duration", "How long to look for somebody who answers (5s; a minute at most)."),
)
_OF_STORE = (
    Parameter("key", "text", f"One key, also one that has no place in a path: {_KEY_TEXT}"),
    Parameter("from", "text", "Key-value: keys from this one on, in the order of their bytes."),
    Parameter("to", "text", "Key-value: keys up to this one, which is included."),
    Parameter("prefix", "text", "Key-value: keys whose bytes begin with those of this one."),
    *_COMMON,
)
_OF_KEY = (Parameter("key", "text", f"The key: {_KEY_TEXT}", is_in_path=True), *_COMMON)
_OF_WATCH = (Parameter("key", "text", f"The key to watch; all without it: {_KEY_TEXT}"),)
_TIMEOUT_MAX = 60.0
_STATUSES = (404, 422, 503)


def store_routes(streams: Streams, streaming: Streaming) -> Sequence[Route]:
    """Return the routes. Who watches is entered in `streaming`."""
    names = tuple(sorted(streams.topology.stores))
    store = Parameter("store", "text", "Name of the store.", is_in_path=True, allowed=names)
    return (
        Route("/stores", "The stores, with kind, serdes and partitions.", partial(_stores, streams)),
        Route(
            "/stores/{store}",
            "Rows of a store, a page at a time: all, from key to key, with a prefix, within times.",
            partial(_rows, streams),
            (store, *_OF_STORE),
            _STATUSES,
        ),
        Route(
            "/stores/{store}/watch",
            "Changes of a store as they are committed, as server-sent events: `change`, with key, value and timestamp. "
            "A key that is called watch is asked for with ?key=.",
            partial(_watched, streams, streaming),
            (store, *_OF_WATCH),
            _STATUSES,
            media_types=("text/event-stream",),
        ),
        Route(
            "/stores/{store}/{key}",
            "What is under a key: a value, a version, or windows and sessions a page at a time.",
            partial(_rows, streams),
            (store, *_OF_KEY),
            _STATUSES,
        ),
    )


def _stores(streams: Streams, given: Given) -> object:
    return {"stores": [_store(spec) for _, spec in sorted(streams.topology.stores.items())]}


def _store(spec: StoreSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "kind": spec.kind,
        "key": repr(spec.key),
        "value": repr(spec.value),
        "can_be_read": spec.kind not in ("suppress", "custom"),
        "is_global": spec.global_topic is not None,
        "retention_ms": spec.retention_ms,
        "size_ms": spec.size_ms,
        "history_ms": spec.history_ms,
        "where": str(spec.where),
    }


def _spec(streams: Streams, name: str) -> StoreSpec:
    spec = streams.topology.stores.get(name)
    if spec is None:
        raise Problem(404, f"there is no store {name!r}: /stores lists those that there are")
    return spec


def _watched(streams: Streams, streaming: Streaming, given: Given) -> object:
    spec = _spec(streams, given["store"])
    key = None if given["key"] is None else key_of(spec, streams.application_id, given["key"], "key")
    return streaming.events(lambda: streams.watch(spec.name, key))


def _how(given: Given) -> QueryOptions:
    how: QueryOptions = {"committed": given["committed"]}
    if given["stale"] is not None:
        how["stale"] = timedelta(seconds=given["stale"])
    if given["timeout"] is not None:
        how["timeout"] = timedelta(seconds=min(given["timeout"], _TIMEOUT_MAX))
    return how


def _rows(streams: Streams, given: Given) -> object:
    name = given["store"]
    spec = _spec(streams, name)
    how = _how(given)
    view = streams.query(name, **how)  # says of what cannot be read why not

    def view_of(partitions: Sequence[int] | None) -> Any:
        if partitions is None:
            return view
        some: QueryOptions = {**how, "partitions": partitions}
        return streams.query(str(name), **some)

    rows = StoreRows(
        spec,
        streams.application_id,
        streams.partitions_of_store(name),
        view_of,
        partial(streams.partitions_of_key, name),
    )
    return rows.answer({"from": None, "to": None, "prefix": None, **given})
