"""Aggregations of a grouped stream without windows. Source: `KStreamAggregate`, `KStreamReduce`.

Null keys and null values are dropped. A late record counts like any other; a result's time is the highest one that went
into it, but the changelog stamps a deletion with the record's own, unless the store has versions: what comes after that
may be late, and not the latest. An update carries the headers of the record that caused it. Where old values
are asked for, the initialiser's result is a new key's old value, a quirk that tables below rely on.
"""

from headrace.operators.counting import count_together
from headrace.operators.fold import COUNT, Fold
from headrace.operators.updates import forward_flushed
from headrace.topology.wiring import Forward, Wiring

__all__ = ["Aggregate"]

_PROGRAM = """\
if key is None or value is None:
    drop("null key or value")
    <next>
try:
    key_bytes = serialize(key)
    <look up>
    new = {add}
    <put>
except BaseException as error:
    failed(error, key, value, timestamp, headers)
    <next>
<send>
"""


class Aggregate:
    """Folds records into one value for each key. A result of None deletes the key."""

    def __init__(self, fold: Fold, store: str) -> None:
        self._fold = fold
        self._name = store
        self.store: str | None = store
        self.send_old = False

    def compile(self, wiring: Wiring) -> Forward:
        """Make the closure."""
        state = wiring.store(self._name)
        forward_flushed(wiring, state, send_old=self.send_old)
        run = self._fold.compile(_PROGRAM, wiring, state, send_old=self.send_old, live="True")
        if self._fold is COUNT:
            count_together(wiring, state, run)
        return run
