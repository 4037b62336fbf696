"""The rows of a store for people, by its kind: which ones a question means, and what is shown of them."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from headrace.base.errors import SerializationError
from headrace.base.records import Windowed
from headrace.query.formats import format_of, plain
from headrace.server.answers import Problem
from headrace.server.paging import Cursor, Place, Row, page
from headrace.server.parameters import Given
from headrace.state.spec import StoreSpec, segment_interval_ms
from headrace.state.typed_keys import TypedKeys

__all__ = ["StoreRows", "key_of"]

#: What a question may say of one kind of store, and not of the others.
_OF_KIND = {
    "key_value": {"from", "to", "prefix", "reverse"},
    "window": {"start", "end", "reverse"},
    "session": {"start", "end", "reverse"},
    "versioned": {"as_of", "history", "start", "end"},
}
_OF_ANY = {"store", "key", "limit", "cursor", "committed", "stale", "timeout"}


class StoreRows:
    """One store. `view_of` makes the view of some of its partitions, of all with None; `partitions_of` tells in which a
    key may lie, the likeliest first.
    """

    def __init__(
        self,
        spec: StoreSpec,
        application_id: str,
        partitions: Sequence[int],
        view_of: Callable[[Sequence[int] | None], Any],
        partitions_of: Callable[[Any], Sequence[int]],
    ) -> None:
        self._spec = spec
        self._partitions = partitions
        self._view_of = view_of
        self._partitions_of = partitions_of
        self._keys = TypedKeys[Any](spec, application_id)
        self._application_id = application_id

    def answer(self, given: Given) -> object:
        """Answer a question, of one key where it names one.

        Raises:
            Problem: it is none that this kind of store can answer, or there is no such row.
        """
        kind = self._spec.kind
        others = {
            name
            for name, value in given.items()
            if value not in (None, False) and name not in _OF_KIND[kind] | _OF_ANY
        }
        if others:
            raise Problem(
                400,
                f"{sorted(others)[0]} is for another kind: of a {kind.replace('_', '-')} store there is "
                f"{', '.join(sorted(_OF_KIND[kind] - {'store'}))}",
            )
        key = None if given["key"] is None else self._key(given["key"], "key")
        match kind:
            case "key_value":
                return self._value(key, given) if key is not None else self._range(given)
            case "window":
                return self._spans(key, given, "range")
            case "session":
                return self._spans(key, given, "sessions")
            case _:
                return self._versions(key, given)

    def _key(self, text: str, name: str) -> Any:
        return key_of(self._spec, self._application_id, text, name)

    def _cursor(self, given: Given, *kinds: type) -> Cursor | None:
        return None if given["cursor"] is None else Cursor.decode(given["cursor"], kinds)

    # ── key-value ────────────────────────────────────────────────────────────────────────────────────────────────

    def _value(self, key: Any, given: Given) -> object:
        if any(given[name] is not None for name in ("from", "to", "prefix", "cursor")):
            raise Problem(400, "key is one row: leave out from, to, prefix and cursor, or key")
        value = self._view_of(None).get(key)
        if value is None:
            raise Problem(404, f"store {self._spec.name!r} has no such key")
        return {"key": plain(key), "value": plain(value)}

    def _range(self, given: Given) -> object:
        low, high, prefix = (
            None if given[name] is None else self._key(given[name], name) for name in ("from", "to", "prefix")
        )
        reverse = given["reverse"]
        if prefix is not None and (low is not None or high is not None or reverse):
            raise Problem(400, "prefix goes with limit and cursor alone")
        cursor = self._cursor(given, bytes)
        beginning = None if prefix is None else self._keys.to_bytes(prefix)

        def rows(partition: int, place: Place | None) -> Iterator[Row]:
            view = self._view_of([partition])
            here = None if place is None else self._keys.to_key(place[0])
            if here is None and prefix is not None:
                found = view.prefix(prefix)
            elif reverse:
                found = view.range(low, high if here is None else here, reverse=True)
            else:
                found = view.range(low if here is None else here, high)
            for key, value in found:
                data = self._keys.to_bytes(key)
                if beginning is not None and not data.startswith(beginning):
                    return
                yield (data,), {"key": plain(key), "value": plain(value)}

        return page(rows, self._partitions, cursor, given["limit"], reverse=reverse)

    # ── windows and sessions ─────────────────────────────────────────────────────────────────────────────────────

    def _spans(self, key: Any, given: Given, method: str) -> object:
        """Windows that start, or sessions that overlap, within times: of a key by time, of all by segment first."""
        start, end, reverse = given["start"], given["end"], given["reverse"]
        kinds = (int, int) if key is not None else (int, bytes, int, int)
        cursor = self._cursor(given, *kinds)
        interval_ms = segment_interval_ms(self._spec.retention_ms or 0)
        is_session = self._spec.kind == "session"

        def rows(partition: int, place: Place | None) -> Iterator[Row]:
            low, high = start, end
            if place is not None and not reverse:
                low = max(place[0], 0 if start is None else start)
            elif place is not None and not is_session and key is not None:
                high = place[0]
            for windowed, value in getattr(self._view_of([partition]), method)(
                key, start=low, end=high, reverse=reverse
            ):
                yield place_of(windowed), self._span(windowed, value)

        def place_of(windowed: Windowed[Any]) -> Place:
            begin, ended = windowed.window
            time, rest = (ended, begin) if is_session else (begin, 0)
            if key is not None:
                return (time, rest)
            return (time - time % interval_ms, self._keys.to_bytes(windowed.key), time, rest)

        if key is None:
            return page(rows, self._partitions, cursor, given["limit"], reverse=reverse)
        return page(rows, self._partitions_of(key), cursor, given["limit"], reverse=reverse, of_first=True)

    def _span(self, windowed: Windowed[Any], value: Any) -> dict[str, object]:
        start, end = windowed.window
        return {"key": plain(windowed.key), "start": start, "end": end, "value": plain(value)}

    # ── versions ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _versions(self, key: Any, given: Given) -> object:
        if key is None:
            raise Problem(400, "a versioned store is read by key: give one")
        if not given["history"]:
            if given["start"] is not None or given["end"] is not None or given["cursor"] is not None:
                raise Problem(400, "start, end and cursor go with history=true")
            found = self._view_of(None).get(key, given["as_of"])
            if found is None:
                raise Problem(404, f"store {self._spec.name!r} has no such key, or had none then")
            return {"key": plain(key), "value": plain(found[0]), "timestamp": found[1]}
        if given["as_of"] is not None:
            raise Problem(400, "as_of is one version: leave it out, or history")
        cursor = self._cursor(given, int)

        def rows(partition: int, place: Place | None) -> Iterator[Row]:
            low = given["start"] if place is None else max(place[0], given["start"] or 0)
            for value, since, until in self._view_of([partition]).history(key, low, given["end"]):
                yield (since,), {"value": plain(value), "timestamp": since, "until": until}

        return page(rows, self._partitions_of(key), cursor, given["limit"], reverse=False, of_first=True)


def key_of(spec: StoreSpec, application_id: str, text: str, name: str) -> Any:
    """Make a key of the parameter `name`: text keys as they stand, others as JSON writes them.

    Raises:
        Problem: it is no key of the store.
    """
    document: object = text
    if spec.key.type is not str:
        try:
            document = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            document = text
    try:
        data = format_of(spec.key, f"{application_id}-{spec.changelog_topic}").read(document)
        return TypedKeys[Any](spec, application_id).to_key(data)
    except SerializationError as error:
        raise Problem(400, f"{name} is no key of store {spec.name!r}: {error}") from None
    except (TypeError, ValueError, OverflowError) as error:
        raise Problem(
            400, f"{name} is no key of store {spec.name!r}, which has {spec.key!r}: {error}"
        ) from None
