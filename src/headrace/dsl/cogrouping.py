"""Several grouped streams that fill one table, each with an aggregator of its own.

Source: `CogroupedKStreamImpl`, `CogroupedStreamAggregateBuilder`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.dsl.aliases import AnyStore, Name
from headrace.dsl.folds import aggregated
from headrace.dsl.functions import plain
from headrace.dsl.graph import GraphNode, GraphProcessor
from headrace.dsl.grouping import Grouping, Windowing, aggregate_store
from headrace.dsl.ready_made import Aggregation
from headrace.dsl.serdes import UnknownSerde, refuse_clash
from headrace.dsl.stream_state import Flow, TableOperator, TableState
from headrace.operators.cogroup import Cogrouped
from headrace.operators.silence import Idle

__all__ = ["Cogrouping"]

_AGGREGATE = "COGROUPKSTREAM-AGGREGATE-"
_MERGE = "COGROUPKSTREAM-MERGE-"


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    grouping: Grouping
    aggregator: Callable[..., Any]

    @property
    def flow(self) -> Flow:
        return self.grouping.flow


@dataclass(frozen=True, slots=True)
class Cogrouping:
    """The groups, in the order in which they were given.

    `value` is the type or serde of the aggregate, if it was given with the first of them.
    """

    value: object
    groups: tuple[_Group, ...] = ()

    def plus(self, grouping: Grouping, aggregator: object, where: Location) -> "Cogrouping":
        """Return these groups and one more.

        Raises:
            TopologyError: the group is among them, its keys are of another type, or the aggregator is no function.
        """
        if isinstance(aggregator, Aggregation):
            raise TopologyError(
                f"{where}: cogroup() takes an aggregator, a function of key, value and aggregate, and {aggregator!r} "
                "is for one group: make the values alike and merge() the streams, or aggregate each and join the tables"
            )
        fn, _ = plain(aggregator, "aggregator", where, "key", "value", "aggregate")
        for group in self.groups:
            if group.grouping is grouping:
                raise TopologyError(
                    f"{where}: this grouped stream is cogrouped already, and has an aggregator; let that one do both"
                )
            refuse_clash(
                group.flow.key,
                grouping.flow.key,
                "key",
                "the stream that it is cogrouped with",
                where,
                to_meet=True,
            )
        return replace(self, groups=(*self.groups, _Group(grouping, fn)))

    def table(
        self,
        init: object,
        value: object,
        windowing: Windowing,
        store: AnyStore,
        name: Name,
        where: Location,
        *,
        merge: object = None,
    ) -> TableState:
        """Fold all groups into one table. Indices are used up in Java's order: store, repartitions, nodes, merge.

        `merge` makes one aggregate of two, for sessions.
        """
        self._check_repartitions(where)
        folds = [
            aggregated(init, group.aggregator, self.value if value is None else value, where, merge=merge)
            for group in self.groups
        ]
        flow = next(
            (each.flow for each in self.groups if not isinstance(each.flow.key, UnknownSerde)),
            self.groups[0].flow,
        )
        known = next((each for each in folds if not isinstance(each.value, UnknownSerde)), folds[0])
        made = aggregate_store(flow, known, windowing, store, prefix=_AGGREGATE, where=where)
        windowing.settle(made, where)
        graph, names = flow.building.graph, flow.building.graph.names
        parents = [group.grouping.parent_of(made, where, keeps_values=False) for group in self.groups]
        idle = None if windowing.idle_ms is None else Idle(windowing.idle_ms, is_shared=True)
        operators: list[TableOperator] = []
        nodes: list[GraphNode] = []
        for number, (group, fold, (parent, _)) in enumerate(zip(self.groups, folds, parents)):
            node_name = names.suffixed(name, f"-cogroup-agg-{number}", _AGGREGATE, where)
            operators.append(windowing.operator(fold.fold, made.name, idle))
            late = group.grouping.late_below(node_name, windowing, made)
            nodes.append(
                GraphProcessor(node_name, where, operators[-1], stores=(made,), calls=fold.calls, late=late)
            )
            nodes[-1].grace_ms, nodes[-1].idle = made.grace_ms, idle
            graph.add(nodes[-1], parent)
        merged = names.suffixed(name, "-cogroup-merge", _MERGE, where)
        operator = Cogrouped(operators, made.name)
        node = GraphProcessor(merged, where, operator)
        graph.add(node, *nodes)
        sources = graph.copartition(*(above for _, above in parents))
        getter = windowing.getter(made.name)
        return TableState(
            Flow(flow.building, merged, node, windowing.key(made.key), made.value, sources),
            operator,
            lambda: getter,
            made.name if made.queryable else None,
            history_ms=made.versions_ms,
        )

    def _check_repartitions(self, where: Location) -> None:
        unnamed = [
            group for group in self.groups if group.flow.needs_repartition and group.grouping.name is None
        ]
        if len(unnamed) > 1:
            raise TopologyError(
                f"{where}: {len(unnamed)} of the cogrouped streams go through repartition topics, which would all have "
                f"the name of the store; give each group a name: group_by(selector, name='...')"
            )
