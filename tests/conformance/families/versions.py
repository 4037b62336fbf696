"""Tables that keep versions."""

from typing import Any

from tests.conformance.families.case import Case

__all__ = ["versions"]


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
