"""Processors with a store of their own, and punctuation."""

from tests.conformance.families.case import Case

__all__ = ["processor", "ticking"]


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


def ticking(c: Case) -> None:
    """Chains of processors in one task: punctuation by both clocks, what time and place a processor sees.

    Nothing goes through internal topics: these would move the stream time of the one task of Kafka Streams' driver.
    """
    r = c.rng
    c.add("state_store", store="mine", key="string", value="string", store_type=r.choice([None, "memory"]))
    s = c.source("stream", "in")
    if c.maybe(0.4):
        s = c.add("merge", **{"in": s}, other=c.source("stream", "in2"))
    if c.maybe(0.3):
        right = c.source("table", "rows")
        s = c.add(r.choice(["join", "left_join"]), **{"in": s}, other=right)
    interval = r.choice([1, 100, 1000, 5000])
    for _ in range(r.randrange(1, 5)):
        kinds = [
            f"tick_stream_ms:{interval}",
            f"tick_wall_ms:{interval}",
            f"flush_every_stream_ms:{interval}",
            "stream_time",
            "place",
            "twice",
            "header",
        ]
        if c.maybe(0.2):
            s = c.add(
                r.choice(["filter", "filter_not"]), **{"in": s}, fn="value_contains:a", name=c.named("f")
            )
        s = c.add("process", **{"in": s}, fn=r.choice(kinds), store="mine", name=c.named("p"))
    c.doc["stores"] = ["mine"]
    c.to(s)
    c.feed(
        r.choice([15, 30]),
        headers=0.3,
        wall=r.choice([0.0, 0.3]),
        jitter=r.choice([0, 3000]),
        step=r.choice([2, 300, 3000, 20_000]) if interval > 1 else 5,
    )
