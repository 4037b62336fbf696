"""What an aggregation does to a value, whatever its windows: how the first aggregate is made, and what is added to it.

A fold says so in expressions, and a windowing has a program with places for them: what is done with one record. What is
compiled is a closure of their own for each pair: counting calls no function, reducing only the reducer. Each program
exists once, and so does a fold; what several programs do alike is a piece, which they name in a line of its own.

The same program can stand in a loop over the records of a stretch. Where nothing leaves at once, since a cache holds
updates back, it is the last step, and reads and writes the cache's entries itself; else, each update goes on in the
place of its record.
"""

import copy
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from textwrap import indent
from types import MappingProxyType
from typing import Any

from headrace.base.programs import made_by
from headrace.operators.late import late_sender
from headrace.operators.updates import key_serializer
from headrace.operators.window_close import WindowCloser
from headrace.state.in_place import InPlace
from headrace.topology.wiring import INNER_NEXT, Forward, InnerStep, LastStep, Wiring

__all__ = ["COUNT", "Deletions", "Fold", "aggregation", "first_aggregates", "reduction"]

_log = logging.getLogger("headrace.aggregations")

_NONE: Mapping[str, Any] = MappingProxyType({})


#: What programs name as `<piece>`. `{cell}` is where a row stands, as the store's `get` and `put` are told.
_PIECES = {
    # The aggregate so far, or the first one, and the highest time that went into it.
    "look up": """\
<get>
latest = timestamp
if row is None:
    old = {first}
else:
    old = row[0]
    if row[1] > latest:
        latest = row[1]
""",
    # The changelog stamps a deletion with the record's own time. What has expired already is not put.
    "put": """\
if new is None:
    deletions.seen(wiring, old)
    dropped = put({cell}, None, timestamp, headers)
else:
    <set>
""",
    "send": """\
if not cached and dropped is None:
    forward(key, (new, {before} if send_old else None, True), latest, headers)
""",
    "send windowed": """\
if not cached:
    forward(Windowed(key, window), (new, old if send_old else None, True), latest, headers)
""",
    "get": "row = get({cell})\n",
    "set": "dropped = put({cell}, new, latest, headers)\n",
    # Where a record is done with. A loop goes on with the next one.
    "next": "return\n",
    # In a program whose results leave when windows close, the look for them.
    "emit": "pass\n",
    # In one that does so every now and then, before stream time moves on.
    "make room": "pass\n",
}

#: At the end of a loop, the next record follows.
_NEXT_OF_LAST = {"next": "continue\n"}

#: In a loop, an update goes on in the place of its record.
_PIECES_OF_LOOPS = {
    "send": """\
if dropped is not None:
    <next>
value = (new, {before} if send_old else None, True)
timestamp = latest
""",
    "send windowed": """\
key = Windowed(key, window)
value = (new, old if send_old else None, True)
timestamp = latest
""",
    "next": INNER_NEXT,
}

#: The same where the store has versions: a deletion has the result's time too, and may be late, or too late to be put.
_PIECES_OF_VERSIONS = {
    "put": """\
if new is None:
    deletions.seen(wiring, old)
until = put({cell}, new, latest, headers)
""",
    "send": """\
if until != latest:
    forward(key, (new, {before} if send_old else None, until is None), latest, headers)
""",
}

_PIECES_OF_LOOPS_WITH_VERSIONS = {
    **_PIECES_OF_LOOPS,
    "send": """\
if until == latest:
    <next>
value = (new, {before} if send_old else None, until is None)
timestamp = latest
""",
}

_PIECES_THAT_EMIT = {"emit": "emit(stream_time.ms - grace, headers)\n"}

_PIECES_THAT_MAKE_ROOM = {
    **_PIECES_THAT_EMIT,
    "make room": """\
if timestamp > emit.room_ms:
    emit.make_room(timestamp - grace, headers)
""",
}

_PIECE = re.compile(r"^( *)<(.+)>\n", re.MULTILINE)


class Deletions:
    """What an aggregation's tasks know together: whether its deletions were told of.

    Once of an aggregator, since nothing else tells a `return` that was forgotten. `function` names the user's function;
    None says that its deletions are meant.
    """

    def __init__(self, function: str | None) -> None:
        self._function = function

    def seen(self, wiring: Wiring, old: Any) -> None:
        """Take a result of None, in place of `old`."""
        if old is None or self._function is None:
            return
        _log.warning(
            "%s (%s): %s returned None in place of an aggregate, which deletes the key. If that is not meant, a "
            "`return` is missing; if it is, annotate its result as `... | None`, and this is not said",
            wiring.name, wiring.where, self._function, extra={"node": wiring.name},
        )  # fmt: skip
        self._function = None


@dataclass(frozen=True, slots=True)
class Fold:
    """How records become one value. A result of None deletes it.

    Attributes:
        first: expression for a key's first aggregate; where there is none before the first value, None.
        add: expression for the next aggregate, of `key`, `value` and `old`, the aggregate so far.
        subtract: the same for the aggregate without a value that was added before; for tables, whose rows change.
        merge: expression for one aggregate of two, `old` and `other`, of `key`; for sessions, which meet.
        functions: what the expressions name: the user's functions, and others; `init` makes first aggregates.
        deletions, subtractions: told of results of None, of adding and of subtracting.
    """

    first: str
    add: str
    subtract: str
    merge: str
    functions: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    deletions: Deletions = field(default_factory=lambda: Deletions(None))
    subtractions: Deletions = field(default_factory=lambda: Deletions(None))

    def compile(
        self,
        program: str,
        wiring: Wiring,
        state: Any,
        *,
        send_old: bool,
        cell: str = "key_bytes",
        before: str = "old",
        live: str | None = None,
        emit: WindowCloser | None = None,
        variables: Mapping[str, Any] = _NONE,
        **known: Any,
    ) -> Forward:
        """Make the closure of a program, once this fold's expressions and the pieces stand in it.

        The program finds the names of the wiring and of the store that are made here, and those of `known`; `variables`
        are those that it assigns for the next record, and may lose. `before` is the expression for the old value of an
        update. With `emit`, no update leaves: final results do.

        With `live`, the expression that says whether the cell of a record may be read where it is, the program may
        stand in a loop: all that it says of a record's end is `<next>`, and of an update's way `<send>`.
        """
        functions = dict(self.functions)
        if "init" in functions:
            functions["init"] = first_aggregates(functions["init"])
        known |= {
            **functions,
            # Then nothing leaves now: the cache sends it on, or the close of its window.
            "cached": state.caching or emit is not None,
            "deletions": self.deletions,
            "drop": wiring.drop,
            "emit": emit,
            "failed": wiring.failed,
            "forward": wiring.forward,
            "get": state.get,
            "late": late_sender(wiring),
            "put": state.put,
            "send_old": send_old,
            "serialize": key_serializer(wiring, state),
            "subtractions": self.subtractions,
            "wiring": wiring,
        }
        pieces = {**_PIECES, **(_PIECES_OF_VERSIONS if state.spec.kind == "versioned" else {})}
        if emit is not None:
            pieces |= _PIECES_THAT_MAKE_ROOM if emit.emits_expired else _PIECES_THAT_EMIT
        in_place: InPlace | None = state.in_place() if live is not None else None
        if in_place is not None:
            is_count = self is COUNT
            pieces |= {"get": in_place.get, "set": in_place.put_count if is_count else in_place.put}
            known |= in_place.names
        expressions = {
            "add": self.add,
            "before": before,
            "cell": cell,
            "first": self.first,
            "live": live,
            "merge": self.merge,
            "subtract": self.subtract,
        }
        if live is not None and emit is None:
            write = partial(_written, program, expressions=expressions)
            _stand_in_loop(wiring, state, pieces, write, known, variables)
        assigned = f"    nonlocal {', '.join(variables)}\n" if variables else ""
        source = _written(program, pieces, expressions=expressions)
        source = f"def run(key, value, timestamp, headers):\n{assigned}{indent(source, '    ')}"
        run: Forward = made_by(source, wiring.name, {**known, **variables})
        return run


def _stand_in_loop(
    wiring: Wiring,
    state: Any,
    pieces: Mapping[str, str],
    write: Callable[[Mapping[str, str]], str],
    known: Mapping[str, Any],
    variables: Mapping[str, Any],
) -> None:
    """Offer the program to the loop of its neighbours: as its end, where a cache holds updates back, or within it."""
    if state.caching:
        wiring.take_last_step(LastStep(wiring.name, write({**pieces, **_NEXT_OF_LAST}), known, variables))
        return
    of_loops = _PIECES_OF_LOOPS_WITH_VERSIONS if state.spec.kind == "versioned" else _PIECES_OF_LOOPS
    wiring.take_inner_step(InnerStep(wiring.name, write({**pieces, **of_loops}), known, variables))


def _written(program: str, pieces: Mapping[str, str], *, expressions: Mapping[str, str | None]) -> str:
    """Put pieces into a program, and into each other, and then expressions."""

    def piece(place: re.Match[str]) -> str:
        return indent(_PIECE.sub(piece, pieces[place[2]]), place[1])

    return _PIECE.sub(piece, program).format(**expressions)


#: Counts, without a call of user code.
COUNT = Fold("0", "old + 1", "old - 1", "old + other")


def aggregation(
    init: Callable[[], Any],
    add: Callable[[Any, Any, Any], Any],
    subtract: Callable[[Any, Any, Any], Any] | None = None,
    merge: Callable[[Any, Any, Any], Any] | None = None,
    *,
    deletions: Deletions | None = None,
    subtractions: Deletions | None = None,
) -> Fold:
    """Fold into a value of another type, which begins with what `init` makes: `add(key, value, aggregate)`.

    `subtract(key, value, aggregate)` undoes it, `merge(key, aggregate, other)` makes one of two.
    """
    functions: dict[str, Callable[..., Any]] = {"init": init, "add": add}
    if subtract is not None:
        functions["subtract"] = subtract
    if merge is not None:
        functions["merge"] = merge
    return Fold(
        "init()",
        "add(key, value, old)",
        "subtract(key, value, old)",
        "merge(key, old, other)",
        functions,
        deletions or Deletions(None),
        subtractions or Deletions(None),
    )


def reduction(
    reducer: Callable[[Any, Any], Any],
    subtractor: Callable[[Any, Any], Any] | None = None,
    *,
    deletions: Deletions | None = None,
    subtractions: Deletions | None = None,
) -> Fold:
    """Fold values of one type, `reducer(aggregate, value)`: the first value is the first result.

    `subtractor(aggregate, value)` undoes it.
    """
    functions: dict[str, Callable[..., Any]] = {"reducer": reducer}
    if subtractor is not None:
        functions["subtractor"] = subtractor
    return Fold(
        "None",
        "value if old is None else reducer(old, value)",
        "subtractor(old, value)",
        "other if old is None else reducer(old, other)",
        functions,
        deletions or Deletions(None),
        subtractions or Deletions(None),
    )


def first_aggregates(init: Callable[[], Any]) -> Callable[[], Any]:
    """Return the initialiser, made to fail where it returns the object of before, which was changed meanwhile.

    A key would begin with what records of other keys have left there. The same object each time is fine as long as
    nobody changes it: an aggregator may return new ones. Only what has no hash is looked at, since all else is taken
    for immutable. Costs nothing for keys that are there already.
    """
    last: Any = None
    as_made: Any = None

    def first() -> Any:
        nonlocal last, as_made
        made = init()
        if type(made).__hash__ is not None:
            return made
        if made is not last:
            last, as_made = made, _copied(made)
        elif as_made is not None and made != as_made:
            raise ValueError(
                f"the initialiser returns one and the same {type(made).__qualname__} for all keys, and the aggregator "
                f"has changed it; make a new one each time, as `list` or `lambda: []` do"
            )
        return made

    return first


def _copied(made: Any) -> Any:
    try:
        return copy.deepcopy(made)
    except Exception:  # a class may forbid it: then nothing can be told
        return None
