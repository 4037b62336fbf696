"""Runs a case on the test driver and writes down what the library did, in the form of the case's `expect`."""

from typing import Any

import headrace as hr
from headrace import testing
from headrace.base.ids import TopicPartition
from tests.conformance.interpreter import Built, build
from tests.conformance.serdes import as_json, from_json, topic

__all__ = ["observe"]

#: What shapes a topology, which the builder is given.
_OF_THE_BUILDER = frozenset({"topology.optimization", "dsl.store.format"})

_APPLICATION_ID = "conformance"


def observe(case: dict[str, Any]) -> dict[str, Any]:
    """Return what the library did with a case, and with `is_ordered` whether it has an order within a step.

    An error is written down where the case says that it may fail, and raised otherwise.

    Raises:
        MissingFeatureError: the case needs what the library does not have.
    """
    observed: dict[str, Any] = {}
    may_fail = bool(case.get("may_fail"))
    try:
        built = build(case)
    except hr.HeadraceError as error:
        if not may_fail:
            raise
        return {"error": type(error).__name__, "error_message": str(error)}
    observed["describe"] = built.topology.describe()
    with testing.TopologyTestDriver(
        built.topology,
        start=case.get("wall_clock_ms", 0),
        application_id=_APPLICATION_ID,
        properties={"statestore.cache.max.bytes": "0", **_properties(case["config"])},
    ) as driver:
        observed["outputs"] = {name: [] for name in case["outputs"]}
        observed["internal"] = {}
        _Replay(case, driver, observed).run(may_fail=may_fail)
        observed["stores"] = {name: _rows(driver, built, name) for name in case.get("stores", [])}
    return observed


def _properties(config: dict[str, str]) -> dict[str, str]:
    """Return what the driver is given: all but what the builder was, and throttles of operators that are not there."""
    given = {name: value for name, value in config.items() if name not in _OF_THE_BUILDER}
    return {
        name: value for name, value in given.items() if not (name.startswith("__") and not _is_known(name))
    }


def _is_known(name: str) -> bool:
    try:
        hr.Config().is_set(name)
    except hr.ConfigError:
        return False
    return True


class _Replay:
    """Pipes the steps of one case, and reads all topics after each of them."""

    def __init__(
        self, case: dict[str, Any], driver: testing.TopologyTestDriver, observed: dict[str, Any]
    ) -> None:
        self._case = case
        self._driver = driver
        self._observed = observed
        self._outputs = {name: driver.output(topic(name, types)) for name, types in case["outputs"].items()}
        self._seen: dict[TopicPartition, int] = {}

    def run(self, *, may_fail: bool) -> None:
        for number, step in enumerate(self._case["steps"]):
            try:
                self._do(step)
            except hr.HeadraceError as error:
                if not may_fail:
                    raise
                self._observed |= {"error": type(error.__cause__ or error).__name__, "error_step": number}
                return
            self._read(number)

    def _do(self, step: dict[str, Any]) -> None:
        if "advance_wall_clock_ms" in step:
            self._driver.advance(f"{step['advance_wall_clock_ms']}ms")
            return
        types = self._case["inputs"][step["topic"]]
        key = from_json(step["key"], types.get("key", "string"))
        value = from_json(step["value"], types.get("value", "string"))
        headers = tuple(
            (name, None if text is None else text.encode()) for name, text in step.get("headers", {}).items()
        )
        source = self._driver.input(topic(step["topic"], types))
        source.pipe(key, value, timestamp=step["ts"], headers=headers)

    def _read(self, number: int) -> None:
        for name, output in self._outputs.items():
            for record in output.read_all():
                row = {"step": number, "key": as_json(record.key), "value": as_json(record.value)}
                row["ts"] = record.timestamp
                if record.headers:
                    row["headers"] = [[header, as_json(content)] for header, content in record.headers]
                self._observed["outputs"][name].append(row)
        internal = {
            name: topic
            for name, topic in self._driver.log.topics().items()
            if name.startswith(f"{_APPLICATION_ID}-")
        }
        self._observed["is_ordered"] = all(topic.partitions == 1 for topic in internal.values())
        for name in sorted(internal):
            self._read_internal(number, name)

    def _read_internal(self, number: int, name: str) -> None:
        """Read new records of a changelog or repartition topic as bytes, partition by partition."""
        for partition, offset, key, value, timestamp, headers in self._driver.log.records(name):
            topic_partition = TopicPartition(name, partition)
            if offset < self._seen.get(topic_partition, 0):
                continue
            self._seen[topic_partition] = offset + 1
            row: dict[str, Any] = {"step": number, "key": _hex(key), "value": _hex(value), "ts": timestamp}
            if headers:
                row["headers"] = [[header, _hex(content)] for header, content in headers]
            self._observed["internal"].setdefault(name, []).append(row)


def _hex(content: bytes | None) -> str | None:
    return None if content is None else content.hex()


def _without_time(value: Any) -> Any:
    """Drop the time of a stamped value: those of sessions have none in Java."""
    return (
        {field: content for field, content in value.items() if field != "ts"}
        if isinstance(value, dict)
        else value
    )


def _rows(driver: testing.TopologyTestDriver, built: Built, name: str) -> list[dict[str, Any]]:
    store = driver.store(built.stores[name])
    if hasattr(store, "sessions"):
        return [
            {
                "key": as_json(key.key),
                "start": key.window.start,
                "end": key.window.end,
                "value": _without_time(as_json(value)),
            }
            for key, value in store.sessions()
        ]
    if not hasattr(store, "all"):
        windowed = ((key.key, key.window.start, value) for key, value in store.range())
        return [
            {"key": as_json(key), "start": start, "value": as_json(value)} for key, start, value in windowed
        ]
    return [{"key": as_json(key), "value": as_json(value)} for key, value in store.all()]
