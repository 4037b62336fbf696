"""Joins of two tables by their keys: an update of either side causes a result.

Source: `KTableKTableInnerJoin`, `KTableKTableLeftJoin`, `KTableKTableRightJoin`, `KTableKTableOuterJoin`,
`KTableKTableJoinMerger`.

Three nodes make a join: each side has one that looks the other side up, and both lead into one that is the result, and
keeps it if it has a store. A result's time is the highest one that went into it. A result without a row on the side
that must have one is a deletion, sent even if there was nothing to delete, as in Kafka Streams.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from headrace.base.records import Headers
from headrace.operators.getters import Get, GetAsOf, Getter
from headrace.operators.updates import forward_flushed, key_serializer
from headrace.topology.wiring import Change, Forward, Wiring

__all__ = ["JoinGetter", "Joining", "TableJoinResult", "TableJoinSide"]

#: A side without a row is older than any row.
_NOTHING = (None, -1)


@dataclass(frozen=True, slots=True)
class Joining:
    """What two rows of a key become: `joiner(value of this table, value of the other)`.

    Attributes:
        keeps_this, keeps_other: whether a row of this table, or of the other, has a result without its counterpart, for
            which the joiner then gets None. An inner join keeps neither, a left join this one's, an outer join both.
    """

    joiner: Callable[[Any, Any], Any]
    keeps_this: bool
    keeps_other: bool


class TableJoinSide:
    """Turns updates of one side into updates of the result. A null key is dropped, and what is not the latest.

    `getter` looks up the other side; `of_other` says that this is the other table's side.
    """

    def __init__(self, joining: Joining, getter: Getter, *, of_other: bool, send_old: bool) -> None:
        self._joining = joining
        self._getter = getter
        self._of_other = of_other
        self._send_old = send_old

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure."""
        get, joiner, of_other, send_old = (
            self._getter.compile(wiring),
            self._joining.joiner,
            self._of_other,
            self._send_old,
        )
        keeps_own, keeps_match = self._joining.keeps_this, self._joining.keeps_other
        if of_other:
            keeps_own, keeps_match = keeps_match, keeps_own
        forward, failed, drop = wiring.forward, wiring.failed, wiring.drop

        def run(key: Any, change: Change, timestamp: int, headers: Headers) -> None:
            if key is None:
                drop("null join key")
                return
            new, old, is_latest = change
            if not is_latest:
                drop("out-of-order update of a versioned table")
                return
            latest, match, joined, joined_before = timestamp, None, None, None
            try:
                row = get(key)
                if row is not None:
                    match, matched_at = row
                    latest = max(latest, matched_at)
                elif not keeps_own or (new is None and old is None):
                    return
                # A match that is kept on its own has a result whether this side has a row or not.
                always = keeps_match and match is not None
                if always or new is not None:
                    joined = joiner(match, new) if of_other else joiner(new, match)
                if send_old and (always or old is not None):
                    joined_before = joiner(match, old) if of_other else joiner(old, match)
            except BaseException as error:
                failed(error, key, new, timestamp, headers)
                return
            forward(key, (joined, joined_before, True), latest, headers)

        return run


class TableJoinResult:
    """Takes the results of both sides, and keeps them if it has a store.

    `send_old` is set by the builder, before the topology is finished; both sides follow it.
    """

    def __init__(self, store: str | None = None) -> None:
        self.store = store
        self.send_old = False

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure."""
        forward, failed, send_old = wiring.forward, wiring.failed, self.send_old
        if self.store is None:
            # It is its children's closure: the sides make old values only where they are asked for.
            return forward
        state = wiring.store(self.store)
        put, cached, serialize = state.put, state.caching, key_serializer(wiring, state)
        forward_flushed(wiring, state, send_old=send_old)

        def run(key: Any, change: Change, timestamp: int, headers: Headers) -> None:
            try:
                until = put(serialize(key), change[0], timestamp, headers)
            except BaseException as error:
                failed(error, key, change[0], timestamp, headers)
                return
            if not cached and until != timestamp:
                # The old value is that of the sides, not the store's: so it is in Kafka Streams.
                forward(key, (change[0], change[1], until is None), timestamp, headers)

        return run


class JoinGetter:
    """Looks up both sides of a join that keeps no results, and joins again."""

    def __init__(self, joining: Joining, this: Getter, other: Getter) -> None:
        self._joining = joining
        self._this = this
        self._other = other

    @property
    def stores(self) -> tuple[str, ...]:
        """Names of the stores that are read."""
        return tuple(dict.fromkeys((*self._this.stores, *self._other.stores)))

    def compile(self, wiring: Wiring) -> Get:
        """Make the closure."""
        get_this, get_other = self._this.compile(wiring), self._other.compile(wiring)
        joiner, keeps_this, keeps_other = (
            self._joining.joiner,
            self._joining.keeps_this,
            self._joining.keeps_other,
        )

        def look_up(key: Any) -> tuple[Any, int] | None:
            this = get_this(key)
            if this is None and not keeps_other:
                return None
            other = get_other(key)
            if other is None and (this is None or not keeps_this):
                return None
            (one, one_at), (two, two_at) = this or _NOTHING, other or _NOTHING
            joined = joiner(one, two)
            return None if joined is None else (joined, max(one_at, two_at))

        return look_up

    def compile_as_of(self, wiring: Wiring) -> GetAsOf | None:
        """Nothing has versions: None."""
        return None
