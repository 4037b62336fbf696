"""What several families are put together from: stateless steps, groups, windows, folds, and records around windows."""

from typing import Any

from tests.conformance.families.case import Case

__all__ = [
    "below_windows",
    "feed_windows",
    "fold",
    "grouped",
    "maybe_cached",
    "stateless_step",
    "window",
    "windowed_fold",
]


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
    if kind in ("sliding", "session") and c.doc["config"].get("statestore.cache.max.bytes", "0") != "0":
        # What a cache still holds of expired ones, Kafka Streams finds, and we do not: none expires.
        w["grace_ms"] = 500_000
    return w


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
