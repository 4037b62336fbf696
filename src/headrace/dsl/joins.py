"""Which join of a stream is meant, told by what it is joined with."""

from collections.abc import Mapping

from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.dsl.global_tables import GlobalKTable, joined_with_global_table
from headrace.dsl.ktable import KTable
from headrace.dsl.stream_state import Flow
from headrace.dsl.stream_stream_joins import joined_streams
from headrace.dsl.table_joins import joined_with_table

__all__ = ["joined"]

#: Arguments that belong to one kind of join, and what is said of them at another.
_MISPLACED = {
    "on": (
        "on= selects the key of a global table, which builder.global_table(...) makes; all else is joined by the "
        "stream's own key: leave on= out, after select_key() if the key is another one"
    ),
    "within": (
        "a record is joined with what a table has at its time, without windows: leave within= out, or join with the "
        "table's updates, to_stream()"
    ),
    "grace": (
        "grace= is of a join with a table of versions; of streams it belongs to the windows, hr.JoinWindows(…, grace=…)"
    ),
    "late_to": (
        "a record is joined with what a table has at its time, and none is late: leave late_to= out, which is of joins "
        "with another stream"
    ),
    "idle": (
        "a record is joined with what a table has at its time, and waits for no other: leave idle= out, which is of "
        "joins with another stream"
    ),
    "store": "a join with a table has no stores of its own: leave store= out",
}


def joined(
    flow: Flow,
    other: object,
    joiner: object,
    value: object,
    *,
    name: str | None,
    where: Location,
    left: bool,
    outer: bool = False,
    **own: object,
) -> Flow:
    """Join a stream with something; return the flow out of the join.

    `left` and `outer` say whether records of this side, and of the other one, have results without a match. `own` are
    the arguments that not all joins have, None where they are not given.

    Raises:
        TopologyError: with this a stream cannot be joined, or not so.
    """
    if isinstance(other, flow.building.stream):
        _refuse(own, "on", "grace", where=where)
        return joined_streams(
            flow,
            other._flow,
            joiner,
            own.get("within"),
            own.get("store"),
            value,
            late_to=own.get("late_to"),
            idle=own.get("idle"),
            name=name,
            where=where,
            keeps_this=left,
            keeps_other=outer,
        )
    if outer or not isinstance(other, KTable | GlobalKTable):
        wanted = "another stream" if outer else "a stream or a table"
        hint = "builder.stream(…) and builder.table(…) make them"
        if isinstance(other, KTable | GlobalKTable):
            hint = "a table's updates are a stream: to_stream(); or join it as a table with left_join()"
        raise TopologyError(f"{where}: a stream is joined with {wanted}, found {other!r}; {hint}")
    _refuse(own, "within", "store", "late_to", "idle", where=where)
    if isinstance(other, GlobalKTable):
        _refuse(own, "grace", where=where)
        return joined_with_global_table(
            flow, other._spec, joiner, own.get("on"), value, name=name, where=where, left=left
        )
    _refuse(own, "on", where=where)
    return joined_with_table(
        flow, other._state, joiner, value, name=name, where=where, left=left, grace=own.get("grace")
    )


def _refuse(own: Mapping[str, object], *names: str, where: Location) -> None:
    for name in names:
        if own.get(name) is not None:
            raise TopologyError(f"{where}: {_MISPLACED[name]}")
