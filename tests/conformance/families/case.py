"""A conformance case under construction: what its topology, its topics and its records are written down in."""

import random
from typing import Any

__all__ = ["KEYS", "WORDS", "Case"]

WORDS = ["a", "b", "ab", "abc", "hello world", "x y z", "kafka", "streams", "b a", "zzz"]
KEYS = ["k1", "k2", "k3", "k4"]


class Case:
    """One case under construction: a topology, its inputs and the records to pipe."""

    def __init__(self, rng: random.Random, name: str) -> None:
        self.rng = rng
        self.n = 0
        self.doc: dict[str, Any] = {
            "name": name,
            "config": {},
            "topology": [],
            "inputs": {},
            "outputs": {},
            "steps": [],
        }

    def id(self) -> str:
        self.n += 1
        return f"n{self.n}"

    def add(self, op: str, **fields: Any) -> str:
        node: dict[str, Any] = {"op": op}
        has_id = op not in ("to", "state_store", "global_store", "split")
        if has_id:
            node["id"] = self.id()
        node.update({k: v for k, v in fields.items() if v is not None})
        self.doc["topology"].append(node)
        return str(node.get("id"))

    def source(self, op: str, topic: str, key: str = "string", value: str = "string", **fields: Any) -> str:
        self.doc["inputs"][topic] = {"key": key, "value": value}
        return self.add(op, topic=topic, key=key, value=value, **fields)

    def to(
        self, node: str, topic: str = "out", key: str = "string", value: str = "string", **fields: Any
    ) -> None:
        sink_key = key
        self.add("to", **{"in": node}, topic=topic, key=sink_key, value=value, **fields)
        self.doc["outputs"][topic] = {"key": key, "value": value}

    def maybe(self, p: float = 0.3) -> bool:
        return self.rng.random() < p

    def named(self, stem: str) -> str | None:
        return f"{stem}-{self.rng.randrange(1000)}" if self.maybe() else None

    def feed(
        self,
        count: int,
        *,
        null_key: float = 0.05,
        null_value: float = 0.1,
        jitter: int = 0,
        step: int = 1000,
        topics: list[str] | None = None,
        headers: float = 0.0,
        wall: float = 0.0,
        flat_ts: bool = False,
    ) -> None:
        """Pipes random records; jitter makes timestamps run out of order by up to that many ms."""
        r, t = self.rng, 0
        topics = topics or list(self.doc["inputs"])
        for _ in range(count):
            if wall and r.random() < wall:
                self.doc["steps"].append({"advance_wall_clock_ms": r.choice([100, 1000, 5000])})
            topic = r.choice(topics)
            types = self.doc["inputs"][topic]
            if not flat_ts:
                t += r.randrange(0, step)
            ts = max(0, t - (r.randrange(0, jitter) if jitter and r.random() < 0.5 else 0))
            value = r.randrange(-5, 30) if types["value"] == "long" else r.choice(WORDS)
            rec: dict[str, Any] = {
                "topic": topic,
                "key": None if r.random() < null_key else r.choice(KEYS),
                "value": None if r.random() < null_value else value,
                "ts": ts,
            }
            if headers and r.random() < headers:
                rec["headers"] = {r.choice("pqr"): r.choice(WORDS) for _ in range(r.randrange(1, 3))}
            self.doc["steps"].append(rec)
