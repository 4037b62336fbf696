"""Larger topologies of several sources and sinks."""

from tests.conformance.families.case import Case
from tests.conformance.families.parts import stateless_step

__all__ = ["graph"]


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
