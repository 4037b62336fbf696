"""Operators that keep nothing."""

from tests.conformance.families.case import Case
from tests.conformance.families.parts import stateless_step

__all__ = ["stateless"]


def stateless(c: Case) -> None:
    r = c.rng
    node, value = c.source("stream", "in", value=r.choice(["string", "string", "long"])), None
    value = c.doc["inputs"]["in"]["value"]
    for _ in range(r.randrange(1, 6)):
        node, value = stateless_step(c, node, value)
    if c.maybe(0.5):
        p = ["value_gt:5", "value_even"] if value == "long" else ["value_contains:a", "value_len_gt:2"]
        ids = [c.id(), c.id(), c.id()]
        nm = c.named("split-")
        c.add(
            "split",
            **{"in": node},
            name=nm,
            branches=[{"id": ids[0], "fn": p[0], "name": "one" if nm else None}, {"id": ids[1], "fn": p[1]}],
            default={"id": ids[2]},
        )
        a, av = stateless_step(c, ids[0], value)
        if c.maybe(0.5) and av == value:
            node = c.add("merge", **{"in": a}, other=ids[1], name=c.named("mrg"))
            c.to(node, "out", value=value)
        else:
            c.to(a, "out", value=av)
            c.to(ids[1], "out2", value=value)
        c.to(ids[2], "rest", value=value)
    else:
        if c.maybe(0.3):
            node = c.add("repartition", **{"in": node}, key="string", value=value, name=c.named("rep"))
        c.to(node, value=value, name=c.named("sink"))
    c.feed(25, headers=0.3)
