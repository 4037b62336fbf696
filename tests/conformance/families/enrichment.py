"""Streams that look tables up, global ones too."""

from tests.conformance.families.case import Case
from tests.conformance.families.parts import stateless_step

__all__ = ["enrich", "global_tables"]


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
