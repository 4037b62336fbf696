"""Tables grouped anew and aggregated. Source: `KTableRepartitionMap`, `KTableAggregate`, `KTableReduce`.

A row has to be taken out of the group it was in before it is added to the one it is in now. An update therefore goes
to the group of its old value and to the group of its new value, through a repartition topic, in that order; where both
are the same one, as one update (KIP-904), so that nobody sees the group without the row.
"""

from collections.abc import Callable
from typing import Any

from headrace.base.callables import pair
from headrace.base.records import Headers
from headrace.operators.fold import Fold
from headrace.operators.updates import forward_flushed
from headrace.topology.wiring import Change, Forward, Wiring

__all__ = ["TableAggregate", "TableSelect"]

#: A row of no group: the selector gave None, or a key or value of None.
_NOWHERE = (None, None)


class TableSelect:
    """Turns an update of a row into updates of its groups: the selector gives a row's new key and value.

    Where it gives None, or one of them is None, the row is in no group. Only the latest version of a row is in one.
    """

    rekeys = True

    def __init__(self, selector: Callable[[Any, Any], Any]) -> None:
        self._selector = selector

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure."""
        selector, forward, failed = self._selector, wiring.forward, wiring.failed

        def placed(key: Any, value: Any) -> tuple[Any, Any]:
            if value is None:
                return _NOWHERE
            selected = selector(key, value)
            if selected is None:
                return _NOWHERE
            group, content = pair(selected)
            return _NOWHERE if group is None or content is None else (group, content)

        def run(key: Any, change: Change, timestamp: int, headers: Headers) -> None:
            if not change[2]:
                return
            try:
                group, new = placed(key, change[0])
                group_before, old = placed(key, change[1])
                stays = new is not None and old is not None and bool(group == group_before)
            except BaseException as error:
                failed(error, key, change[0], timestamp, headers)
                return
            if stays:
                forward(group, (new, old, True), timestamp, headers)
                return
            if old is not None:
                forward(group_before, (None, old, True), timestamp, headers)
            if new is not None:
                forward(group, (new, None, True), timestamp, headers)

        return run


#: A group without an aggregate has nothing to subtract from; it begins with what is added.
_PROGRAM = """\
change = value
try:
    key_bytes = serialize(key)
    <get>
    latest = timestamp
    if row is None:
        before = old = None
    else:
        before = old = row[0]
        if row[1] > latest:
            latest = row[1]
        value = change[1]
        if value is not None:
            old = {subtract}
            if old is None:
                subtractions.seen(wiring, before)
    new = old
    value = change[0]
    if value is not None:
        if old is None:
            old = {first}
        new = {add}
    <put>
except BaseException as error:
    failed(error, key, change[0], timestamp, headers)
    <next>
<send>
"""


class TableAggregate:
    """Folds the rows of a grouped table into one value for each group: subtracts the old value, then adds the new one.

    A result of None deletes the group's. A result's time is the highest one that went into it.
    """

    def __init__(self, fold: Fold, store: str) -> None:
        self._fold = fold
        self._name = store
        self.store: str | None = store
        self.send_old = False

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure."""
        state = wiring.store(self._name)
        forward_flushed(wiring, state, send_old=self.send_old)
        return self._fold.compile(
            _PROGRAM, wiring, state, send_old=self.send_old, before="before", live="True"
        )
