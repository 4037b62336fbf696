"""The replay writes down all that came, of topics with several partitions too."""

from typing import Any

from tests.conformance.replay import observe


def test_records_of_every_partition_are_seen_once_and_with_their_step() -> None:
    keys = ["a", "b", "c", "d", "e", "a"]
    case: dict[str, Any] = {
        "config": {},
        "topology": [
            {"op": "stream", "id": "in", "topic": "in"},
            {"op": "repartition", "id": "moved", "in": "in", "name": "moved", "partitions": 3},
            {"op": "to", "in": "moved", "topic": "out"},
        ],
        "inputs": {"in": {}},
        "outputs": {"out": {}},
        "steps": [
            {"topic": "in", "key": key, "value": str(step), "ts": step} for step, key in enumerate(keys)
        ],
    }
    observed = observe(case)
    moved = observed["internal"]["conformance-moved-repartition"]
    assert [(row["step"], bytes.fromhex(row["key"]).decode()) for row in moved] == list(enumerate(keys))
    assert [row["value"] for row in observed["outputs"]["out"]] == ["0", "1", "2", "3", "4", "5"]
    assert observed["is_ordered"] is False
