"""Tables: their views, what groups them, what joins them by their keys, and processors of their values."""

from tests.conformance.families.case import KEYS, Case

__all__ = ["table", "table_join", "table_transform"]


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
