"""Joins of streams within windows."""

from typing import Any

from tests.conformance.families.case import Case

__all__ = ["stream_join", "stream_join_chain", "stream_join_self", "stream_join_windows"]


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
