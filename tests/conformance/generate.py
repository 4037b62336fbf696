#!/usr/bin/env python3
"""Writes random conformance cases, without their "expect" (the oracle fills that in).

Usage: generate.py OUT_DIR SEED COUNT_PER_FAMILY [FAMILY...]
"""

import json
import random
import sys
from pathlib import Path
from typing import Any

WORDS = ["a", "b", "ab", "abc", "hello world", "x y z", "kafka", "streams", "b a", "zzz"]
KEYS = ["k1", "k2", "k3", "k4"]


class Case:
    """One case under construction: a topology, its inputs and the records to pipe."""

    def __init__(self, rng: random.Random, name: str) -> None:
        self.rng = rng
        self.n = 0
        self.doc: dict[str, Any] = {
            "name": name,
            "config": {},
            "topology": [],
            "inputs": {},
            "outputs": {},
            "steps": [],
        }

    def id(self) -> str:
        self.n += 1
        return f"n{self.n}"

    def add(self, op: str, **fields: Any) -> str:
        node: dict[str, Any] = {"op": op}
        has_id = op not in ("to", "state_store", "global_store", "split")
        if has_id:
            node["id"] = self.id()
        node.update({k: v for k, v in fields.items() if v is not None})
        self.doc["topology"].append(node)
        return str(node.get("id"))

    def source(self, op: str, topic: str, key: str = "string", value: str = "string", **fields: Any) -> str:
        self.doc["inputs"][topic] = {"key": key, "value": value}
        return self.add(op, topic=topic, key=key, value=value, **fields)

    def to(
        self, node: str, topic: str = "out", key: str = "string", value: str = "string", **fields: Any
    ) -> None:
        sink_key = key
        self.add("to", **{"in": node}, topic=topic, key=sink_key, value=value, **fields)
        self.doc["outputs"][topic] = {"key": key, "value": value}

    def maybe(self, p: float = 0.3) -> bool:
        return self.rng.random() < p

    def named(self, stem: str) -> str | None:
        return f"{stem}-{self.rng.randrange(1000)}" if self.maybe() else None

    def feed(
        self,
        count: int,
        *,
        null_key: float = 0.05,
        null_value: float = 0.1,
        jitter: int = 0,
        step: int = 1000,
        topics: list[str] | None = None,
        headers: float = 0.0,
        wall: float = 0.0,
        flat_ts: bool = False,
    ) -> None:
        """Pipes random records; jitter makes timestamps run out of order by up to that many ms."""
        r, t = self.rng, 0
        topics = topics or list(self.doc["inputs"])
        for _ in range(count):
            if wall and r.random() < wall:
                self.doc["steps"].append({"advance_wall_clock_ms": r.choice([100, 1000, 5000])})
            topic = r.choice(topics)
            types = self.doc["inputs"][topic]
            if not flat_ts:
                t += r.randrange(0, step)
            ts = max(0, t - (r.randrange(0, jitter) if jitter and r.random() < 0.5 else 0))
            value = r.randrange(-5, 30) if types["value"] == "long" else r.choice(WORDS)
            rec: dict[str, Any] = {
                "topic": topic,
                "key": None if r.random() < null_key else r.choice(KEYS),
                "value": None if r.random() < null_value else value,
                "ts": ts,
            }
            if headers and r.random() < headers:
                rec["headers"] = {r.choice("pqr"): r.choice(WORDS) for _ in range(r.randrange(1, 3))}
            self.doc["steps"].append(rec)


def stateless_step(c: Case, node: str, value: str) -> tuple[str, str]:
    """One random stateless operator; returns the new node and its value type."""
    r = c.rng
    if value == "long":
        op = r.choice(["filter", "filter_not", "map_values", "map_values_str", "select_key", "peek"])
    else:
        op = r.choice(
            [
                "filter",
                "filter_not",
                "map_values",
                "map_values_len",
                "map",
                "flat_map",
                "flat_map_values",
                "select_key",
                "peek",
            ]
        )
    src = {"in": node}
    if op in ("filter", "filter_not"):
        fn = (
            r.choice(["value_gt:5", "value_even"])
            if value == "long"
            else r.choice(["value_contains:a", "value_len_gt:2", "key_eq:k1", "value_null"])
        )
        return c.add(op, **src, fn=fn, name=c.named("flt")), value
    if op == "map_values":
        fn = (
            r.choice(["add:3", "mul:2"])
            if value == "long"
            else r.choice(["upper", "reverse", "append:!", "prepend_key"])
        )
        return c.add("map_values", **src, fn=fn, name=c.named("mv")), value
    if op == "map_values_str":
        return c.add("map_values", **src, fn="to_string"), "string"
    if op == "map_values_len":
        return c.add("map_values", **src, fn="length"), "long"
    if op == "map":
        return c.add(
            "map",
            **src,
            key_fn=r.choice(["prefix:1", "key", "identity"]),
            fn=r.choice(["upper", "append:?"]),
            name=c.named("m"),
        ), value
    if op == "flat_map":
        return c.add(
            "flat_map", **src, key_fn=r.choice(["prefix:1", "identity"]), fn=r.choice(["words", "repeat:2"])
        ), value
    if op == "flat_map_values":
        return c.add(
            "flat_map_values",
            **src,
            fn=r.choice(["words", "repeat:2", "nothing"]) if c.maybe(0.2) else "words",
        ), value
    if op == "select_key":
        return c.add(
            "select_key", **src, fn="mod:3" if value == "long" else "prefix:1", name=c.named("sk")
        ), value
    return c.add("peek", **src, name=c.named("pk")), value


def stateless(c: Case) -> None:
    r = c.rng
    node, value = c.source("stream", "in", value=r.choice(["string", "string", "long"])), None
    value = c.doc["inputs"]["in"]["value"]
    for _ in range(r.randrange(1, 6)):
        node, value = stateless_step(c, node, value)
    if c.maybe(0.5):
        p = ["value_gt:5", "value_even"] if value == "long" else ["value_contains:a", "value_len_gt:2"]
        ids = [c.id(), c.id(), c.id()]
        nm = c.named("split-")
        c.add(
            "split",
            **{"in": node},
            name=nm,
            branches=[{"id": ids[0], "fn": p[0], "name": "one" if nm else None}, {"id": ids[1], "fn": p[1]}],
            default={"id": ids[2]},
        )
        a, av = stateless_step(c, ids[0], value)
        if c.maybe(0.5) and av == value:
            node = c.add("merge", **{"in": a}, other=ids[1], name=c.named("mrg"))
            c.to(node, "out", value=value)
        else:
            c.to(a, "out", value=av)
            c.to(ids[1], "out2", value=value)
        c.to(ids[2], "rest", value=value)
    else:
        if c.maybe(0.3):
            node = c.add("repartition", **{"in": node}, key="string", value=value, name=c.named("rep"))
        c.to(node, value=value, name=c.named("sink"))
    c.feed(25, headers=0.3)


def grouped(c: Case) -> tuple[str, str]:
    r = c.rng
    value = r.choice(["string", "long"])
    node = c.source("stream", "in", value=value)
    if c.maybe(0.4):
        node, value = stateless_step(c, node, value)
    if c.maybe(0.5):
        g = c.add("group_by_key", **{"in": node}, key="string", value=value, name=c.named("grp"))
    else:
        g = c.add(
            "group_by",
            **{"in": node},
            fn="mod:3" if value == "long" else "prefix:1",
            key="string",
            value=value,
            name=c.named("grp"),
        )
    return g, value


def fold(c: Case, g: str, value: str, windowed: str | None = None) -> tuple[str, str]:
    """A random count, reduce or aggregate over a grouped node; returns the table and its value type."""
    r = c.rng
    kind = r.choice(["count", "reduce", "aggregate"])
    store = c.named("store")
    common: dict[str, Any] = {"in": g, "store": store, "key": "string", "name": c.named("agg")}
    if windowed is None and c.maybe(0.2):
        common["store_type"] = "memory"
    if c.maybe(0.2):
        common["caching"] = c.maybe(0.5)
    if kind == "count":
        return c.add("count", **common), "long"
    if kind == "reduce":
        return c.add(
            "reduce",
            **common,
            value=value,
            fn=r.choice(["sum", "max"]) if value == "long" else "concat_comma",
        ), value
    if value == "long":
        return c.add(
            "aggregate",
            **common,
            value="long",
            init="long:0",
            fn=r.choice(["sum", "minus", "max"]),
            merge_fn="sum",
        ), "long"
    fn = (
        "concat"
        if windowed == "session"
        else r.choice(["concat", "concat_comma"] if windowed else ["concat", "concat_comma", "null_on:b"])
    )
    return c.add(
        "aggregate",
        **common,
        value="string",
        init="null" if fn == "null_on:b" else "s:",
        fn=fn,
        merge_fn="concat",
    ), "string"


def aggregate(c: Case) -> None:
    g, value = grouped(c)
    t, value = fold(c, g, value)
    if c.maybe(0.3):
        t = c.add("filter", **{"in": t}, fn="value_gt:1" if value == "long" else "value_len_gt:2")
    c.to(c.add("to_stream", **{"in": t}), value=value)
    c.feed(30, jitter=3000)


def window(c: Case) -> dict[str, Any]:
    r = c.rng
    kind = r.choice(["tumbling", "hopping", "sliding", "session"])
    w: dict[str, Any] = {"type": kind}
    if kind == "tumbling":
        w["size_ms"] = r.choice([1000, 5000])
    elif kind == "hopping":
        w["size_ms"], w["advance_ms"] = r.choice([(5000, 1000), (5000, 2000), (3000, 3000)])
    elif kind == "sliding":
        w["difference_ms"] = r.choice([500, 2000])
    else:
        w["gap_ms"] = r.choice([500, 2000])
    if c.maybe(0.7):
        w["grace_ms"] = r.choice([0, 1000, 10000])
    return w


def windowed(c: Case) -> None:
    r = c.rng
    if c.maybe(0.7):
        c.doc["config"]["__emit.interval.ms.kstreams.windowed.aggregation__"] = "0"
    g, value = grouped(c)
    null_value = 0.0 if value == "long" else 0.05  # a windowed aggregator is called with null values too
    w = window(c)
    emit = "on_window_close" if c.maybe(0.25) else None
    node = c.add("windowed_by", **{"in": g}, window=w, emit=emit)
    t, value = fold(c, node, value, w["type"])
    if emit is None and c.maybe(0.35):
        t = c.add("suppress", **{"in": t}, until="window_close", name=c.named("sup"))
    s = c.add("to_stream", **{"in": t})
    c.to(c.add("unwindow", **{"in": s}), value=value)
    c.feed(
        r.choice([25, 40]),
        jitter=r.choice([0, 2000, 6000]),
        step=r.choice([500, 1500]),
        null_value=null_value,
    )


def sessions(c: Case) -> None:
    """Sessions that meet out of order and are late, in a cache or not; also below their table."""
    r = c.rng
    graces = [0, 500, 5000, 50000]
    if c.maybe(0.5):
        # One that holds all, and sessions that do not expire: Kafka Streams' cache goes on finding those that it has.
        c.doc["config"]["statestore.cache.max.bytes"] = "1000000"
        graces = [500_000]
    g, value = grouped(c)
    w = {"type": "session", "gap_ms": r.choice([300, 1000, 3000]), "grace_ms": r.choice(graces)}
    node = c.add("windowed_by", **{"in": g}, window=w)
    t, value = fold(c, node, value, "session")
    if store := c.doc["topology"][-1].get("store"):
        c.doc["stores"] = [store]
    if c.maybe(0.3):
        t = c.add("filter", **{"in": t}, fn="value_gt:1" if value == "long" else "value_len_gt:2")
    s = c.add("to_stream", **{"in": t})
    if c.maybe(0.5):
        c.to(s, key="session:string", value=value)
    else:
        c.to(c.add("unwindow", **{"in": s}), value=value)
    c.feed(
        r.choice([25, 60]),
        jitter=r.choice([0, 2000, 8000]),
        step=r.choice([200, 800, 2500]),
        null_value=0.0 if value == "long" else 0.05,
    )


def suppression(c: Case, t: str, until: str | None = None) -> str:
    """A random suppress below a table; `until` says which kind."""
    r = c.rng
    fields: dict[str, Any] = {"until": until or "time_limit", "name": c.named("sup")}
    if fields["until"] == "time_limit":
        fields["limit_ms"] = r.choice([0, 500, 2000, 5000, 20000])
        if c.maybe(0.35):
            fields["full"] = "shut_down"
    if c.maybe(0.5):
        fields["max_records"] = r.choice([0, 1, 2, 3, 5])
    if c.maybe(0.4):
        fields["max_bytes"] = r.choice([40, 64, 90, 130, 200, 400])
    stops = until == "window_close" or fields.get("full") == "shut_down"
    if stops and (fields.get("max_records") is not None or fields.get("max_bytes")):
        c.doc["may_fail"] = True
    if c.maybe(0.15):
        fields["logging"] = False
    return c.add("suppress", **{"in": t}, **fields)


def suppress_below(c: Case, t: str, value: str, out: str, *, windowed: bool) -> None:
    """What comes below a suppressed table: views, another suppress, groups, and at last a topic."""
    r = c.rng
    if c.maybe(0.3):
        fn = (
            r.choice(["value_gt:5", "value_even"])
            if value == "long"
            else r.choice(["value_contains:a", "value_len_gt:4"])
        )
        t = c.add(r.choice(["filter", "filter_not"]), **{"in": t}, fn=fn)
    if c.maybe(0.15):
        t = suppression(c, t)
    if c.maybe(0.2):
        t = c.add(
            "map_values", **{"in": t}, fn="add:1" if value == "long" else r.choice(["upper", "null_if:ab"])
        )
    if not windowed and c.maybe(0.35):
        g = c.add(
            "group_by", **{"in": t}, fn="mod:3" if value == "long" else "prefix:1", key="string", value=value
        )
        if value == "long":
            t = c.add("reduce", **{"in": g}, fn="sum", subtract_fn="minus", key="string", value="long")
        else:
            t, value = c.add("count", **{"in": g}, key="string"), "long"
    s = c.add("to_stream", **{"in": t})
    c.to(c.add("unwindow", **{"in": s}) if windowed else s, out, value=value)


def suppress_windowed(c: Case) -> None:
    """Windows whose updates are held back, until they close or for a time."""
    r = c.rng
    if c.maybe(0.7):
        c.doc["config"]["__emit.interval.ms.kstreams.windowed.aggregation__"] = "0"
    if c.maybe(0.3):
        c.doc["config"]["statestore.cache.max.bytes"] = r.choice(["300", "100000"])
    g, value = grouped(c)
    null_value = 0.0 if value == "long" else 0.05
    w = window(c)
    if c.maybe(0.6):
        w = {"type": "tumbling", "size_ms": r.choice([1000, 3000]), "grace_ms": r.choice([0, 500, 2000])}
    node = c.add("windowed_by", **{"in": g}, window=w)
    if value == "string" and w["type"] != "session" and c.maybe(0.3):
        null_value = 0.0  # which this function does not take
        t = c.add(
            "aggregate",
            **{"in": node},
            key="string",
            value="string",
            init="null",
            fn="null_on:b",
            store=c.named("nulls"),
        )
    else:
        t, value = fold(c, node, value, w["type"])
    if c.maybe(0.25):
        fn = "value_gt:1" if value == "long" else "value_len_gt:2"
        t = c.add("filter", **{"in": t}, fn=fn)
    if value == "string" and c.maybe(0.2):  # Kafka Streams has text for what a mapper returns
        t = c.add("map_values", **{"in": t}, fn="upper")
    for number in range(r.choice([1, 1, 1, 2])):
        held = suppression(c, t, r.choice(["window_close", "window_close", "time_limit"]))
        suppress_below(c, held, value, f"out{number}", windowed=True)
    c.feed(
        r.choice([25, 50]),
        jitter=r.choice([0, 1500, 5000]),
        step=r.choice([400, 1200]),
        null_value=null_value,
        headers=0.2,
    )


def suppress_table(c: Case) -> None:
    """Tables of several makings whose updates are held back for a time; what looks them up, and what groups them."""
    r = c.rng
    if c.maybe(0.3):
        c.doc["config"]["statestore.cache.max.bytes"] = r.choice(["300", "100000"])
    if c.maybe(0.2):
        c.doc["config"]["topology.optimization"] = "all"
    kind = r.choice(["source", "source", "to_table", "aggregate", "join"])
    value = "string"
    if kind == "source":
        value = r.choice(["string", "long"])
        t = c.source("table", "in", value=value, store=c.named("src"))
    elif kind == "to_table":
        t = c.add(
            "to_table", **{"in": c.source("stream", "in")}, key="string", value="string", store=c.named("tbl")
        )
    elif kind == "aggregate":
        g, value = grouped(c)
        t, value = fold(c, g, value)
    else:
        left, right = c.source("table", "in"), c.source("table", "other")
        join = r.choice(["join", "left_join", "outer_join"])
        t = c.add(join, **{"in": left}, other=right, store=c.named("tj"), key="string", value="string")
    if c.maybe(0.25):
        t = c.add("filter", **{"in": t}, fn="value_gt:3" if value == "long" else "value_contains:a")
    for number in range(r.choice([1, 1, 2])):
        held = suppression(c, t)
        if value == "string" and c.maybe(0.3):
            third = c.source("table", f"third{number}")
            sides = [held, third] if c.maybe(0.5) else [third, held]
            join = r.choice(["join", "left_join", "outer_join"])
            held = c.add(join, **{"in": sides[0]}, other=sides[1])
        suppress_below(c, held, value, f"out{number}", windowed=False)
    c.feed(
        r.choice([25, 45]),
        null_value=0.2,
        jitter=r.choice([0, 1500, 5000]),
        step=r.choice([300, 1000]),
        headers=0.25,
    )


def versions(c: Case) -> None:
    """Tables of versions: late updates, views, what groups and joins them, and streams that look back in time."""
    r = c.rng
    value = r.choice(["string", "string", "long"])
    history_ms = r.choice([0, 500, 2000, 5000, 60000, 200000])
    kind = f"versioned:{history_ms}"
    if c.maybe(0.7):
        t = c.source("table", "in", value=value, store="versions", store_type=kind)
    else:
        s = c.source("stream", "in", value=value)
        t = c.add("to_table", **{"in": s}, key="string", value=value, store="versions", store_type=kind)
    for number in range(r.choice([0, 0, 1, 2])):
        store = {"store": f"view{number}", "store_type": r.choice([None, kind])} if c.maybe(0.4) else {}
        fields: dict[str, Any] = {"in": t, "key": "string", "value": value, **store}
        if c.maybe(0.6):
            t = c.add("filter", **fields, fn="value_gt:5" if value == "long" else "value_contains:a")
        else:
            t = c.add(
                "map_values", **fields, fn="add:1" if value == "long" else r.choice(["upper", "null_if:ab"])
            )
    null_key = 0.05
    below = r.choice(["stream", "group", "table_join", "stream_join", "stream_join", "self_join"])
    if value == "long" and below in ("table_join", "stream_join", "self_join"):
        below = "group"
    if below == "stream":
        c.to(c.add("to_stream", **{"in": t}), value=value)
    elif below == "group":
        g = c.add(
            "group_by", **{"in": t}, fn="mod:3" if value == "long" else "prefix:1", key="string", value=value
        )
        if value == "long":
            t = c.add("reduce", **{"in": g}, fn="sum", subtract_fn="minus", key="string", value="long")
        else:
            t, value = c.add("count", **{"in": g}, key="string"), "long"
        c.to(c.add("to_stream", **{"in": t}), value=value)
    elif below == "stream_join":
        s = c.source("stream", "clicks")
        kinds = [node.get("store_type") for node in c.doc["topology"] if node.get("store")]
        graces = [None, *(each for each in (0, 500, 2000, 10000) if each <= history_ms)]
        grace = None if None in kinds else r.choice(graces)
        c.to(c.add(r.choice(["join", "left_join"]), **{"in": s}, other=t, name=c.named("vj"), grace_ms=grace))
        if grace is not None:  # Kafka Streams itself fails on a null key
            null_key = 0.0
    else:
        other = (
            c.add("map_values", **{"in": t}, fn="append:!")
            if below == "self_join"
            else c.source("table", "other")
        )
        join = r.choice(["join", "left_join", "outer_join"])
        kept = (
            {"store": "joined", "store_type": kind, "key": "string", "value": "string"}
            if c.maybe(0.3)
            else {}
        )
        t = c.add(join, **{"in": t}, other=other, **kept)
        c.to(c.add("to_stream", **{"in": t}))
    c.feed(
        r.choice([25, 50]),
        null_key=null_key,
        null_value=0.2,
        jitter=r.choice([0, 1500, 4000, 20000]),
        step=r.choice([300, 1000, 8000]),
        headers=0.2,
    )


def table(c: Case) -> None:
    r = c.rng
    value = r.choice(["string", "long"])
    if c.maybe(0.7):
        t = c.source("table", "in", value=value, store=c.named("src"))
    else:
        s = c.source("stream", "in", value=value)
        if c.maybe(0.3):
            s = c.add("select_key", **{"in": s}, fn="mod:3" if value == "long" else "prefix:1")
        t = c.add("to_table", **{"in": s}, key="string", value=value, store=c.named("tbl"))
    for _ in range(r.randrange(0, 3)):
        if c.maybe(0.5):
            t = c.add(
                r.choice(["filter", "filter_not"]),
                **{"in": t},
                fn="value_gt:5" if value == "long" else "value_contains:a",
                store=c.named("ft"),
                key="string",
                value=value,
            )
        else:
            t = c.add(
                "map_values",
                **{"in": t},
                fn="add:1" if value == "long" else r.choice(["upper", "append:!", "null_if:ab"]),
                store=c.named("mt"),
                key="string",
                value=value,
            )
    if c.maybe(0.5):
        g = c.add(
            "group_by", **{"in": t}, fn="mod:3" if value == "long" else "prefix:1", key="string", value=value
        )
        kind = r.choice(["count", "reduce", "aggregate"])
        if kind == "count":
            t, value = c.add("count", **{"in": g}, key="string"), "long"
        elif value == "long":
            extra = {"init": "long:0"} if kind == "aggregate" else {}
            t = c.add(kind, **{"in": g}, fn="sum", subtract_fn="minus", key="string", value="long", **extra)
        else:
            extra = {"init": "s:"} if kind == "aggregate" else {}
            t = c.add(
                kind,
                **{"in": g},
                fn="concat",
                subtract_fn="remove_last",
                key="string",
                value="string",
                **extra,
            )
    c.to(c.add("to_stream", **{"in": t}), value=value)
    c.feed(30, null_value=0.25, jitter=r.choice([0, 3000]))


def stream_join(c: Case) -> None:
    r = c.rng
    if c.maybe(0.7):
        c.doc["config"]["__emit.interval.ms.kstreams.outer.join.spurious.results.fix__"] = "0"
    left, right = c.source("stream", "left"), c.source("stream", "right")
    if c.maybe(0.3):
        left = c.add("select_key", **{"in": left}, fn="prefix:1")
        right = c.add("select_key", **{"in": right}, fn="prefix:1")
    w = {"difference_ms": r.choice([500, 2000])}
    if c.maybe(0.7):
        w["grace_ms"] = r.choice([0, 1000, 5000])
    if c.maybe(0.2):
        w["before_ms"] = r.choice([0, 1000])
    if c.maybe(0.2):
        w["after_ms"] = r.choice([0, 1000])
    j = c.add(
        r.choice(["join", "left_join", "outer_join"]),
        **{"in": left},
        other=right,
        window=w,
        name=c.named("join"),
        store=c.named("js"),
    )
    c.to(j)
    c.feed(r.choice([25, 40]), jitter=r.choice([0, 2000, 6000]), step=r.choice([400, 1200]))


EMIT_INTERVAL = "__emit.interval.ms.kstreams.outer.join.spurious.results.fix__"


def join_window(c: Case) -> dict[str, Any]:
    """Windows around a record, on one side of it, or beside it; sometimes of a single moment."""
    r = c.rng
    w: dict[str, Any] = {"difference_ms": r.choice([0, 10, 500, 2000])}
    if c.maybe(0.7):
        w["grace_ms"] = r.choice([0, 1, 100, 1000, 5000])
    if c.maybe(0.6):
        before, after = r.choice([0, 5, 300, 1000, -5, -300]), r.choice([0, 5, 300, 1000, -5, -300])
        if before + after >= 0:
            # Java sets one after the other, and each of the three windows must be possible.
            w |= {"difference_ms": 300, "before_ms": before, "after_ms": after}
    return w


def joined(c: Case, left: str, right: str, kind: str | None = None) -> str:
    return c.add(
        kind or c.rng.choice(["join", "left_join", "outer_join"]),
        **{"in": left},
        other=right,
        window=join_window(c),
        name=c.named("join"),
        store=c.named("js"),
    )


def feed_join(c: Case) -> None:
    """Pipes records that meet often: few keys, equal times, some of them late; the wall clock may matter."""
    r = c.rng
    throttle = r.choice(["0", None, "1000", "1000"])
    if throttle is not None:
        c.doc["config"][EMIT_INTERVAL] = throttle
    c.feed(
        r.choice([30, 50, 70]),
        null_key=r.choice([0.0, 0.1]),
        null_value=r.choice([0.0, 0.1]),
        jitter=r.choice([0, 20, 1000, 6000]),
        step=r.choice([2, 20, 300, 1200]),
        headers=r.choice([0.0, 0.3]),
        wall=0.15 if throttle == "1000" else 0.0,
    )


def stream_join_windows(c: Case) -> None:
    """Joins with windows and records of all kinds."""
    left, right = c.source("stream", "left"), c.source("stream", "right")
    c.to(joined(c, left, right))
    feed_join(c)


def stream_join_self(c: Case) -> None:
    """A stream with itself, or with what was made of it: with and without the optimiser's single store."""
    r = c.rng
    if c.maybe(0.6):
        c.doc["config"]["topology.optimization"] = "all"
    left = right = c.source("stream", "in")
    kind = r.choice(["same", "same", "same", "same", "mapped", "keyed", "read_twice"])
    if kind == "mapped":
        right = c.add("map_values", **{"in": left}, fn="upper")
    elif kind == "keyed":
        left = right = c.add("select_key", **{"in": left}, fn="prefix:1")
    elif kind == "read_twice":
        right = c.add("stream", topic="in", key="string", value="string")
    c.to(joined(c, left, right, None if c.maybe(0.4) else "join"))
    if c.maybe(0.2):
        c.to(c.add("map_values", **{"in": left}, fn="upper"), "out2")
    feed_join(c)


def stream_join_chain(c: Case) -> None:
    """Joins of joins, behind repartitions, merges and other operators, and what is made of them."""
    r = c.rng
    if c.maybe(0.3):
        c.doc["config"]["topology.optimization"] = "all"
    streams = [c.source("stream", topic) for topic in ("left", "right", "third")[: r.choice([2, 3])]]
    # One repartition a case: of two records with one timestamp in two internal topics, either may come first.
    may_lead = True
    for _ in range(r.choice([1, 2, 3])):
        sides = [r.choice(streams), r.choice(streams)]
        for at, side in enumerate(sides):
            if may_lead and c.maybe(0.3):
                sides[at] = c.add("select_key", **{"in": side}, fn=r.choice(["prefix:1", "prefix:2"]))
                may_lead = False
            elif may_lead and c.maybe(0.3):
                name = c.named("re")
                sides[at] = c.add("repartition", **{"in": side}, key="string", value="string", name=name)
                may_lead = False
            elif c.maybe(0.2):
                sides[at] = c.add("merge", **{"in": side}, other=r.choice(streams))
        streams.append(joined(c, *sides))
    last = streams[-1]
    if c.maybe(0.3):
        grouped = c.add("group_by_key", **{"in": last}, key="string", value="string")
        counted = c.add("count", **{"in": grouped}, key="string")
        c.to(c.add("to_stream", **{"in": counted}), "counts", value="long")
    c.to(last)
    feed_join(c)


def enrich(c: Case) -> None:
    r = c.rng
    s = c.source("stream", "left")
    kind = r.choice(["table", "global", "versioned"])
    null_key = 0.05
    if kind == "global":
        t = c.source("global_table", "right", store=c.named("glob"))
        j = c.add(
            r.choice(["join", "left_join"]),
            **{"in": s},
            other=t,
            fn=r.choice(["key", "identity", "prefix:2"]),
            name=c.named("gj"),
        )
    else:
        if c.maybe(0.3):
            s = c.add("map_values", **{"in": s}, fn="upper")
        if kind == "versioned":
            t = c.source("table", "right", store="versions", store_type="versioned:60000")
            grace = r.choice([None, 1000])
            j = c.add(r.choice(["join", "left_join"]), **{"in": s}, other=t, grace_ms=grace, name="vj")
            if grace:  # Kafka Streams itself fails on a null key in a join with grace
                null_key = 0.0
        else:
            t = c.source("table", "right")
            j = c.add(r.choice(["join", "left_join"]), **{"in": s}, other=t, name=c.named("stj"))
    c.to(j)
    c.feed(30, null_key=null_key, null_value=0.15, jitter=r.choice([0, 3000]))


def global_tables(c: Case) -> None:
    """Joins with one or two global tables, by keys that are selected, among other operators; and global stores."""
    r = c.rng
    s = c.source("stream", "in")
    tables = []
    for number in range(r.randrange(1, 3)):
        stored = c.named(f"glob{number}")
        if stored is not None:
            c.doc.setdefault("stores", []).append(stored)
        tables.append(c.source("global_table", f"rows{number}", store=stored, name=c.named(f"gt{number}")))
    filled = None
    if c.maybe(0.4):
        filled = "filled"
        c.source("global_store", "filling", store=filled, fn=r.choice(["identity", "upper", "null_if:a"]))
        c.doc.setdefault("stores", []).append(filled)
    value = "string"
    if c.maybe(0.4):
        s, value = stateless_step(c, s, value)
    for table in tables:
        selectors = (
            ["key", "to_null", "mod:3"] if value == "long" else ["key", "identity", "prefix:2", "null_if:ab"]
        )
        s = c.add(
            r.choice(["join", "left_join"]),
            **{"in": s},
            other=table,
            fn=r.choice(selectors),
            joiner=r.choice([None, "with_key", "with_keys"]),
            name=c.named("gj"),
        )
        value = "string"
        if c.maybe(0.3):
            s, value = stateless_step(c, s, value)
    if filled is not None and value == "string":
        s = c.add("look_up", **{"in": s}, store=filled, name=c.named("lu"))
    if c.maybe(0.3):
        g = c.add("group_by_key", **{"in": s}, key="string", value=value)
        s, value = (
            c.add("to_stream", **{"in": c.add("count", **{"in": g}, key="string", store=c.named("cnt"))}),
            "long",
        )
    c.to(s, value=value)
    if c.maybe(0.2):
        c.doc["config"]["topology.optimization"] = "all"
    c.feed(35, null_key=0.1, null_value=0.2, jitter=r.choice([0, 3000]), headers=0.2)
    for step in c.doc["steps"]:  # what the stream's values point at
        if step["topic"] != "in" and step["key"] is not None:
            step["key"] = r.choice(["k1", "k2", "a", "ab", "he", "m1"])


def table_join(c: Case) -> None:
    r = c.rng
    left, right = c.source("table", "left"), c.source("table", "right")
    if c.maybe(0.3):
        left = c.add("filter", **{"in": left}, fn="value_contains:a")
    if c.maybe(0.3):
        right = c.add("map_values", **{"in": right}, fn="upper")
    t = c.add(
        r.choice(["join", "left_join", "outer_join"]),
        **{"in": left},
        other=right,
        name=c.named("tj"),
        store=c.named("tjs"),
        key="string",
        value="string",
    )
    if c.maybe(0.3):
        third = c.source("table", "third")
        t = c.add(r.choice(["join", "left_join", "outer_join"]), **{"in": t}, other=third)
    c.to(c.add("to_stream", **{"in": t}))
    c.feed(35, null_value=0.3, jitter=r.choice([0, 3000]))


def foreign_key(c: Case) -> None:
    r = c.rng
    left, right = c.source("table", "left"), c.source("table", "right")
    t = c.add(
        r.choice(["join", "left_join"]),
        **{"in": left},
        other=right,
        fn=r.choice(["prefix:1", "identity"]),
        name=c.named("fk"),
        store=c.named("fks"),
        key="string",
        value="string",
    )
    c.to(c.add("to_stream", **{"in": t}))
    topics = ["left", "right"]
    c.feed(35, null_value=0.25, null_key=0.02, jitter=r.choice([0, 2000]), topics=topics)
    for s in c.doc["steps"]:  # keys on the right are what the left's values point at
        if s["topic"] == "right" and s["key"] is not None:
            s["key"] = r.choice(["a", "b", "x", "k", "ab"])


def foreign_key_graph(c: Case) -> None:
    """Foreign-key joins of tables kept or not, mapped, filtered; joined again, by key or foreign key, and grouped."""
    r = c.rng
    if c.maybe(0.25):
        c.doc["config"]["topology.optimization"] = "all"
    left, fn, keyed = _foreign_left(c)
    right = _foreign_right(c, fn)
    t = _foreign_join(c, left, right, fn, keyed=keyed)
    kind = r.choice(["none", "none", "again", "same_right", "by_key", "grouped", "filtered"])
    if kind == "again":
        third = c.source("table", "third", store=c.named("third"))
        t = _foreign_join(c, t, third, "prefix:1")
    elif kind == "same_right":  # whose results do not meet: of two answers at one time, either may come first
        c.to(c.add("to_stream", **{"in": _foreign_join(c, left, right, fn, keyed=keyed)}), "out2")
    elif kind == "by_key":
        third = c.source("table", "third")
        t = c.add(r.choice(["join", "left_join", "outer_join"]), **{"in": t}, other=third)
    elif kind == "grouped":
        g = c.add("group_by", **{"in": t}, fn="prefix:1", key="string", value="string")
        t = c.add(
            "reduce", **{"in": g}, fn="concat_comma", subtract_fn="remove_last", key="string", value="string"
        )
    elif kind == "filtered":
        t = c.add(
            "filter", **{"in": t}, fn="value_contains:a", store=c.named("kept"), key="string", value="string"
        )
        t = c.add(
            "map_values", **{"in": t}, fn="append:!", store=c.named("marked"), key="string", value="string"
        )
    c.to(c.add("to_stream", **{"in": t}))
    c.doc["stores"] = [
        each["store"]
        for each in c.doc["topology"]
        if each.get("store") and not str(each.get("store_type", "")).startswith("versioned")
    ]
    c.feed(
        r.choice([30, 45]),
        null_value=r.choice([0.15, 0.35]),
        null_key=0.02,
        jitter=r.choice([0, 2000]),
        headers=r.choice([0.0, 0.3]),
    )
    _foreign_keys_that_match(c, fn)


def table_transform(c: Case) -> None:
    """Tables whose values a processor replaces, kept or not, with a store of its own or not; and what looks them up."""
    r = c.rng
    c.add("state_store", store="mine", key="string", value="string")
    value = r.choice(["string", "long"])
    t = c.source("table", "left", value=value, store=c.named("src"))
    if c.maybe(0.3):
        fn = "value_gt:3" if value == "long" else "value_contains:a"
        t = c.add("filter", **{"in": t}, fn=fn, store=c.named("lf"), key="string", value=value)
    # Kafka Streams gives a processor no store where its table is looked up without one.
    uses = "mine" if c.maybe(0.4) else None
    plain = ["stamp", "prepend_key", "upper", "to_string", "append:!"]
    fn = "previous" if uses else r.choice(plain if value == "long" else [*plain, "null_if:ab"])
    kept = c.named("tv") or ("tv" if uses else None)
    common = {"key": "string", "value": "string"}
    t = c.add("transform_values", **{"in": t}, fn=fn, uses=uses, store=kept, name=c.named("tr"), **common)
    if uses is None:
        c.doc["topology"] = [each for each in c.doc["topology"] if each["op"] != "state_store"]
    kind = r.choice(["none", "join", "foreign", "grouped", "filtered", "again"])
    if kind == "join":
        right = c.source("table", "right")
        t = c.add(
            r.choice(["join", "left_join", "outer_join"]),
            **{"in": t},
            other=right,
            store=c.named("tj"),
            **common,
        )
    elif kind == "foreign":
        right = c.source("table", "right")
        t = c.add(
            r.choice(["join", "left_join"]),
            **{"in": t},
            other=right,
            fn="prefix:1",
            store=c.named("fk"),
            **common,
        )
    elif kind == "grouped":
        g = c.add("group_by", **{"in": t}, fn="prefix:1", **common)
        t = c.add("reduce", **{"in": g}, fn="concat_comma", subtract_fn="remove_last", **common)
    elif kind == "filtered":
        t = c.add("filter", **{"in": t}, fn="value_len_gt:3", store=c.named("kf"), **common)
    elif kind == "again":
        t = c.add("transform_values", **{"in": t}, fn="prepend_key", store=c.named("tv2"), **common)
    c.to(c.add("to_stream", **{"in": t}))
    c.doc["stores"] = [each["store"] for each in c.doc["topology"] if each.get("store")]
    c.feed(30, null_value=0.25, jitter=r.choice([0, 3000]), headers=r.choice([0.0, 0.3]))
    for step in c.doc["steps"]:
        if kind == "foreign" and step["topic"] == "right" and step["key"] is not None:
            step["key"] = r.choice([*KEYS, "a", "b", "x", "k", "1", "2"])


def _foreign_left(c: Case) -> tuple[str, str, bool]:
    """The table whose values name rows of the other: its node, the extractor, and whether that takes the key."""
    r = c.rng
    value = r.choice(["string", "string", "long"])
    if c.maybe(0.7):
        left = c.source("table", "left", value=value, store=c.named("left"))
    else:
        s = c.source("stream", "left", value=value)
        if c.maybe(0.4):
            s = c.add("select_key", **{"in": s}, fn="mod:3" if value == "long" else "prefix:1")
        left = c.add("to_table", **{"in": s}, key="string", value=value, store=c.named("lefts"))
    left = _some_view(c, left, "string", value, "l")
    if value == "long":
        return left, r.choice(["mod:2", "mod:3", "add:0"]), False
    if c.maybe(0.4):
        return left, r.choice(["key", "prepend_key", "identity"]), True
    return left, r.choice(["prefix:1", "identity", "after:a", "length", "null_if:b a"]), False


def _foreign_right(c: Case, fn: str) -> str:
    """The table whose rows the extractor names."""
    key = "long" if fn in {"length", "add:0"} else "string"
    value = c.rng.choice(["string", "long"])
    return _some_view(
        c, c.source("table", "right", key=key, value=value, store=c.named("right")), key, value, "r"
    )


def _some_view(c: Case, table: str, key: str, value: str, side: str) -> str:
    """The table itself, or what a filter, a mapping or both make of it."""
    common: dict[str, Any] = {"key": key, "value": value}
    if c.maybe(0.3):
        fn = "value_gt:3" if value == "long" else c.rng.choice(["value_len_gt:1", "value_contains:a"])
        table = c.add("filter", **{"in": table}, fn=fn, store=c.named(f"{side}-view"), **common)
    if c.maybe(0.3):
        fn = "add:1" if value == "long" else c.rng.choice(["append:!", "null_if:ab", "reverse"])
        # Without a store, Kafka Streams takes what a mapping makes for text.
        store = c.named(f"{side}-mapped") or (f"{side}-mapped" if value == "long" else None)
        table = c.add("map_values", **{"in": table}, fn=fn, store=store, **common)
    return table


def _foreign_join(c: Case, left: str, right: str, fn: str, *, keyed: bool = False) -> str:
    return c.add(
        c.rng.choice(["join", "left_join"]),
        **{"in": left},
        other=right,
        fn=fn,
        with_key=True if keyed else None,
        name=c.named("fk"),
        store=c.named("fks"),
        caching=c.rng.choice([None, None, False]),
        key="string",
        value="string",
    )


def _foreign_keys_that_match(c: Case, fn: str) -> None:
    """Let the keys on the other side be what the values point at."""
    r = c.rng
    matching: list[Any] = ["a", "b", "x", "k", "ab", "hello world", "zzz"]
    if fn.startswith("mod"):
        matching = ["m0", "m1", "m2"]
    elif fn in {"length", "add:0"}:
        matching = [1, 2, 3, 5, 7]
    elif fn == "key":
        matching = KEYS
    elif fn == "prepend_key":
        matching = ["k1=a", "k2=b", "k1=ab", "k2=ab"]
    elif fn == "after:a":
        matching = ["", "b", "bc", "fka", "ms"]
    for step in c.doc["steps"]:
        if step["topic"] == "right" and step["key"] is not None:
            step["key"] = r.choice(matching)
        elif step["topic"] == "third" and c.maybe(0.7) and step["key"] is not None:
            step["key"] = r.choice([*KEYS, "a", "b", "x", "k"])


def cogroup(c: Case) -> None:
    r = c.rng
    groups = []
    for i in range(r.randrange(2, 4)):
        s = c.source("stream", f"in{i}")
        rekeyed = c.maybe(0.3)
        if rekeyed:
            s = c.add("select_key", **{"in": s}, fn="prefix:1")
        # Kafka Streams itself fails when two unnamed groups of one cogroup need a repartition
        g = c.add(
            "group_by_key",
            **{"in": s},
            key="string",
            value="string",
            name=f"g{i}" if rekeyed else c.named(f"g{i}"),
        )
        groups.append({"in": g, "fn": r.choice(["concat", "concat_comma"])})
    node = c.add("cogroup", groups=groups)
    windowed_ = c.maybe(0.5)
    w = None
    if windowed_:
        w = window(c)
        node = c.add("windowed_by", **{"in": node}, window=w)
    t = c.add(
        "aggregate",
        **{"in": node},
        init="s:",
        merge_fn="concat",
        key="string",
        value="string",
        store=c.named("cg"),
    )
    s = c.add("to_stream", **{"in": t})
    if windowed_:
        s = c.add("unwindow", **{"in": s})
    c.to(s)
    c.feed(30, jitter=r.choice([0, 3000]))


def processor(c: Case) -> None:
    r = c.rng
    c.add("state_store", store="mine", key="string", value="string", store_type=r.choice([None, "memory"]))
    s = c.source("stream", "in")
    if c.maybe(0.3):
        s, _ = c.add("map_values", **{"in": s}, fn="append:#"), None
    kind = r.choice(
        ["dedupe", "changes", "header", "flush_every_stream_ms:2000", "flush_every_wall_ms:1000", "previous"]
    )
    if kind == "previous":
        n = c.add("process_values", **{"in": s}, fn="previous", store="mine", name=c.named("pv"))
    else:
        n = c.add("process", **{"in": s}, fn=kind, store="mine", name=c.named("proc"))
    c.doc["stores"] = ["mine"]
    c.to(n)
    c.feed(30, headers=0.3, wall=0.3, jitter=r.choice([0, 3000]))


def graph(c: Case) -> None:
    """A larger topology: several sources, shared nodes, repartitions and joins; tests naming and describe()."""
    r = c.rng
    s1, s2, t1 = c.source("stream", "s1"), c.source("stream", "s2"), c.source("table", "t1")
    a, av = stateless_step(c, s1, "string")
    m = c.add("merge", **{"in": s1}, other=s2, name=c.named("merge"))
    g = c.add("group_by", **{"in": m}, fn="prefix:1", key="string", value="string")
    counts = c.add("count", **{"in": g}, key="string", store=c.named("cnt"))
    reduced = c.add("reduce", **{"in": g}, key="string", value="string", fn="concat_comma")
    c.to(c.add("to_stream", **{"in": counts}), "counts", value="long")
    c.to(c.add("to_stream", **{"in": reduced}), "reduced")
    k = c.add("select_key", **{"in": s2}, fn="prefix:2")
    c.to(c.add("left_join", **{"in": k}, other=t1), "enriched")
    j = c.add("join", **{"in": k}, other=m, window={"difference_ms": 1000, "grace_ms": 500})
    c.to(j, "joined")
    c.to(a, "a", value=av)
    if c.maybe(0.5):
        c.doc["config"]["topology.optimization"] = "all"
    c.feed(30, jitter=r.choice([0, 2000]))


def windowed_fold(
    c: Case, node: str, value: str, store: str | None, *, deletes: bool = True
) -> tuple[str, str]:
    """A random fold over windows, one that deletes among them; returns the table and its value type."""
    r = c.rng
    common: dict[str, Any] = {"in": node, "store": store, "key": "string", "name": c.named("agg")}
    if c.maybe(0.3):
        common["caching"] = c.maybe(0.5)
    kind = r.choice(["count", "reduce", "aggregate"])
    if kind == "count":
        return c.add("count", **common), "long"
    texts = ["concat_comma", "concat", "null_on:b"] if deletes else ["concat_comma", "concat"]
    fn = r.choice(["sum", "max"] if value == "long" else texts)
    if kind == "reduce":
        return c.add("reduce", **common, value=value, fn=fn), value
    init = "long:1" if value == "long" else "null" if fn == "null_on:b" else "s:"
    merge_fn = "sum" if value == "long" else "concat"
    return c.add("aggregate", **common, value=value, init=init, fn=fn, merge_fn=merge_fn), value


def below_windows(c: Case, t: str, value: str) -> None:
    """Sends a windowed table's updates out; maybe lets a table below ask for old values."""
    if c.maybe(0.25):
        t = c.add("filter", **{"in": t}, fn="value_gt:1" if value == "long" else "value_len_gt:2")
    c.to(c.add("unwindow", **{"in": c.add("to_stream", **{"in": t})}), value=value)
    if c.maybe(0.3):
        fn = "mod:3" if value == "long" else "prefix:1"
        g = c.add("group_by", **{"in": t}, fn=fn, key="string", value=value)
        c.to(
            c.add("to_stream", **{"in": c.add("count", **{"in": g}, key="string")}), "regrouped", value="long"
        )


def maybe_cached(c: Case) -> bool:
    if c.maybe(0.4):
        c.doc["config"]["statestore.cache.max.bytes"] = "1000000"
        return True
    return False


def feed_windows(c: Case, size: int, *, wall: float = 0.0) -> None:
    """Records around windows of a size: in order or not, many of one time, early ones, ones that are late."""
    r = c.rng
    step = r.choice([max(1, size // 4), max(1, size), 3 * size])
    c.feed(
        r.choice([20, 40]),
        null_key=0.03,
        null_value=0.0,
        jitter=r.choice([0, size, 2 * size, 6 * size]),
        step=step + 1,
        headers=0.2,
        wall=wall,
    )
    base = r.choice([0, 0, size // 2, 10 * size, 1_700_000_000_000])
    records = [each for each in c.doc["steps"] if "ts" in each]
    coarse = r.choice([1, 1, max(1, size // 2), size])
    for each in records:
        each["ts"] = base + each["ts"] // coarse * coarse
        if each["key"] is not None and c.maybe(0.5):
            each["key"] = "k1"


def sliding(c: Case) -> None:
    """Sliding windows, cogrouped now and then: early, late and tied records, deletions, old values."""
    r = c.rng
    is_cached = maybe_cached(c)
    size = r.choice([1, 2, 10, 500, 2000])
    w = {"type": "sliding", "difference_ms": size}
    # What a cache still holds of expired windows, Kafka Streams reads, and we do not: none expires that is looked for.
    if is_cached or c.maybe(0.8):
        w["grace_ms"] = 100 * size if is_cached else r.choice([0, size, 3 * size, 100 * size])
    store = f"windows-{r.randrange(100)}" if c.maybe(0.6) else None
    if c.maybe(0.25):
        groups = []
        for i in range(2):
            g = c.add("group_by_key", **{"in": c.source("stream", f"in{i}")}, key="string", value="string")
            groups.append({"in": g, "fn": r.choice(["concat", "concat_comma"])})
        node = c.add("windowed_by", **{"in": c.add("cogroup", groups=groups)}, window=w)
        common = {"init": "s:", "key": "string", "value": "string", "store": store}
        t, value = c.add("aggregate", **{"in": node}, **common), "string"
    else:
        g, value = grouped(c)
        t, value = windowed_fold(c, c.add("windowed_by", **{"in": g}, window=w), value, store)
    below_windows(c, t, value)
    if store is not None and not is_cached:
        c.doc["stores"] = [store]
    feed_windows(c, size)
    if value == "string":
        for each in c.doc["steps"]:
            if c.maybe(0.1):
                each["value"] = None


def closing(c: Case) -> None:
    """Results that leave when their windows close, throttled by the wall clock or not; two tables now and then."""
    r = c.rng
    maybe_cached(c)
    throttle = r.choice([None, "0", "0", "1000"])
    if throttle is not None:
        c.doc["config"]["__emit.interval.ms.kstreams.windowed.aggregation__"] = throttle
    g, value = grouped(c)
    size = r.choice([10, 1000, 6000])
    for number in range(2 if c.maybe(0.2) else 1):
        kind = r.choice(["tumbling", "hopping", "sliding", "session"])
        named = {"sliding": "difference_ms", "session": "gap_ms"}.get(kind, "size_ms")
        w: dict[str, Any] = {"type": kind, named: size}
        if kind == "hopping":
            w["advance_ms"] = r.choice([size, size // 2, max(1, size // 3)])
        if c.maybe(0.8):
            w["grace_ms"] = r.choice([0, size, 3 * size, 20 * size])
        node = c.add("windowed_by", **{"in": g}, window=w, emit="on_window_close")
        store = f"closing-{number}" if c.maybe(0.6) else None
        t, folded = windowed_fold(c, node, value, store, deletes=kind != "session")
        if number == 0:
            below_windows(c, t, folded)
        else:
            out = c.add("unwindow", **{"in": c.add("to_stream", **{"in": t})})
            c.to(out, "out2", value=folded)
    feed_windows(c, size, wall=0.0 if throttle == "0" else 0.3)


def unlimited(c: Case) -> None:
    """One window for each key."""
    maybe_cached(c)
    g, value = grouped(c)
    node = c.add("windowed_by", **{"in": g}, window={"type": "unlimited"})
    t, value = windowed_fold(c, node, value, c.named("all"))
    below_windows(c, t, value)
    feed_windows(c, 1000)


FAMILIES = {
    f.__name__: f
    for f in (
        stateless,
        aggregate,
        windowed,
        sessions,
        suppress_windowed,
        suppress_table,
        versions,
        table,
        stream_join,
        stream_join_windows,
        stream_join_self,
        stream_join_chain,
        enrich,
        global_tables,
        table_join,
        foreign_key,
        foreign_key_graph,
        table_transform,
        cogroup,
        processor,
        graph,
        sliding,
        closing,
        unlimited,
    )
}


def main() -> None:
    out, seed, count, *names = sys.argv[1:]
    for family in names or FAMILIES:
        folder = Path(out) / family
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(int(count)):
            name = f"{family}-{seed}-{i:03d}"
            case = Case(random.Random(name), name)
            FAMILIES[family](case)
            (folder / f"{name}.json").write_text(json.dumps(case.doc, indent=1) + "\n")


if __name__ == "__main__":
    main()
