"""Topics that are read by lists, by patterns, twice, as streams and as tables; and keys and values of all types."""

from typing import Any

from tests.conformance.families.case import Case
from tests.conformance.families.parts import fold, stateless_step, window

__all__ = ["sources", "typed"]


def _declare(c: Case, *topics: str) -> None:
    for topic in topics:
        c.doc["inputs"][topic] = {"key": "string", "value": "string"}


def sources(c: Case) -> None:
    """Sources over lists, patterns and the same topic, and operators that care which source it was."""
    r = c.rng
    if c.maybe(0.5):
        c.doc["config"]["topology.optimization"] = "all"
    common: dict[str, Any] = {"key": "string", "value": "string"}
    kind = r.choice(["list", "pattern", "same_stream", "table_too", "two_patterns", "list_and_table"])
    streams: list[str] = []
    table = None
    if kind in ("list", "list_and_table"):
        _declare(c, "one", "two", "three")
        streams.append(c.add("stream", topics=["one", "two"], **common, name=c.named("src")))
        streams.append(c.add("stream", topic="three", **common))
        if kind == "list_and_table":
            table = c.source("table", "rows", store=c.named("rows"))
    elif kind in ("pattern", "two_patterns"):
        _declare(c, "in-a", "in-b", "other-a")
        streams.append(c.add("stream", pattern="in-[ab]", **common, name=c.named("src")))
        if kind == "two_patterns":
            streams.append(c.add("stream", pattern="other-.*", **common))
        else:
            streams.append(c.add("stream", topic="other-a", **common))
        if c.maybe(0.4):
            table = c.source("table", "rows")
    elif kind == "same_stream":
        _declare(c, "one")
        streams += [c.add("stream", topic="one", **common) for _ in range(r.choice([2, 3]))]
    else:
        table = c.source("table", "rows", store=c.named("rows"))
        if c.maybe(0.5):
            streams.append(c.add("to_stream", **{"in": table}))
        _declare(c, "one")
        streams.append(c.add("stream", topic="one", **common))
    # The topics of a pattern have one row of offsets in Kafka Streams' driver, so no operator asks for a place here.
    made = []
    for number, stream in enumerate(streams):
        value = "string"
        if c.maybe(0.5):
            stream, value = stateless_step(c, stream, value)
        made.append((stream, value))
        if c.maybe(0.6):
            c.to(stream, f"out{number}", value=value)
    texts = [stream for stream, value in made if value == "string"] or streams[:1]
    ending = r.choice(["merge", "join", "count", "table", "windows"])
    if ending == "merge":
        c.to(c.add("merge", **{"in": texts[0]}, other=texts[-1], name=c.named("m")), "ended")
    elif ending == "join":
        within = {"difference_ms": r.choice([100, 2000]), "grace_ms": r.choice([0, 1000])}
        c.doc["config"]["__emit.interval.ms.kstreams.outer.join.spurious.results.fix__"] = "0"
        op = r.choice(["join", "left_join", "outer_join"])
        c.to(c.add(op, **{"in": texts[0]}, other=texts[-1], window=within, store=c.named("js")), "ended")
    elif ending == "table" and table is not None:
        c.to(c.add(r.choice(["join", "left_join"]), **{"in": texts[0]}, other=table), "ended")
    else:
        g = c.add("group_by_key", **{"in": texts[0]}, key="string", value="string", name=c.named("g"))
        if ending == "windows":
            w = window(c)
            t, value = fold(c, c.add("windowed_by", **{"in": g}, window=w), "string", w["type"])
            c.to(c.add("unwindow", **{"in": c.add("to_stream", **{"in": t})}), "ended", value=value)
        else:
            t, value = fold(c, g, "string")
            c.to(c.add("to_stream", **{"in": t}), "ended", value=value)
    if not c.doc["outputs"]:
        c.to(texts[0])
    c.feed(30, null_value=0.0 if ending == "windows" else 0.1, jitter=r.choice([0, 2000]), headers=0.2)


_TYPED_KEYS: dict[str, list[Any]] = {
    "string": ["k1", "k2", ""],
    "long": [0, -1, 2**40],
    "int": [0, -7, 123456],
    "bytes": ["x", "y"],
}
_TYPED_VALUES: dict[str, list[Any]] = {
    "string": ["a", "é", "😀", "", "a b"],
    "long": [0, 1, -1, 2**62],
    "int": [0, 5, -5],
    "double": [0.0, -1.5, 1e300],
    "bytes": ["q", "", "rs"],
}


def typed(c: Case) -> None:
    """Keys and values of all types through stores, windows, repartitions and joins: their bytes, above all."""
    r = c.rng
    kinds = ["count", "windows", "windowed_key", "table", "table_join", "stream_join", "repartition", "group"]
    kind, key, value = r.choice(kinds), r.choice([*_TYPED_KEYS]), r.choice([*_TYPED_VALUES])
    if "join" in kind and value == "bytes":
        value = "int"  # Java has no text for bytes that says what they are
    types = {"key": key, "value": value}
    s = c.source("stream", "in", **types)
    if kind == "repartition":
        c.to(c.add("repartition", **{"in": s}, **types, name=c.named("re")), **types)
    elif kind == "table":
        t = c.add("to_table", **{"in": s}, **types, store="rows")
        c.doc["stores"] = ["rows"]
        c.to(c.add("to_stream", **{"in": t}), **types)
    elif kind == "table_join":
        t = c.source("table", "rows", **types, store=c.named("rows"))
        c.to(
            c.add(r.choice(["join", "left_join"]), **{"in": s}, other=t, **types, other_value=value), key=key
        )
    elif kind == "stream_join":
        other = c.source("stream", "in2", key=key, value="long")
        within = {"difference_ms": 1000, "grace_ms": r.choice([0, 1000])}
        op = r.choice(["join", "left_join", "outer_join"])
        c.to(c.add(op, **{"in": s}, other=other, window=within, **types, other_value="long"), key=key)
        c.doc["config"]["__emit.interval.ms.kstreams.outer.join.spurious.results.fix__"] = "0"
    elif kind == "group":
        g = c.add("group_by", **{"in": s}, fn="identity", key=value, value=value)
        c.to(c.add("to_stream", **{"in": c.add("count", **{"in": g}, key=value)}), key=value, value="long")
    else:
        g = c.add("group_by_key", **{"in": s}, **types)
        if kind == "count":
            t = c.add("count", **{"in": g}, key=key, store=c.named("n"), caching=r.choice([None, False]))
            c.to(c.add("to_stream", **{"in": t}), key=key, value="long")
        else:
            w = window(c)
            t = c.add("count", **{"in": c.add("windowed_by", **{"in": g}, window=w)}, key=key)
            s = c.add("to_stream", **{"in": t})
            size = w.get("size_ms", w.get("difference_ms"))
            out = f"session:{key}" if w["type"] == "session" else f"windowed:{key}:{size}"
            if kind == "windowed_key":
                # Windowed keys behind a repartition, and counted themselves.
                s = c.add("repartition", **{"in": s}, key=out, value="long")
                g = c.add("group_by_key", **{"in": s}, key=out, value="long")
                s = c.add("to_stream", **{"in": c.add("count", **{"in": g}, key=out)})
            c.to(s, key=out, value="long")
    c.feed(30, null_value=0.0 if "window" in kind else 0.1, jitter=r.choice([0, 3000]))
    for step in c.doc["steps"]:
        given = c.doc["inputs"][step["topic"]]
        if step["key"] is not None:
            step["key"] = r.choice(_TYPED_KEYS[given["key"]])
        if step["value"] is not None:
            step["value"] = r.choice(_TYPED_VALUES[given["value"]])
