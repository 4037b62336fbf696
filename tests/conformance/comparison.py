"""Says in what a run differs from what Kafka Streams did, in lines for people. No lines: the case passed."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["differences", "parse_description"]

Order = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]

#: More lines than these of one kind say nothing new.
_LINES_MAX = 6

_NODE = re.compile(r"(Source|Processor|Sink): (\S+) \((\w+): (.*)\)")


def differences(expected: dict[str, Any], observed: dict[str, Any]) -> list[str]:
    """Return the differences, one a line; outputs and internal topics are compared in order, byte by byte.

    The partitions of a topic have no order among them (`is_ordered` is false where there are several), while each topic
    of Kafka Streams' driver has one: what came of one step is then compared in any order.
    """
    order = list if observed.get("is_ordered", True) else _sorted_by_step
    return [
        *_error_differences(expected, observed),
        *_description_differences(expected.get("describe"), observed.get("describe")),
        *_topic_differences("output", expected.get("outputs", {}), observed.get("outputs", {}), order),
        *_topic_differences(
            "internal topic", expected.get("internal", {}), observed.get("internal", {}), order
        ),
        *_store_differences(expected.get("stores", {}), observed.get("stores", {})),
    ]


def _error_differences(expected: dict[str, Any], observed: dict[str, Any]) -> Iterator[str]:
    """Compare whether and when it failed. The class is Java's in one and Python's in the other, and is only shown."""
    wanted, found = expected.get("error"), observed.get("error")
    if (wanted is None) != (found is None) or expected.get("error_step") != observed.get("error_step"):
        yield (
            f"error: expected {wanted} at step {expected.get('error_step')}, "
            f"found {found} at step {observed.get('error_step')}"
        )


def parse_description(text: str) -> dict[str, dict[str, Any]]:
    """Return a `describe()` text as nodes by name: sub-topology, kind, topics or stores, successors, predecessors.

    Sets, because their order in Java's text is that of its hash tables.
    """
    nodes: dict[str, dict[str, Any]] = {}
    place, node = "", dict[str, Any]()
    for line in map(str.strip, text.splitlines()):
        if line.startswith("Sub-topology:"):
            place = line.removeprefix("Sub-topology:").strip()
        elif match := _NODE.fullmatch(line):
            kind, name, label, content = match.groups()
            node = nodes[name] = {"sub-topology": place, "kind": kind, label: _names(content.strip("[]"))}
        elif line.startswith("-->"):
            node["to"] = _names(line.removeprefix("-->"))
        elif line.startswith("<--"):
            node["from"] = _names(line.removeprefix("<--"))
    return nodes


def _names(text: str) -> frozenset[str]:
    return frozenset(name for name in map(str.strip, text.split(",")) if name and name != "none")


def _description_differences(expected: str | None, observed: str | None) -> Iterator[str]:
    if expected is None or observed is None:
        if expected != observed:
            yield f"describe: expected {expected and 'a topology'}, found {observed and 'a topology'}"
        return
    wanted, found = parse_description(expected), parse_description(observed)
    lines = [f"describe: {name} is missing" for name in sorted(wanted.keys() - found.keys())]
    lines += [f"describe: {name} is too many" for name in sorted(found.keys() - wanted.keys())]
    for name in sorted(wanted.keys() & found.keys()):
        for field in sorted(wanted[name].keys() | found[name].keys()):
            one, two = wanted[name].get(field), found[name].get(field)
            if one != two:
                lines.append(f"describe: {name}: {field}: expected {_shown(one)}, found {_shown(two)}")
    yield from _limited(lines)


def _sorted_by_step(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(records, key=lambda record: (record["step"], _shown(record)))


def _topic_differences(
    what: str, expected: dict[str, Any], observed: dict[str, Any], order: Order
) -> Iterator[str]:
    for topic in sorted(expected.keys() | observed.keys()):
        wanted, found = expected.get(topic, []), observed.get(topic, [])
        if any("ts" in record and record["ts"] is None for record in wanted):
            # Java's producer sets the time of what suppression logs, once a commit, in the order of a hash table.
            wanted, found = (
                _sorted_by_step(wanted),
                _sorted_by_step([{**record, "ts": None} for record in found]),
            )
        wanted, found = order(wanted), order(found)
        lines = [
            f"{what} {topic}: record {number}: expected {_shown(one)}, found {_shown(two)}"
            for number, (one, two) in enumerate(zip(wanted, found, strict=False))
            if one != two
        ]
        if len(wanted) != len(found):
            lines.append(f"{what} {topic}: expected {len(wanted)} records, found {len(found)}")
        yield from _limited(lines)


def _store_differences(expected: dict[str, Any], observed: dict[str, Any]) -> Iterator[str]:
    for store in sorted(expected.keys() | observed.keys()):
        wanted = sorted(map(_shown, map(_without_time, expected.get(store, []))))
        found = sorted(map(_shown, observed.get(store, [])))
        lines = [f"store {store}: {row} is missing" for row in _beyond(wanted, found)]
        lines += [f"store {store}: {row} is too many" for row in _beyond(found, wanted)]
        yield from _limited(lines)


def _beyond(rows: list[str], others: list[str]) -> list[str]:
    """Return the rows that are not among the others, counting equal ones."""
    left = list(others)
    found = []
    for row in rows:
        if row in left:
            left.remove(row)
        else:
            found.append(row)
    return found


def _without_time(row: Any) -> Any:
    """Drop the timestamp that Java's timestamped stores show beside a value: ours show the value.

    The changelog's records, which are compared byte by byte, hold it.
    """
    if (
        isinstance(row, dict)
        and isinstance(row.get("value"), dict)
        and row["value"].keys() == {"value", "ts"}
    ):
        return {**row, "value": row["value"]["value"]}
    return row


def _shown(content: Any) -> str:
    if isinstance(content, frozenset):
        return "[" + ", ".join(sorted(content)) + "]"
    return json.dumps(content, sort_keys=True)


def _limited(lines: list[str]) -> list[str]:
    if len(lines) <= _LINES_MAX:
        return lines
    return [*lines[:_LINES_MAX], f"… and {len(lines) - _LINES_MAX} more lines like these"]
