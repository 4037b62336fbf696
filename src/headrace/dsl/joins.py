"""Which join of a stream is meant, told by what it is joined with."""

from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.dsl.global_tables import GlobalKTable, joined_with_global_table
from headrace.dsl.ktable import KTable
from headrace.dsl.stream_state import Flow
from headrace.dsl.table_joins import joined_with_table

__all__ = ["joined"]


def joined(
    flow: Flow,
    other: object,
    joiner: object,
    on: object,
    value: object,
    *,
    name: str | None,
    where: Location,
    left: bool,
) -> Flow:
    """Join a stream with something; return the flow out of the join.

    Raises:
        TopologyError: with this a stream cannot be joined.
    """
    if isinstance(other, GlobalKTable):
        return joined_with_global_table(
            flow, other._spec, joiner, on, value, name=name, where=where, left=left
        )
    if on is not None:
        raise TopologyError(
            f"{where}: on= selects the key of a global table, which builder.global_table(...) makes; a table is looked "
            "up by the stream's own key: leave on= out, after select_key() if the key is another one"
        )
    if isinstance(other, KTable):
        return joined_with_table(flow, other._state, joiner, value, name=name, where=where, left=left)
    hint = "builder.table(...) makes one"
    if isinstance(other, flow.building.stream):
        hint = "this version has no joins of streams; to_table() makes a table of one"
    raise TopologyError(f"{where}: a stream is joined with a table, found {other!r}; {hint}")
