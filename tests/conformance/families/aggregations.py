"""Streams that are grouped and folded, in windows of each kind or in none."""

from typing import Any

from tests.conformance.families.case import Case
from tests.conformance.families.parts import (
    below_windows,
    feed_windows,
    fold,
    grouped,
    maybe_cached,
    window,
    windowed_fold,
)

__all__ = ["aggregate", "closing", "cogroup", "sessions", "sliding", "unlimited", "windowed"]


def aggregate(c: Case) -> None:
    g, value = grouped(c)
    t, value = fold(c, g, value)
    if c.maybe(0.3):
        t = c.add("filter", **{"in": t}, fn="value_gt:1" if value == "long" else "value_len_gt:2")
    c.to(c.add("to_stream", **{"in": t}), value=value)
    c.feed(30, jitter=3000)


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
