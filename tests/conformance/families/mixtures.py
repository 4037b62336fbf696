"""Operators of all kinds, put on top of each other at random: what no other family thinks of."""

from dataclasses import dataclass, replace
from typing import Any

from tests.conformance.families.case import KEYS, Case
from tests.conformance.families.parts import window

__all__ = ["mixture"]

#: Where results without a match, and those of windows, wait for the wall clock by default.
_INTERVALS = (
    "__emit.interval.ms.kstreams.windowed.aggregation__",
    "__emit.interval.ms.kstreams.outer.join.spurious.results.fix__",
)


@dataclass(frozen=True)
class Node:
    """A stream or a table of texts or numbers.

    `hops` are the internal topics that records have come through: two nodes of which each has some, and not the same,
    must not meet, since of two records with one timestamp in two topics either may come first.
    """

    id: str
    kind: str  # stream, table
    value: str = "string"
    hops: frozenset[str] = frozenset()
    has_new_key: bool = False
    has_versions: bool = False

    def may_meet(self, other: "Node") -> bool:
        return not (self.hops and other.hops) or self.hops == other.hops


class _Mixture:
    def __init__(self, c: Case) -> None:
        self.c = c
        self.nodes: list[Node] = []
        self.globals: list[str] = []
        self.used: set[str] = set()
        self.hops = 0

    def pick(self, kind: str, value: str | None = None) -> Node | None:
        found = [node for node in self.nodes if node.kind == kind and value in (None, node.value)]
        if not found:
            return None
        # The newest ones more often: chains become long.
        node = found[-1] if self.c.maybe(0.5) else self.c.rng.choice(found)
        self.used.add(node.id)
        return node

    def put(self, node: Node) -> None:
        self.nodes.append(node)

    def unique(self, stem: str, p: float = 0.3) -> str | None:
        return f"{stem}-{self.c.n}" if self.c.maybe(p) else None

    def behind(self, node: Node, *, always: bool = False) -> Node:
        """Say where records are behind the operator that wants equal keys together."""
        if not (node.has_new_key or always):
            return node
        self.hops += 1
        return replace(node, hops=node.hops | {f"hop-{self.hops}"}, has_new_key=False)

    # ── streams ──────────────────────────────────────────────────────────────────────────────────────────────────

    def stateless(self) -> None:
        node = self.pick("stream")
        if node is None:
            return
        r, src = self.c.rng, {"in": node.id}
        if node.value == "long":
            op, fn = r.choice(
                [
                    ("filter", "value_gt:2"),
                    ("map_values", "to_string"),
                    ("map_values", "add:1"),
                    ("filter_not", "value_even"),
                ]
            )
            value = "string" if fn == "to_string" else "long"
            self.put(replace(node, id=self.c.add(op, **src, fn=fn, name=self.unique("s")), value=value))
            return
        op = r.choice(
            ["filter", "filter_not", "map_values", "select_key", "map", "flat_map_values", "peek", "flat_map"]
        )
        fields: dict[str, Any] = {}
        has_new_key = node.has_new_key
        if op in ("filter", "filter_not"):
            fields["fn"] = r.choice(
                ["value_contains:a", "value_len_gt:3", "key_eq:k1", "value_null", "key_lt:k3"]
            )
        elif op == "map_values":
            fields["fn"] = r.choice(["upper", "reverse", "append:!", "prepend_key", "null_if:ab", "to_null"])
        elif op == "flat_map_values":
            fields["fn"] = r.choice(["words", "repeat:2", "repeat:0"])
        elif op == "select_key":
            fields["fn"], has_new_key = r.choice(["prefix:1", "key", "identity", "null_if:ab"]), True
        elif op in ("map", "flat_map"):
            fields["key_fn"], has_new_key = r.choice(["prefix:1", "key", "identity"]), True
            fields["fn"] = r.choice(["upper", "append:?"]) if op == "map" else r.choice(["words", "repeat:2"])
        made = self.c.add(op, **src, **fields, name=self.unique("s"))
        self.put(replace(node, id=made, has_new_key=has_new_key))

    def merge(self) -> None:
        one, two = self.pick("stream", "string"), self.pick("stream", "string")
        if one is None or two is None or not one.may_meet(two):
            return
        made = self.c.add("merge", **{"in": one.id}, other=two.id, name=self.unique("m"))
        self.put(
            Node(made, "stream", hops=one.hops | two.hops, has_new_key=one.has_new_key or two.has_new_key)
        )

    def repartition(self) -> None:
        node = self.pick("stream", "string")
        if node is not None:
            made = self.c.add(
                "repartition", **{"in": node.id}, key="string", value="string", name=self.unique("re")
            )
            self.put(replace(self.behind(node, always=True), id=made))

    def process(self) -> None:
        node = self.pick("stream", "string")
        if node is None:
            return
        store = f"kept-{self.c.n}"
        if self.c.maybe(0.3):
            fields = {"key": "string", "value": "string", "store_type": self.c.rng.choice([None, "memory"])}
            self.c.add("state_store", store=store, **fields)
            made = self.c.add("process_values", **{"in": node.id}, fn="previous", store=store)
            self.put(replace(node, id=made))
            return
        # Kafka Streams' driver has one task for all: stream time would be another, and so would be what it lets happen.
        fn = self.c.rng.choice(["dedupe", "changes", "header", "twice"])
        self.c.add("state_store", store=store, key="string", value="string")
        made = self.c.add("process", **{"in": node.id}, fn=fn, store=store, name=self.unique("pr"))
        self.put(replace(node, id=made, has_new_key=True))

    def to_table(self) -> None:
        node = self.pick("stream", "string")
        if node is None:
            return
        node = self.behind(node)
        made = self.c.add(
            "to_table",
            **{"in": node.id},
            key="string",
            value="string",
            store=self.unique("tbl"),
            name=self.unique("tt"),
        )
        self.put(replace(node, id=made, kind="table"))

    def join_streams(self) -> None:
        one, two = self.pick("stream", "string"), self.pick("stream", "string")
        if one is None or two is None:
            return
        one, two = self.behind(one), self.behind(two)
        if not one.may_meet(two):
            return
        r = self.c.rng
        w: dict[str, Any] = {"difference_ms": r.choice([0, 100, 1000])}
        if self.c.maybe(0.7):
            w["grace_ms"] = r.choice([0, 1, 500, 5000])
        if self.c.maybe(0.3):
            w |= {"before_ms": r.choice([0, 700]), "after_ms": r.choice([0, 900])}
        made = self.c.add(
            r.choice(["join", "left_join", "outer_join"]),
            **{"in": one.id},
            other=two.id,
            window=w,
            name=self.unique("ss"),
            store=self.unique("sss"),
        )
        self.put(Node(made, "stream", hops=one.hops | two.hops))

    def join_table(self) -> None:
        stream, table = self.pick("stream", "string"), self.pick("table", "string")
        if stream is None or table is None:
            return
        stream = self.behind(stream)
        if stream.may_meet(table):
            op = self.c.rng.choice(["join", "left_join"])
            made = self.c.add(op, **{"in": stream.id}, other=table.id, name=self.unique("st"))
            self.put(Node(made, "stream", hops=stream.hops | table.hops))

    def join_global(self) -> None:
        node = self.pick("stream", "string")
        if node is None or not self.globals:
            return
        r = self.c.rng
        made = self.c.add(
            r.choice(["join", "left_join"]),
            **{"in": node.id},
            other=r.choice(self.globals),
            fn=r.choice(["key", "identity", "prefix:2", "null_if:ab"]),
            joiner=r.choice([None, "with_key", "with_keys"]),
            name=self.unique("gj"),
        )
        self.put(replace(node, id=made))

    # ── folds ────────────────────────────────────────────────────────────────────────────────────────────────────

    def group(self, node: Node) -> tuple[str, Node]:
        if self.c.maybe(0.5):
            node = self.behind(node)
            fields = {"op": "group_by_key"}
        else:
            node = self.behind(node, always=True)
            fields = {"op": "group_by", "fn": self.c.rng.choice(["prefix:1", "key", "identity"])}
        # Two repartitions of one stream without a name are one name taken twice in Kafka Streams.
        return self.c.add(
            **fields, **{"in": node.id}, key="string", value="string", name=f"g-{self.c.n}"
        ), node

    def folded(self, grouped: str, windows: dict[str, Any] | None = None) -> tuple[str, str]:
        r = self.c.rng
        common: dict[str, Any] = {
            "in": grouped,
            "key": "string",
            "store": self.unique("fold"),
            "name": self.unique("f"),
            "caching": r.choice([None, None, True, False]),
            "logging": False if self.c.maybe(0.1) else None,
        }
        if windows is None and self.c.maybe(0.2):
            common["store_type"] = "memory"
        if windows is not None and self.c.maybe(0.2):
            size = windows.get("size_ms") or 2 * (windows.get("difference_ms") or windows.get("gap_ms") or 0)
            common["retention_ms"] = size + windows.get("grace_ms", 0) + r.choice([0, 1, 100_000])
        kind = r.choice(["count", "reduce", "aggregate"])
        if kind == "count":
            return self.c.add("count", **common), "long"
        fn = r.choice(["concat", "concat_comma"])
        if kind == "reduce":
            return self.c.add("reduce", **common, value="string", fn=fn), "string"
        return self.c.add(
            "aggregate", **common, value="string", init="s:", fn=fn, merge_fn="concat"
        ), "string"

    def fold(self) -> None:
        node = self.pick("stream", "string")
        if node is not None:
            grouped, node = self.group(node)
            table, value = self.folded(grouped)
            self.put(Node(table, "table", value, node.hops))

    def fold_windows(self) -> None:
        node = self.pick("stream", "string")
        if node is None:
            return
        grouped, node = self.group(node)
        w = window(self.c)
        if self.c.maybe(0.2):
            w = {"type": "tumbling", "size_ms": self.c.rng.choice([1, 7]), "grace_ms": 0}
        emit = "on_window_close" if self.c.maybe(0.3) else None
        windowed = self.c.add("windowed_by", **{"in": grouped}, window=w, emit=emit)
        table, value = self.folded(windowed, w)
        if self.c.maybe(0.2):
            fn = "value_gt:1" if value == "long" else "value_len_gt:2"
            table = self.c.add("filter", **{"in": table}, fn=fn)
        if emit is None and self.c.maybe(0.35):
            table = self.c.add("suppress", **{"in": table}, until="window_close", name=self.unique("sup"))
        stream = self.c.add("unwindow", **{"in": self.c.add("to_stream", **{"in": table})})
        self.put(Node(stream, "stream", value, node.hops, has_new_key=True))

    def cogroup(self) -> None:
        one, two = self.pick("stream", "string"), self.pick("stream", "string")
        if one is None or two is None or one.id == two.id:
            return
        one, two = self.behind(one), self.behind(two)
        if not one.may_meet(two):
            return
        groups = [
            {
                "in": self.c.add(
                    "group_by_key", **{"in": node.id}, key="string", value="string", name=f"cg-{self.c.n}"
                ),
                "fn": fn,
            }
            for node, fn in ((one, "concat"), (two, "concat_comma"))
        ]
        node = self.c.add("cogroup", groups=groups)
        w = window(self.c) if self.c.maybe(0.4) else None
        if w is not None:
            node = self.c.add("windowed_by", **{"in": node}, window=w)
        fields = {"init": "s:", "merge_fn": "concat", "key": "string", "value": "string"}
        made = self.c.add("aggregate", **{"in": node}, **fields, store=self.unique("co"))
        hops = one.hops | two.hops
        if w is None:
            self.put(Node(made, "table", hops=hops))
            return
        stream = self.c.add("unwindow", **{"in": self.c.add("to_stream", **{"in": made})})
        self.put(Node(stream, "stream", hops=hops, has_new_key=True))

    # ── tables ───────────────────────────────────────────────────────────────────────────────────────────────────

    def view(self) -> None:
        node = self.pick("table")
        if node is None:
            return
        r = self.c.rng
        store = self.unique("view")
        fields = {
            "in": node.id,
            "key": "string",
            "value": node.value,
            "store": store,
            "name": self.unique("v"),
        }
        if self.c.maybe(0.5):
            fn = "value_gt:1" if node.value == "long" else r.choice(["value_contains:a", "value_len_gt:2"])
            self.put(replace(node, id=self.c.add(r.choice(["filter", "filter_not"]), **fields, fn=fn)))
            return
        if node.value == "long":
            fields["value"] = "string"
            self.put(replace(node, id=self.c.add("map_values", **fields, fn="to_string"), value="string"))
            return
        op = r.choice(["map_values", "transform_values"])
        fn = r.choice(["upper", "append:!", "null_if:ab", "prepend_key"])
        if op == "transform_values" and self.c.maybe(0.5):
            fn = "stamp"
        self.put(replace(node, id=self.c.add(op, **fields, fn=fn)))

    def join_tables(self) -> None:
        one, two = self.pick("table", "string"), self.pick("table", "string")
        if one is None or two is None or not one.may_meet(two):
            return
        fields = {"key": "string", "value": "string", "store": self.unique("tj"), "name": self.unique("t")}
        op = self.c.rng.choice(["join", "left_join", "outer_join"])
        made = self.c.add(op, **{"in": one.id}, other=two.id, **fields)
        has_versions = one.has_versions or two.has_versions
        self.put(Node(made, "table", hops=one.hops | two.hops, has_versions=has_versions))

    def join_foreign(self) -> None:
        one, two = self.pick("table", "string"), self.pick("table", "string")
        if one is None or two is None or one.hops or two.hops:
            return
        fields = {"key": "string", "value": "string", "store": self.unique("fk"), "name": self.unique("f")}
        fn = self.c.rng.choice(["prefix:1", "identity", "prefix:2"])
        op = self.c.rng.choice(["join", "left_join"])
        made = self.c.add(op, **{"in": one.id}, other=two.id, fn=fn, **fields)
        has_versions = one.has_versions or two.has_versions
        self.put(replace(self.behind(one, always=True), id=made, has_versions=has_versions))

    def suppress(self) -> None:
        node = self.pick("table")
        if node is None or node.has_versions:
            return
        r = self.c.rng
        made = self.c.add(
            "suppress",
            **{"in": node.id},
            until="time_limit",
            limit_ms=r.choice([0, 300, 2000, 20000]),
            max_records=r.choice([None, None, 1, 2]),
            max_bytes=r.choice([None, None, 100]),
            name=self.unique("sup"),
        )
        self.put(replace(node, id=made))

    def regroup(self) -> None:
        node = self.pick("table", "string")
        if node is None:
            return
        node = self.behind(node, always=True)
        fn, r = "prefix:1", self.c.rng
        fields = {"key": "string", "value": "string", "name": f"rg-{self.c.n}"}
        grouped = self.c.add("group_by", **{"in": node.id}, fn=r.choice([fn, "identity"]), **fields)
        if self.c.maybe(0.4):
            made = self.c.add("count", **{"in": grouped}, key="string", store=self.unique("rc"))
            self.put(replace(node, id=made, value="long"))
            return
        made = self.c.add(
            "aggregate",
            **{"in": grouped},
            fn="concat_comma",
            subtract_fn="remove_last",
            init="s:",
            key="string",
            value="string",
            store=self.unique("ra"),
        )
        self.put(replace(node, id=made))

    def to_stream(self) -> None:
        node = self.pick("table")
        if node is None:
            return
        if node.value == "string" and self.c.maybe(0.2):
            made = self.c.add("to_stream_select", **{"in": node.id}, fn="prefix:1", name=self.unique("ts"))
            self.put(replace(node, id=made, kind="stream", has_new_key=True))
        else:
            made = self.c.add("to_stream", **{"in": node.id}, name=self.unique("ts"))
            self.put(replace(node, id=made, kind="stream"))

    # ── ends ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def sources(self) -> None:
        c = self.c
        self.put(Node(c.source("stream", "s0"), "stream"))
        if c.maybe(0.6):
            self.put(Node(c.source("stream", "s1", name=self.unique("src")), "stream"))
        if c.maybe(0.7):
            self.put(Node(c.source("table", "t0", store=self.unique("rows")), "table"))
        if c.maybe(0.3):
            kind = f"versioned:{c.rng.choice([0, 1000, 60_000])}"
            made = c.source("table", "t1", store="versions", store_type=kind)
            self.put(Node(made, "table", has_versions=True))
        elif c.maybe(0.4):
            self.put(Node(c.source("table", "t1", store=self.unique("rows")), "table"))
        if c.maybe(0.3):
            self.globals.append(c.source("global_table", "g0", store=self.unique("glob")))

    def sinks(self) -> None:
        """Write what nobody uses, and sometimes what somebody does."""
        for node in list(self.nodes):
            if node.id in self.used and self.c.maybe(0.85):
                continue
            stream = node.id
            if node.kind == "table":
                stream = self.c.add("to_stream", **{"in": node.id})
            self.c.to(stream, f"out-{node.id}", value=node.value)


def mixture(c: Case) -> None:
    """Between four and twelve operators of any kind, over up to five sources."""
    r = c.rng
    if c.maybe(0.4):
        c.doc["config"]["topology.optimization"] = "all"
    if c.maybe(0.4):
        c.doc["config"]["statestore.cache.max.bytes"] = "1000000"
    for interval in _INTERVALS:
        if c.maybe(0.7):
            c.doc["config"][interval] = "0"
    made = _Mixture(c)
    made.sources()
    steps = [
        *[made.stateless] * 4,
        made.merge,
        made.repartition,
        *[made.process] * 2,
        made.to_table,
        *[made.join_streams] * 2,
        *[made.join_table] * 2,
        made.join_global,
        *[made.fold] * 2,
        *[made.fold_windows] * 2,
        made.cogroup,
        *[made.view] * 3,
        *[made.join_tables] * 2,
        made.join_foreign,
        made.suppress,
        made.regroup,
        *[made.to_stream] * 2,
    ]
    for _ in range(r.randrange(4, 13)):
        r.choice(steps)()
    made.sinks()
    # A join of streams has several stores that begin with the name; what has expired, Kafka Streams' caches still have.
    windowed = {each["id"] for each in c.doc["topology"] if each["op"] == "windowed_by"}
    c.doc["stores"] = [
        each["store"]
        for each in c.doc["topology"]
        if each.get("store") not in (None, "versions")
        and "window" not in each
        and each.get("in") not in windowed
    ]
    c.feed(
        r.choice([25, 40]),
        null_key=r.choice([0.0, 0.05, 0.3]),
        null_value=r.choice([0.0, 0.1, 0.4]),
        jitter=r.choice([0, 1000, 6000]),
        step=r.choice([1, 2, 300, 1200, 70_000]),
        headers=r.choice([0.0, 0.3]),
        wall=r.choice([0.0, 0.2]),
    )
    for step in c.doc["steps"]:
        if step.get("key") is not None and step.get("topic") in ("g0", "t1") and c.maybe(0.4):
            step["key"] = r.choice([*KEYS, "a", "b", "ab", "h"])
