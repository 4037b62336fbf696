"""Builds a case's topology: each operator's name becomes the builder call that `oracle/Oracle.java` makes of it.

Where Java falls back on its default serde (text), the types are followed here and given: this library guesses none. A
store is passed exactly where the oracle passes a `Materialized`, since that decides the generated names.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import headrace as hr
from headrace import stores
from tests.conformance import functions
from tests.conformance.features import MissingFeatureError, call
from tests.conformance.processors import filling, fixed_key_processor, looking_up, processor, transforming
from tests.conformance.serdes import serde

__all__ = ["Built", "build"]

Operator = dict[str, Any]


class Node(NamedTuple):
    """A result of a builder call, with the types of its keys and values and its place in the family of classes."""

    stream: Any
    kind: str  # stream, table, global_table, grouped_stream, grouped_table, cogrouped; windowed ones: time, session
    key: str = "string"
    value: str = "string"


class Built(NamedTuple):
    """A topology, and its declared stores by name."""

    topology: hr.Topology
    stores: dict[str, Any]


def build(case: dict[str, Any]) -> Built:
    """Build the topology of a case.

    Raises:
        MissingFeatureError: it names what the library does not have.
    """
    optimize = "all" if case.get("config", {}).get("topology.optimization") == "all" else "none"
    with_headers = case.get("config", {}).get("dsl.store.format") == "HEADERS"
    store_format = "headers" if with_headers else None
    interpreter = _Interpreter(call(hr, "StreamsBuilder", optimize=optimize, store_format=store_format))
    for operator in case["topology"]:
        interpreter.add(operator)
    return Built(interpreter.builder.build(), interpreter.stores)


class _Interpreter:
    def __init__(self, builder: Any) -> None:
        self.builder = builder
        self.nodes: dict[str, Node] = {}
        self.stores: dict[str, Any] = {}

    def add(self, operator: Operator) -> None:
        method: Callable[[Operator], Node | None] | None = getattr(self, f"_{operator['op']}", None)
        if method is None:
            raise MissingFeatureError(f"operator {operator['op']}")
        node = method(operator)
        if node is not None:
            self.nodes[operator["id"]] = node

    # ── what several operators carry ─────────────────────────────────────────────────────────────────────────────

    def _input(self, operator: Operator, field: str = "in") -> Node:
        return self.nodes[operator[field]]

    def _declare(self, factory: str, name: str | None, **options: Any) -> Any:
        given = {option: value for option, value in options.items() if value is not None}
        store = call(stores, factory, name, **given)
        if name is not None:
            self.stores[name] = store
        return store

    def _materialized(self, operator: Operator, kind: str = "key_value") -> Any:
        """Return the store that stands for the oracle's `mat`, which is a `Materialized` even without a name."""
        options: dict[str, Any] = {}
        for field in ("key", "value"):
            if operator.get(field):
                options[field] = serde(operator[field])
        if operator.get("caching") is not None:
            options["caching"] = operator["caching"]
        if operator.get("logging") is False:
            options["logging"] = False
        store_type = operator.get("store_type") or ""
        if store_type == "memory":
            options["engine"] = "memory"
        if operator.get("retention_ms") is not None and kind != "key_value":
            options["retention"] = f"{operator['retention_ms']}ms"
        if store_type.startswith("lru:"):
            options.pop("caching", None)
            bound = int(functions.argument(store_type))
            return self._declare("lru", operator.get("store"), max_rows=bound, **options)
        if store_type.startswith("versioned:"):
            history = f"{functions.argument(store_type)}ms"
            return self._declare("versioned", operator.get("store"), history=history, **options)
        return self._declare(kind, operator.get("store"), **options)

    def _store_if_named(self, operator: Operator) -> Any:
        return self._materialized(operator) if operator.get("store") else None

    # ── sources and sinks ────────────────────────────────────────────────────────────────────────────────────────

    def _source(self, operator: Operator, method: str, kind: str, store: Any = None) -> Node:
        key, value = operator.get("key", "string"), operator.get("value", "string")
        pattern = operator.get("pattern")
        topic = hr.Pattern(pattern) if pattern else operator.get("topics") or operator["topic"]
        name = operator.get("name")
        made = call(self.builder, method, topic, key=serde(key), value=serde(value), store=store, name=name)
        return Node(made, kind, key, value)

    def _stream(self, operator: Operator) -> Node:
        return self._source(operator, "stream", "stream")

    def _table(self, operator: Operator) -> Node:
        is_materialized = any(operator.get(field) is not None for field in ("store", "store_type", "caching"))
        return self._source(
            operator, "table", "table", self._materialized(operator) if is_materialized else None
        )

    def _global_table(self, operator: Operator) -> Node:
        return self._source(operator, "global_table", "global_table", self._store_if_named(operator))

    def _to(self, operator: Operator) -> None:
        key, value = serde(operator.get("key", "string")), serde(operator.get("value", "string"))
        stream = self._input(operator).stream
        call(stream, "to", operator["topic"], key=key, value=value, name=operator.get("name"))

    # ── stateless ────────────────────────────────────────────────────────────────────────────────────────────────

    def _filter(self, operator: Operator, method: str = "filter") -> Node:
        node, function = self._input(operator), operator["fn"]
        store = self._store_if_named(operator) if node.kind == "table" else None

        def predicate(key: Any, value: Any) -> bool:
            return functions.test(function, key, value)

        return node._replace(
            stream=call(node.stream, method, predicate, store=store, name=operator.get("name"))
        )

    def _filter_not(self, operator: Operator) -> Node:
        return self._filter(operator, "filter_not")

    def _mapper(self, operator: Operator, node: Node, field: str = "fn") -> tuple[Callable[..., Any], str]:
        """Return a function of key and value, and the type of what it returns."""
        function = operator[field]
        kind = functions.mapped_type(function, node.key, node.value)
        return lambda key, value: functions.mapped(function, key, value), kind

    def _map_values(self, operator: Operator) -> Node:
        node = self._input(operator)
        mapper, kind = self._mapper(operator, node)
        store = self._store_if_named(operator) if node.kind == "table" else None
        options = {"value": serde(kind), "store": store, "name": operator.get("name")}
        return node._replace(
            stream=call(node.stream, "map_values", hr.with_key(mapper), **options), value=kind
        )

    def _map(self, operator: Operator) -> Node:
        node = self._input(operator)
        of_key, key = self._mapper(operator, node, "key_fn")
        of_value, value = self._mapper(operator, node)
        options = {"key": serde(key), "value": serde(value), "name": operator.get("name")}
        made = call(node.stream, "map", lambda k, v: (of_key(k, v), of_value(k, v)), **options)
        return Node(made, "stream", key, value)

    def _flat_map(self, operator: Operator) -> Node:
        node, function = self._input(operator), operator["fn"]
        of_key, key = self._mapper(operator, node, "key_fn")
        options = {"key": serde(key), "value": serde(node.value), "name": operator.get("name")}
        made = call(
            node.stream,
            "flat_map",
            lambda k, v: [(of_key(k, each), each) for each in functions.flat(function, v)],
            **options,
        )
        return Node(made, "stream", key, node.value)

    def _flat_map_values(self, operator: Operator) -> Node:
        node, function = self._input(operator), operator["fn"]
        options = {"value": serde(node.value), "name": operator.get("name")}
        made = call(node.stream, "flat_map_values", lambda value: functions.flat(function, value), **options)
        return node._replace(stream=made)

    def _select_key(self, operator: Operator) -> Node:
        node = self._input(operator)
        mapper, key = self._mapper(operator, node)
        made = call(node.stream, "select_key", mapper, key=serde(key), name=operator.get("name"))
        return node._replace(stream=made, key=key)

    def _unwindow(self, operator: Operator) -> Node:
        node = self._input(operator)

        def place(key: Any, value: Any) -> str:
            return f"{functions.text(key.key)}@{key.window.start}/{key.window.end}"

        made = call(node.stream, "select_key", place, key=hr.string, name=operator.get("name"))
        return node._replace(stream=made, key="string")

    def _peek(self, operator: Operator) -> Node:
        node = self._input(operator)
        made = call(node.stream, "peek", lambda key, value: None, name=operator.get("name"))
        return node._replace(stream=made)

    def _split(self, operator: Operator) -> None:
        node = self._input(operator)
        branched = call(node.stream, "split", name=operator.get("name"))

        def keeper(identity: str) -> Callable[[Any], None]:
            return lambda stream: self.nodes.__setitem__(identity, node._replace(stream=stream))

        def predicate(function: str) -> Callable[[Any, Any], bool]:
            return lambda key, value: functions.test(function, key, value)

        for branch in operator["branches"]:
            options = {"name": branch.get("name"), "then": keeper(branch["id"])}
            branched = call(branched, "branch", predicate(branch["fn"]), **options)
        default = operator.get("default")
        if default is None:
            call(branched, "no_default_branch")
        else:
            call(branched, "default_branch", name=default.get("name"), then=keeper(default["id"]))

    def _merge(self, operator: Operator) -> Node:
        node, other = self._input(operator), self._input(operator, "other")
        return node._replace(stream=call(node.stream, "merge", other.stream, name=operator.get("name")))

    def _repartition(self, operator: Operator) -> Node:
        node = self._input(operator)
        key, value = operator.get("key", "string"), operator.get("value", "string")
        options = {"key": serde(key), "value": serde(value), "partitions": operator.get("partitions")}
        made = call(node.stream, "repartition", name=operator.get("name"), **options)
        return Node(made, "stream", key, value)

    # ── streams and tables ───────────────────────────────────────────────────────────────────────────────────────

    def _to_table(self, operator: Operator) -> Node:
        node = self._input(operator)
        options = {"store": self._materialized(operator), "name": operator.get("name")}
        return node._replace(stream=call(node.stream, "to_table", **options), kind="table")

    def _to_stream(self, operator: Operator) -> Node:
        node = self._input(operator)
        return node._replace(stream=call(node.stream, "to_stream", name=operator.get("name")), kind="stream")

    def _to_stream_select(self, operator: Operator) -> Node:
        node = self._input(operator)
        mapper, key = self._mapper(operator, node)
        made = call(node.stream, "to_stream", mapper, key=serde(key), name=operator.get("name"))
        return Node(made, "stream", key, node.value)

    def _suppress(self, operator: Operator) -> Node:
        node = self._input(operator)
        options = {field: operator.get(field) for field in ("name", "max_records", "max_bytes", "logging")}
        if operator["until"] == "window_close":
            suppressed = call(hr, "until_window_closes", **options)
        else:
            options["when_full"] = "shutdown" if operator.get("full") == "shut_down" else "emit"
            suppressed = call(hr, "until_time_limit", f"{operator['limit_ms']}ms", **options)
        return node._replace(stream=call(node.stream, "suppress", suppressed))

    # ── grouping and aggregating ─────────────────────────────────────────────────────────────────────────────────

    def _grouped(self, operator: Operator) -> dict[str, Any]:
        options: dict[str, Any] = {"name": operator.get("name")}
        for field in ("key", "value"):
            if operator.get(field):
                options[field] = serde(operator[field])
        return options

    def _group_by_key(self, operator: Operator) -> Node:
        node = self._input(operator)
        made = call(node.stream, "group_by_key", **self._grouped(operator))
        return Node(
            made, "grouped_stream", operator.get("key") or node.key, operator.get("value") or node.value
        )

    def _group_by(self, operator: Operator) -> Node:
        node = self._input(operator)
        of_key, key = self._mapper(operator, node)
        key, value = operator.get("key") or key, operator.get("value") or node.value
        options = {"key": serde(key), "value": serde(value), **self._grouped(operator)}
        if node.kind != "table":
            return Node(call(node.stream, "group_by", of_key, **options), "grouped_stream", key, value)
        of_value, _ = self._mapper({"fn": operator.get("value_fn", "identity")}, node)
        made = call(node.stream, "group_by", lambda k, v: (of_key(k, v), of_value(k, v)), **options)
        return Node(made, "grouped_table", key, value)

    def _windowed_by(self, operator: Operator) -> Node:
        node, window = self._input(operator), operator["window"]
        emit = "close" if operator.get("emit") == "on_window_close" else None
        made = call(node.stream, "windowed_by", _windows(window), emit=emit)
        kind = "session" if window["type"] == "session" else "window"
        return node._replace(stream=made, kind=f"{kind}_cogrouped" if node.kind == "cogrouped" else kind)

    def _store_of(self, operator: Operator, node: Node) -> Any:
        kind = node.kind.removesuffix("_cogrouped")
        return self._materialized(operator, kind if kind in {"window", "session"} else "key_value")

    def _count(self, operator: Operator) -> Node:
        node = self._input(operator)
        options = {"store": self._store_of(operator, node), "name": operator.get("name")}
        return Node(call(node.stream, "count", **options), "table", node.key, "long")

    def _reduce(self, operator: Operator) -> Node:
        node = self._input(operator)
        folds = [_reducer(operator["fn"])]
        if node.kind == "grouped_table":
            folds.append(_reducer(operator["subtract_fn"]))
        options = {"store": self._store_of(operator, node), "name": operator.get("name")}
        return Node(call(node.stream, "reduce", *folds, **options), "table", node.key, node.value)

    def _aggregate(self, operator: Operator) -> Node:
        node, first = self._input(operator), operator["init"]
        merge = operator.get("merge_fn") or "concat"
        steps: list[Callable[..., Any]] = [lambda: functions.initial(first)]
        if not node.kind.endswith("cogrouped"):
            steps.append(_aggregator(operator["fn"]))
        if node.kind == "grouped_table":
            steps.append(_aggregator(operator["subtract_fn"]))
        if node.kind.startswith("session"):
            steps.append(lambda key, one, two: functions.aggregate(merge, two, one))
        value = operator.get("value") or "string"
        options = {
            "store": self._store_of(operator, node),
            "name": operator.get("name"),
            "value": serde(value),
        }
        return Node(call(node.stream, "aggregate", *steps, **options), "table", node.key, value)

    def _cogroup(self, operator: Operator) -> Node:
        first, *others = operator["groups"]
        node = self._input(first)
        made = call(node.stream, "cogroup", _aggregator(first["fn"]))
        for group in others:
            made = call(made, "cogroup", self._input(group).stream, _aggregator(group["fn"]))
        return node._replace(stream=made, kind="cogrouped")

    # ── joins ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _join(self, operator: Operator, method: str = "join") -> Node:
        node, other = self._input(operator), self._input(operator, "other")
        options: dict[str, Any] = {"value": hr.string, "name": operator.get("name")}
        function = operator.get("fn")
        joiner: Any = functions.join
        if other.kind == "global_table":
            options["on"] = lambda key, value: functions.mapped(function or "", key, value)
            joiner = _global_joiner(operator.get("joiner"))
        elif node.kind == "stream" and other.kind == "stream":
            options |= {"within": _join_windows(operator["window"]), "store": operator.get("store")}
        elif node.kind == "stream":
            grace_ms = operator.get("grace_ms")
            options["grace"] = None if grace_ms is None else f"{grace_ms}ms"
        elif function:
            options["on"] = self._extractor(function, with_key=bool(operator.get("with_key")))
            options["store"] = self._materialized(operator)
        else:
            options["store"] = self._store_if_named(operator)
        made = call(node.stream, method, other.stream, joiner, **options)
        return node._replace(stream=made, value="string")

    def _extractor(self, function: str, *, with_key: bool) -> Any:
        """Return what takes a foreign key from a row."""
        if with_key:
            return hr.with_key(lambda key, value: functions.mapped(function, key, value))
        return lambda value: functions.mapped(function, None, value)

    def _left_join(self, operator: Operator) -> Node:
        return self._join(operator, "left_join")

    def _outer_join(self, operator: Operator) -> Node:
        return self._join(operator, "outer_join")

    # ── processors ───────────────────────────────────────────────────────────────────────────────────────────────

    def _state_store(self, operator: Operator) -> None:
        with_types = {"key": "string", "value": "string", **operator}
        store = self._with_headers(with_types) if operator.get("headers") else self._materialized(with_types)
        call(self.builder, "add_state_store", store)

    def _with_headers(self, operator: Operator) -> Any:
        kind = operator.get("kind", "key_value")
        durations = {"size": "size_ms", "retention": "retention_ms"} if kind == "window" else {}
        if kind == "session":
            durations = {"retention": "retention_ms"}
        return self._declare(
            kind,
            operator["store"],
            key=serde(operator["key"]),
            value=serde(operator["value"]),
            engine=operator.get("store_type"),
            caching=operator.get("caching"),
            logging=operator.get("logging"),
            headers=True,
            **{name: f"{operator[field]}ms" for name, field in durations.items()},
        )

    def _global_store(self, operator: Operator) -> None:
        key, value = operator.get("key", "string"), operator.get("value", "string")
        store = self._declare("key_value", operator["store"], key=serde(key), value=serde(value))
        source = hr.Topic(operator["topic"], key=serde(key), value=serde(value))
        call(
            self.builder,
            "add_global_store",
            store,
            source,
            filling(operator["fn"], store),
            name=operator.get("name"),
        )

    def _look_up(self, operator: Operator) -> Node:
        node = self._input(operator)
        options = {"key": serde(node.key), "value": hr.string, "name": operator.get("name")}
        made = call(node.stream, "process", looking_up(operator["store"]), **options)
        return node._replace(stream=made, value="string")

    def _process(self, operator: Operator) -> Node:
        node, store = self._input(operator), operator["store"]
        supplier = processor(operator["fn"], self.stores[store])
        options = {"key": serde(node.key), "value": serde(node.value), "name": operator.get("name")}
        return node._replace(stream=call(node.stream, "process", supplier, store, **options))

    def _transform_values(self, operator: Operator) -> Node:
        node, uses = self._input(operator), operator.get("uses")
        kind = functions.mapped_type(operator["fn"], node.key, node.value)
        options = {
            "value": serde(kind),
            "store": self._store_if_named(operator),
            "name": operator.get("name"),
        }
        supplier = transforming(operator["fn"], self.stores[uses] if uses else None)
        made = call(node.stream, "transform_values", supplier, *([uses] if uses else []), **options)
        return node._replace(stream=made, value=kind)

    def _process_values(self, operator: Operator) -> Node:
        node, store = self._input(operator), operator["store"]
        options = {"value": hr.string, "name": operator.get("name")}
        supplier = fixed_key_processor(self.stores[store])
        made = call(node.stream, "process_values", supplier, store, **options)
        return node._replace(stream=made, value="string")


def _global_joiner(keys: str | None) -> Any:
    """Return what joins with a global table: with the record's key before it, with both, or with none."""
    if keys == "with_key":
        return hr.with_key(lambda key, one, two: f"{functions.text(key)}:{functions.join(one, two)}")
    if keys == "with_keys":
        return call(
            hr,
            "with_keys",
            lambda key, selected, one, two: (
                f"{functions.text(key)}/{functions.text(selected)}:{functions.join(one, two)}"
            ),
        )
    return functions.join


def _aggregator(function: str) -> Callable[[Any, Any, Any], Any]:
    return lambda key, value, aggregated: functions.aggregate(function, value, aggregated)


def _reducer(function: str) -> Callable[[Any, Any], Any]:
    return lambda aggregated, value: functions.aggregate(function, value, aggregated)


def _windows(window: dict[str, Any]) -> Any:
    grace = f"{window.get('grace_ms') or 0}ms"
    match window["type"]:
        case "tumbling":
            return call(hr, "TimeWindows", f"{window['size_ms']}ms", grace=grace)
        case "hopping":
            advance = f"{window['advance_ms']}ms"
            return call(hr, "TimeWindows", f"{window['size_ms']}ms", grace=grace, advance=advance)
        case "sliding":
            return call(hr, "SlidingWindows", f"{window['difference_ms']}ms", grace=grace)
        case "session":
            return call(hr, "SessionWindows", f"{window['gap_ms']}ms", grace=grace)
        case "unlimited":
            return call(hr, "UnlimitedWindows")
    raise MissingFeatureError(f"windows {window['type']}")


def _join_windows(window: dict[str, Any]) -> Any:
    options = {"grace": f"{window.get('grace_ms') or 0}ms"}
    for side in ("before", "after"):
        if window.get(f"{side}_ms") is not None:
            options[side] = f"{window[f'{side}_ms']}ms"
    return call(hr, "JoinWindows", f"{window['difference_ms']}ms", **options)
