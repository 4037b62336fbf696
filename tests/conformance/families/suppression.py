"""Updates that are held back."""

from typing import Any

from tests.conformance.families.case import Case
from tests.conformance.families.parts import fold, grouped, window

__all__ = ["suppress_table", "suppress_windowed"]


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
