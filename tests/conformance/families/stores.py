"""Stores of other kinds: with versions of aggregates, with a bound, with timestamps and headers."""

from tests.conformance.families import (
    aggregations,
    enrichment,
    foreign_keys,
    processors,
    stream_joins,
    suppression,
    tables,
)
from tests.conformance.families.case import WORDS, Case
from tests.conformance.families.parts import maybe_cached

__all__ = ["header_format", "header_stores", "lru", "versioned_aggregates"]

_OTHERS = [
    getattr(module, name)
    for module in (
        aggregations,
        enrichment,
        foreign_keys,
        processors,
        stream_joins,
        suppression,
        tables,
    )
    for name in module.__all__
]


def versioned_aggregates(c: Case) -> None:
    """Aggregations, cogroups and joins by a foreign key whose results have versions, and what is below them."""
    r = c.rng
    history_ms = r.choice([0, 500, 2000, 5000, 60000])
    kept = {"store": "versions", "store_type": f"versioned:{history_ms}", "key": "string"}
    kind = r.choice(["stream", "stream", "stream", "table", "cogroup", "foreign_key", "transform"])
    if kind == "stream":
        g = c.add("group_by_key", **{"in": c.source("stream", "in")}, key="string", value="string")
        fold = r.choice(["count", "reduce", "aggregate", "aggregate"])
        value = "long" if fold == "count" else "string"
        fields = {"reduce": {"fn": "concat_comma"}, "aggregate": {"init": "null", "fn": "null_on:b"}}.get(
            fold, {}
        )
        t = c.add(fold, **{"in": g}, **kept, value=None if fold == "count" else value, **fields)
    elif kind == "table":
        rows = c.source("table", "in", **({"store": "rows"} if c.maybe() else {}))
        g = c.add("group_by", **{"in": rows}, fn="prefix:1", key="string", value="string")
        if c.maybe():
            t, value = c.add("count", **{"in": g}, **kept), "long"
        else:
            t, value = (
                c.add(
                    "reduce",
                    **{"in": g},
                    fn="concat_comma",
                    subtract_fn="remove_last",
                    **kept,
                    value="string",
                ),
                "string",
            )
    elif kind == "cogroup":
        groups = [
            {
                "in": c.add(
                    "group_by_key", **{"in": c.source("stream", topic)}, key="string", value="string"
                ),
                "fn": fn,
            }
            for topic, fn in (("in", "concat"), ("in2", r.choice(["concat_comma", "null_on:ab"])))
        ]
        t = c.add("aggregate", **{"in": c.add("cogroup", groups=groups)}, init="s:", **kept, value="string")
        value = "string"
    elif kind == "foreign_key":
        left, right = c.source("table", "in"), c.source("table", "right")
        t = c.add(
            r.choice(["join", "left_join"]),
            **{"in": left},
            other=right,
            fn="prefix:1",
            **kept,
            value="string",
        )
        value = "string"
    else:
        t, value = (
            c.add("transform_values", **{"in": c.source("table", "in")}, fn="stamp", **kept, value="string"),
            "string",
        )
    below = r.choice(["stream", "filter", "stream_join", "table_join", "group"])
    if below == "filter":
        t = c.add("filter", **{"in": t}, fn="value_gt:2" if value == "long" else "value_contains:a")
    elif below == "group":
        g = c.add(
            "group_by", **{"in": t}, fn="mod:3" if value == "long" else "prefix:1", key="string", value=value
        )
        t, value = c.add("count", **{"in": g}, key="string"), "long"
    elif below == "table_join":
        other = c.source("table", "other")
        t, value = c.add(r.choice(["join", "left_join", "outer_join"]), **{"in": other}, other=t), "string"
    if below == "stream_join":
        s = c.source("stream", "clicks")
        grace = r.choice([None, *(each for each in (0, 500, 2000) if each <= history_ms)])
        s = c.add(r.choice(["join", "left_join"]), **{"in": s}, other=t, grace_ms=grace, other_value=value)
        c.to(s)
    else:
        c.to(c.add("to_stream", **{"in": t}), value=value)
    c.feed(
        r.choice([25, 50]),
        null_key=0.0,
        null_value=0.2,
        jitter=r.choice([0, 1500, 4000, 20000]),
        step=r.choice([300, 1000, 8000]),
        headers=0.2,
    )


def lru(c: Case) -> None:
    """Stores in memory that keep the rows which were used last, of processors and of tables."""
    r = c.rng
    kind = f"lru:{r.choice([1, 2, 3, 5])}"
    s = c.source("stream", "in")
    if c.maybe(0.6):
        c.add("state_store", store="mine", key="string", value="string", store_type=kind)
        fn = r.choice(["dedupe", "changes", "previous"])
        op = "process_values" if fn == "previous" else "process"
        c.to(c.add(op, **{"in": s}, fn=fn, store="mine", name=c.named("proc")))
    else:
        # What tables put there is not logged as deleted when it leaves.
        kept = {"store": "kept", "store_type": kind, "key": "string", "caching": False, "logging": False}
        below = r.choice(["count", "reduce", "to_table"])
        if below == "to_table":
            t, value = c.add("to_table", **{"in": s}, **kept, value="string"), "string"
        else:
            g = c.add("group_by_key", **{"in": s}, key="string", value="string")
            value = "long" if below == "count" else "string"
            fields = {} if below == "count" else {"value": "string", "fn": "concat_comma"}
            t = c.add(below, **{"in": g}, **kept, **fields)
        if value == "string" and c.maybe():
            t = c.add("filter", **{"in": t}, fn="value_contains:a")
        c.to(c.add("to_stream", **{"in": t}), value=value)
    c.feed(40, headers=0.3, null_value=0.2, jitter=r.choice([0, 3000]))


def header_stores(c: Case) -> None:
    """A processor's store whose values come with timestamps and headers, of each kind."""
    r = c.rng
    is_cached = maybe_cached(c)
    kind = r.choice(["key_value", "window", "session"])
    c.add(
        "state_store",
        store="stamped",
        key="string",
        value="string",
        headers=True,
        kind=None if kind == "key_value" else kind,
        size_ms=1000 if kind == "window" else None,
        # What has expired is still found in a cache there.
        retention_ms=None if kind == "key_value" else 100_000 if is_cached else r.choice([2000, 100_000]),
        store_type=r.choice([None, "memory"]),
        caching=c.maybe(0.5),
    )
    s = c.source("stream", "in")
    c.to(c.add("process", **{"in": s}, fn="stamped", store="stamped", name=c.named("proc")))
    c.doc["stores"] = ["stamped"]
    c.feed(40, headers=0.5, jitter=r.choice([0, 3000]))


def header_format(c: Case) -> None:
    """Any other family in the format with headers, with headers in its input, and sometimes with caches."""
    r = c.rng
    is_cached = maybe_cached(c)
    r.choice(_OTHERS)(c)
    c.doc["config"]["dsl.store.format"] = "HEADERS"
    if is_cached:
        c.doc.pop("stores", None)  # there, what has expired is still found in a cache
    for step in c.doc["steps"]:
        if "topic" in step and "headers" not in step and c.maybe(0.4):
            step["headers"] = {r.choice("pqr"): r.choice(WORDS)}
