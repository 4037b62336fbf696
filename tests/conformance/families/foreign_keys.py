"""Joins of tables by a foreign key."""

from typing import Any

from tests.conformance.families.case import KEYS, Case

__all__ = ["foreign_key", "foreign_key_graph"]


def foreign_key(c: Case) -> None:
    r = c.rng
    left, right = c.source("table", "left"), c.source("table", "right")
    t = c.add(
        r.choice(["join", "left_join"]),
        **{"in": left},
        other=right,
        fn=r.choice(["prefix:1", "identity"]),
        name=c.named("fk"),
        store=c.named("fks"),
        key="string",
        value="string",
    )
    c.to(c.add("to_stream", **{"in": t}))
    topics = ["left", "right"]
    c.feed(35, null_value=0.25, null_key=0.02, jitter=r.choice([0, 2000]), topics=topics)
    for s in c.doc["steps"]:  # keys on the right are what the left's values point at
        if s["topic"] == "right" and s["key"] is not None:
            s["key"] = r.choice(["a", "b", "x", "k", "ab"])


def foreign_key_graph(c: Case) -> None:
    """Foreign-key joins of tables kept or not, mapped, filtered; joined again, by key or foreign key, and grouped."""
    r = c.rng
    if c.maybe(0.25):
        c.doc["config"]["topology.optimization"] = "all"
    left, fn, keyed = _foreign_left(c)
    right = _foreign_right(c, fn)
    t = _foreign_join(c, left, right, fn, keyed=keyed)
    kind = r.choice(["none", "none", "again", "same_right", "by_key", "grouped", "filtered"])
    if kind == "again":
        third = c.source("table", "third", store=c.named("third"))
        t = _foreign_join(c, t, third, "prefix:1")
    elif kind == "same_right":  # whose results do not meet: of two answers at one time, either may come first
        c.to(c.add("to_stream", **{"in": _foreign_join(c, left, right, fn, keyed=keyed)}), "out2")
    elif kind == "by_key":
        third = c.source("table", "third")
        t = c.add(r.choice(["join", "left_join", "outer_join"]), **{"in": t}, other=third)
    elif kind == "grouped":
        g = c.add("group_by", **{"in": t}, fn="prefix:1", key="string", value="string")
        t = c.add(
            "reduce", **{"in": g}, fn="concat_comma", subtract_fn="remove_last", key="string", value="string"
        )
    elif kind == "filtered":
        t = c.add(
            "filter", **{"in": t}, fn="value_contains:a", store=c.named("kept"), key="string", value="string"
        )
        t = c.add(
            "map_values", **{"in": t}, fn="append:!", store=c.named("marked"), key="string", value="string"
        )
    c.to(c.add("to_stream", **{"in": t}))
    c.doc["stores"] = [
        each["store"]
        for each in c.doc["topology"]
        if each.get("store") and not str(each.get("store_type", "")).startswith("versioned")
    ]
    c.feed(
        r.choice([30, 45]),
        null_value=r.choice([0.15, 0.35]),
        null_key=0.02,
        jitter=r.choice([0, 2000]),
        headers=r.choice([0.0, 0.3]),
    )
    _foreign_keys_that_match(c, fn)


def _foreign_left(c: Case) -> tuple[str, str, bool]:
    """The table whose values name rows of the other: its node, the extractor, and whether that takes the key."""
    r = c.rng
    value = r.choice(["string", "string", "long"])
    if c.maybe(0.7):
        left = c.source("table", "left", value=value, store=c.named("left"))
    else:
        s = c.source("stream", "left", value=value)
        if c.maybe(0.4):
            s = c.add("select_key", **{"in": s}, fn="mod:3" if value == "long" else "prefix:1")
        left = c.add("to_table", **{"in": s}, key="string", value=value, store=c.named("lefts"))
    left = _some_view(c, left, "string", value, "l")
    if value == "long":
        return left, r.choice(["mod:2", "mod:3", "add:0"]), False
    if c.maybe(0.4):
        return left, r.choice(["key", "prepend_key", "identity"]), True
    return left, r.choice(["prefix:1", "identity", "after:a", "length", "null_if:b a"]), False


def _foreign_right(c: Case, fn: str) -> str:
    """The table whose rows the extractor names."""
    key = "long" if fn in {"length", "add:0"} else "string"
    value = c.rng.choice(["string", "long"])
    return _some_view(
        c, c.source("table", "right", key=key, value=value, store=c.named("right")), key, value, "r"
    )


def _some_view(c: Case, table: str, key: str, value: str, side: str) -> str:
    """The table itself, or what a filter, a mapping or both make of it."""
    common: dict[str, Any] = {"key": key, "value": value}
    if c.maybe(0.3):
        fn = "value_gt:3" if value == "long" else c.rng.choice(["value_len_gt:1", "value_contains:a"])
        table = c.add("filter", **{"in": table}, fn=fn, store=c.named(f"{side}-view"), **common)
    if c.maybe(0.3):
        fn = "add:1" if value == "long" else c.rng.choice(["append:!", "null_if:ab", "reverse"])
        # Without a store, Kafka Streams takes what a mapping makes for text.
        store = c.named(f"{side}-mapped") or (f"{side}-mapped" if value == "long" else None)
        table = c.add("map_values", **{"in": table}, fn=fn, store=store, **common)
    return table


def _foreign_join(c: Case, left: str, right: str, fn: str, *, keyed: bool = False) -> str:
    return c.add(
        c.rng.choice(["join", "left_join"]),
        **{"in": left},
        other=right,
        fn=fn,
        with_key=True if keyed else None,
        name=c.named("fk"),
        store=c.named("fks"),
        caching=c.rng.choice([None, None, False]),
        key="string",
        value="string",
    )


def _foreign_keys_that_match(c: Case, fn: str) -> None:
    """Let the keys on the other side be what the values point at."""
    r = c.rng
    matching: list[Any] = ["a", "b", "x", "k", "ab", "hello world", "zzz"]
    if fn.startswith("mod"):
        matching = ["m0", "m1", "m2"]
    elif fn in {"length", "add:0"}:
        matching = [1, 2, 3, 5, 7]
    elif fn == "key":
        matching = KEYS
    elif fn == "prepend_key":
        matching = ["k1=a", "k2=b", "k1=ab", "k2=ab"]
    elif fn == "after:a":
        matching = ["", "b", "bc", "fka", "ms"]
    for step in c.doc["steps"]:
        if step["topic"] == "right" and step["key"] is not None:
            step["key"] = r.choice(matching)
        elif step["topic"] == "third" and c.maybe(0.7) and step["key"] is not None:
            step["key"] = r.choice([*KEYS, "a", "b", "x", "k"])
