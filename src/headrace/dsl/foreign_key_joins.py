"""Joins a table with another one by a foreign key. Source: `KTableImpl.doJoinOnForeignKey`.

Two internal topics lead from this table to the other one and back, so that the two need no equal partition counts.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from headrace.base.callables import named, outline, short_name
from headrace.base.errors import TopologyError
from headrace.base.ids import Location
from headrace.dsl.aliases import AnyStore, Name
from headrace.dsl.expressed import keyed_mapper
from headrace.dsl.functions import plain, result_annotation
from headrace.dsl.graph import GraphNode
from headrace.dsl.made_tables import made_table
from headrace.dsl.materialized import Materialized, declared_store
from headrace.dsl.naming import Names
from headrace.dsl.serdes import can_be_same, of_annotation, of_result, required
from headrace.dsl.stream_state import Flow, TableState
from headrace.operators.foreign_key_join import (
    AnswerSubscription,
    AnswerSubscriptions,
    ForeignKeyJoining,
    JoinResponse,
    KeepSubscription,
    SendSubscription,
    TableSerdes,
)
from headrace.operators.getters import Getter
from headrace.serde.foreign_keys import ResponseSerde, subscription
from headrace.serde.primitives import raw
from headrace.serde.resolve import serde_of_keys
from headrace.serde.serde import Serde
from headrace.state.spec import Engine, StoreSpec
from headrace.topology.assembly import Assembly
from headrace.topology.nodes import ProcessorNode, RepartitionTopic, SinkNode, SourceNode
from headrace.topology.partitioners import Partitioner, PlainPartitioner, ToldByValue, WithHeaders, placing

__all__ = ["joined_by_foreign_key"]

_PREFIX = "KTABLE-FK-JOIN-"
_SUBSCRIPTION = f"{_PREFIX}SUBSCRIPTION-"
_OUTPUT = f"{_PREFIX}OUTPUT-"


@dataclass(frozen=True, slots=True)
class _Names:
    """What a join's topics, nodes and store are called, in the order in which they use indices up."""

    subscriptions: str
    send: str
    subscription_sink: str
    subscription_source: str
    store: str
    keep: str
    answer_one: str
    answer_all: str
    responses: str
    response_sink: str
    response_source: str
    join: str
    result: str

    @classmethod
    def of(cls, names: Names, given: Name, where: Location) -> "_Names":
        """Take them from the name that the user gave, or from the counter."""

        def name(suffix: str, prefix: str) -> str:
            return names.suffixed(given, suffix, prefix, where)

        registration, response = f"{_SUBSCRIPTION}REGISTRATION-", f"{_SUBSCRIPTION}RESPONSE-"
        made = cls(
            subscriptions=name("-subscription-registration", registration) + "-topic",
            send=name("-subscription-registration-processor", registration),
            subscription_sink=name("-subscription-registration-sink", "KTABLE-SINK-"),
            subscription_source=name("-subscription-registration-source", "KTABLE-SOURCE-"),
            store=name("-subscription-store", f"{_SUBSCRIPTION}STATE-STORE-"),
            keep=name("-subscription-receive", f"{_SUBSCRIPTION}PROCESSOR-"),
            answer_one=name("-subscription-join-foreign", f"{_SUBSCRIPTION}PROCESSOR-"),
            answer_all=name("-foreign-join-subscription", f"{_SUBSCRIPTION}PROCESSOR-"),
            responses=name("-subscription-response", response) + "-topic",
            response_sink=name("-subscription-response-sink", "KTABLE-SINK-"),
            response_source=name("-subscription-response-source", "KTABLE-SOURCE-"),
            join=name("-subscription-response-resolver", f"{response}RESOLVER-PROCESSOR-"),
            result=name("-result", _OUTPUT),
        )
        if given is None:
            names.generated_stores.append(made.store)
            names.generated_topics += [made.subscriptions, made.responses]
        return made


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the tables, and what looks it up."""

    flow: Flow
    getter: Getter


@dataclass(frozen=True, slots=True)
class _Functions:
    """The user's: see `ForeignKeyJoining`. The partitioners are those of this table's keys and of the other's."""

    extractor: Callable[..., Any]
    with_key: bool
    joiner: Callable[..., Any]
    partitioner: PlainPartitioner | None
    other_partitioner: PlainPartitioner | None


class _ForeignKeyJoinNode(GraphNode):
    """All of a join but its result: to the other table, there, and back. Its own name is the last processor's."""

    def __init__(
        self,
        names: _Names,
        where: Location,
        functions: _Functions,
        *,
        this: _Side,
        other: _Side,
        keeps_this: bool,
    ) -> None:
        super().__init__(names.join, where)
        self.names = names
        self.functions = functions
        self.this = this
        self.other = other
        self.keeps_this = keeps_this

    def write(self, out: Assembly, engine: Engine) -> None:
        """Add topics, store, and the nodes on both sides."""
        joining = self._joining()
        self._write_subscribing(out, joining)
        self._write_answering(out, joining, engine)
        source = SourceNode(
            self.names.response_source,
            (self.names.responses,),
            joining.this.key,
            ResponseSerde(joining.other.value),
            self.where,
        )
        out.add_source(source)
        self._add(
            out,
            self.names.join,
            JoinResponse(joining, self.this.getter),
            source.name,
            *self.this.getter.stores,
        )

    def _joining(self) -> ForeignKeyJoining:
        names, functions = self.names, self.functions
        this, other = self.this.flow, self.other.flow
        return ForeignKeyJoining(
            functions.extractor,
            functions.with_key,
            functions.joiner,
            self.keeps_this,
            this=TableSerdes(
                self._key(this, names.response_sink), required(this.value, names.send, self.where)
            ),
            other=TableSerdes(
                self._key(other, names.subscription_sink),
                required(other.value, names.response_sink, self.where),
            ),
            topic=names.subscriptions,
        )

    def _key(self, flow: Flow, node: str) -> Serde[Any]:
        return serde_of_keys(required(flow.key, node, self.where), node, self.where)

    def _write_subscribing(self, out: Assembly, joining: ForeignKeyJoining) -> None:
        names, where = self.names, self.where
        out.add_repartition_topic(RepartitionTopic(names.subscriptions))
        self._add(out, names.send, SendSubscription(joining), self.this.flow.name)
        sink = SinkNode(
            names.subscription_sink,
            names.subscriptions,
            joining.other.key,
            subscription,
            where,
            _for_one(self.functions.other_partitioner),
        )
        out.add_sink(sink, (names.send,))
        out.add_source(
            SourceNode(names.subscription_source, (names.subscriptions,), raw, subscription, where)
        )

    def _write_answering(self, out: Assembly, joining: ForeignKeyJoining, engine: Engine) -> None:
        names, where = self.names, self.where
        out.add_store(
            StoreSpec(
                name=names.store,
                kind="key_value",
                timestamped=True,
                key=raw,
                value=subscription,
                engine=engine,
                caching=False,
                logging=True,
                logged_headers="all",
                where=where,
            )
        )
        self._add(out, names.keep, KeepSubscription(names.store), names.subscription_source, names.store)
        getter = self.other.getter
        self._add(out, names.answer_one, AnswerSubscription(joining, getter), names.keep, *getter.stores)
        self._add(
            out,
            names.answer_all,
            AnswerSubscriptions(joining, names.store),
            self.other.flow.name,
            names.store,
        )
        out.add_repartition_topic(RepartitionTopic(names.responses))
        sink = SinkNode(
            names.response_sink,
            names.responses,
            raw,
            ResponseSerde(raw),
            where,
            _answering(_for_one(self.functions.partitioner), joining.this.key),
        )
        out.add_sink(sink, (names.answer_one, names.answer_all))

    def _add(self, out: Assembly, name: str, operator: Any, parent: str, *stores: str) -> None:
        calls = {self.names.send: self.functions.extractor, self.names.join: self.functions.joiner}
        shown, told = (short_name(calls[name]), outline(calls[name])) if name in calls else ("", "")
        node = ProcessorNode(name, operator, self.where, stores, shown, outline=told)
        out.add_processor(node, (parent,))


def _placing(fn: object, where: Location) -> PlainPartitioner | None:
    found = placing(fn, where)
    if isinstance(found, WithHeaders):
        raise TopologyError(
            f"{where}: the partitioner of a foreign-key join is given a key alone: leave with_headers() out"
        )
    return found


def _for_one(partitioner: PlainPartitioner | None) -> PlainPartitioner | None:
    """Ask the user's partitioner, which is told no value, for one partition: an answer goes to who asked."""
    if partitioner is None:
        return None

    def choose(topic: str, key: Any, value: Any, count: int) -> Any:
        chosen = partitioner(topic, key, None, count)
        if isinstance(chosen, Iterable):
            chosen = list(chosen)
            if len(chosen) != 1:
                raise ValueError(
                    f"a partitioner of a foreign-key join chooses one partition, found {chosen}: {named(partitioner)}"
                )
        return chosen

    return choose


def _answering(partitioner: PlainPartitioner | None, key: Serde[Any]) -> Partitioner:
    """Answer where a subscription came from, or where the user's partitioner says that its key is."""
    if partitioner is None:
        # None, of a subscription without a partition, leaves it to the key.
        return ToldByValue(itemgetter(2))
    return lambda topic, primary, response, count: partitioner(
        topic, key.deserialize(topic, primary), None, count
    )


def joined_by_foreign_key(
    this: TableState,
    other: TableState,
    joiner: object,
    on: object,
    *,
    partitioner: Callable[..., Any] | None,
    other_partitioner: Callable[..., Any] | None,
    value: object,
    store: AnyStore,
    name: Name,
    where: Location,
    keeps_this: bool,
) -> TableState:
    """Join two tables by a foreign key; return the result, which is kept as a table that is read is."""
    functions = _functions(joiner, on, partitioner, other_partitioner, this.flow, where)
    one, two = this.flow, other.flow
    graph = one.building.graph
    foreign = of_annotation(result_annotation(functions.extractor), functions.extractor, "key")
    if not can_be_same(foreign, two.key):
        raise TopologyError(
            f"{where}: {named(functions.extractor)} gives keys of {foreign!r}, and those of the table that is joined "
            f"are of {two.key!r}: let on= return what the other table's keys are"
        )
    typed = of_result(functions.joiner, value, "value", where)
    declared = declared_store(store, "key_value", where, versions=True)
    # The old value of a row tells where it has subscribed.
    other.send_old_values(force=True)
    this.send_old_values(force=True)
    names = _Names.of(graph.names, name, where)
    made = Materialized.of(declared, names=graph.names, prefix=_OUTPUT, key=one.key, value=typed, where=where)
    node = _ForeignKeyJoinNode(
        names,
        where,
        functions,
        other=_Side(two, other.getter()),
        this=_Side(one, this.getter()),
        keeps_this=keeps_this,
    )
    graph.add(node, one.node, two.node)
    graph.copartition(two.sources, {names.subscription_source}, by_key=functions.other_partitioner is None)
    # Answers go to the partition that asked, whichever it is.
    sources = graph.copartition(one.sources, {names.response_source}, by_key=False)
    answers = Flow(one.building, node.name, node, made.key, made.value, sources)
    return made_table(answers, names.result, made, where)


def _functions(
    joiner: object,
    on: object,
    partitioner: Callable[..., Any] | None,
    other_partitioner: Callable[..., Any] | None,
    flow: Flow,
    where: Location,
) -> _Functions:
    extractor, with_key = keyed_mapper(on, "extractor of the foreign key, on=,", where, flow)
    joiner_fn, _ = plain(joiner, "joiner", where, "value", "other")
    return _Functions(
        extractor, with_key, joiner_fn, _placing(partitioner, where), _placing(other_partitioner, where)
    )
