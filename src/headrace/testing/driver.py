"""The test driver: a topology run record by record, in the calling thread, without a broker or a file log."""

import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self, overload
from uuid import uuid4

from typing_extensions import TypeVar, Unpack

from headrace.base.advice import no_attribute
from headrace.base.durations import Duration, milliseconds
from headrace.base.errors import StateError, TopologyError
from headrace.base.ids import TopicPartition
from headrace.base.records import Record
from headrace.engine.clock import ManualClock
from headrace.engine.options import (
    EMIT_EXPIRED,
    OUTER_JOIN_EMIT_INTERVAL,
    WINDOW_EMIT_INTERVAL,
    EngineOptions,
)
from headrace.engine.worker import Worker
from headrace.engine.worker_building import build_worker
from headrace.log.memory import MemoryLog
from headrace.log.port import TopicSpec
from headrace.metrics.declaration import Level
from headrace.metrics.metric import Metrics, MetricsOf
from headrace.metrics.rates import Rates
from headrace.processor.handlers import log_and_fail
from headrace.query.local import store_name
from headrace.serde.registry.options import MOCK, URL
from headrace.state.declaration import Store
from headrace.state.typed_stores import typed
from headrace.streams.config import Config, ConfigFields
from headrace.streams.serdes import configure_serdes
from headrace.testing.advice import DRIVER_INSTEAD
from headrace.testing.stores import all_partitions
from headrace.testing.topics import InputTopic, OutputTopic
from headrace.topology.nodes import SinkNode, SourceNode
from headrace.topology.topics import Topic
from headrace.topology.topology import Topology

__all__ = ["TopologyTestDriver", "run"]

K = TypeVar("K")
V = TypeVar("V")
S = TypeVar("S")

#: More turns than this for one record mean that a topology feeds itself for ever.
_TURNS_MAX = 1_000_000


class TopologyTestDriver:
    """Runs a topology on the memory log, with the engine, stores and commit of production.

    Each piped record is processed to the end before `pipe` returns, and every record is a commit of its own, so a
    cached store shows each update. Wall-clock punctuations run in `advance` only. Joins of streams do not wait for the
    wall clock with results that have no match, unless they are told to: as in Kafka Streams' driver.

    `partitions` is the count for topics that do not declare one. Use it as a context manager, or call `close`.

    Attributes:
        log: the memory log, with every topic's raw records, internal topics included.
    """

    def __init__(
        self, topology: Topology, *, start: int = 0, partitions: int = 1, **config: Unpack[ConfigFields]
    ) -> None:
        if not isinstance(topology, Topology):
            raise TopologyError(
                f"cannot run a {type(topology).__qualname__}: a Topology is wanted, such as builder.build() gives"
            )
        config.setdefault("application_id", "test")
        self._topology = topology
        self._values = Config(**config).values()
        # As brokers, a schema registry is not needed: without one, each driver has its own.
        self._values.setdefault(URL.name, (f"{MOCK}driver-{uuid4()}",))
        self._clock = ManualClock(start)
        self._rates = Rates(self._clock.seconds())
        self._partitions = partitions
        self.log = MemoryLog()
        self._folder = tempfile.TemporaryDirectory(prefix="headrace-test-", ignore_cleanup_errors=True)
        self._worker: Worker | None = None
        self._matched: list[str] = []
        self._outputs: dict[str, OutputTopic[Any, Any]] = {}
        self._piped: Counter[str] = Counter()
        try:
            self._open()
        except BaseException:
            self.close()  # nobody else can: there is no driver then
            raise

    if not TYPE_CHECKING:  # which says so itself

        def __getattr__(self, name: str) -> NoReturn:
            raise no_attribute("TopologyTestDriver", name, dir(TopologyTestDriver), DRIVER_INSTEAD)

    @property
    def _application_id(self) -> str:
        return str(self._values["application.id"])

    def _open(self) -> None:
        configure_serdes(self._topology, self._values)
        values = {
            OUTER_JOIN_EMIT_INTERVAL: 0,
            WINDOW_EMIT_INTERVAL: 0,
            EMIT_EXPIRED: False,
            **self._values,
            "stretch.records.max": 1,
        }
        self._worker = build_worker(
            # A pattern reads what `input` was asked for, and not, as in production, what the topology writes itself.
            self._topology.with_topics(self._matched, otherwise=lambda node: f"{node.name}-without-topic"),
            self.log,
            EngineOptions.of(values),
            application_id=self._application_id,
            state_dir=Path(self._folder.name),
            clock=self._clock,
            partitions=self._partitions,
            commit_each_stretch=True,
        )
        self._worker.open()
        self._run()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close processors and stores, and delete their files. Twice is fine."""
        worker, self._worker = self._worker, None
        try:
            if worker is not None:
                worker.close()
        finally:
            self._folder.cleanup()

    def _running(self) -> Worker:
        if self._worker is None:
            raise StateError("the test driver is closed; make a new one")
        return self._worker

    def _run(self) -> None:
        worker = self._running()
        for _ in range(_TURNS_MAX):
            if not worker.step(0):
                return
        raise StateError("the topology does not come to rest: does it write to a topic that it reads?")

    def input(
        self, topic: Topic[K, V], *, start: int | None = None, advance: Duration = "0ms"
    ) -> InputTopic[K, V]:
        """Return the typed end for piping into a source topic.

        With `start` (epoch ms) it has a time of its own: records without a timestamp get that, and move it by
        `advance`.

        One that a pattern matches is made when it is first asked for; as in production, the tasks are made anew then.

        Raises:
            TopologyError: the topology does not read this topic.
        """
        _check_topic(topic)
        self._configure(topic)
        sources = {name for sub in self._topology.subtopologies for name in sub.source_topics}
        known = sorted(sources - set(self._topology.repartition_topics))
        if topic.name not in known and topic.name not in self._matched:
            self._match(topic, known)
        return InputTopic(
            topic,
            self.log,
            self._clock.wall_ms,
            self._run_guarded,
            start=start,
            advance_ms=milliseconds(advance, name="advance"),
            piped=lambda: self._piped.update([topic.name]),
        )

    def _configure(self, topic: Topic[Any, Any]) -> None:
        """Let the test's own handle of a topic write and read as the application does."""
        topic.key.configure(self._values)
        topic.value.configure(self._values)

    def _match(self, topic: Topic[Any, Any], known: list[str]) -> None:
        patterns = [
            node.pattern
            for node in self._topology.nodes.values()
            if isinstance(node, SourceNode) and node.pattern is not None
        ]
        if not any(re.fullmatch(pattern, topic.name) for pattern in patterns):
            matching = [f"what matches {' or '.join(patterns)}"] if patterns else []
            raise TopologyError(
                f"the topology does not read topic '{topic.name}'; it reads {', '.join([*known, *matching])}"
            )
        if topic.name not in self.log.topics():
            self.log.create_topics([TopicSpec(topic.name, topic.partitions or self._partitions)])
        self._matched.append(topic.name)
        self.restart()

    def _run_guarded(self) -> None:
        try:
            self._run()
        except BaseException:
            # As in production, a failure stops the worker; restart() reads from the last commit.
            if self._worker is not None:
                self._worker.close()
            raise

    def output(self, topic: Topic[K, V]) -> OutputTopic[K, V]:
        """Return the typed end for reading a topic; asked twice for one topic, it goes on where it was.

        Raises:
            TopologyError: the topology has no such topic, and no function of yours that names topics for its records.
        """
        _check_topic(topic)
        self._configure(topic)
        found = self._outputs.get(topic.name)
        if found is None:
            known = self.log.topics()
            if topic.name not in known and not self._names_topics_later(topic.name):
                raise TopologyError(
                    f"the topology does not write topic '{topic.name}'; there are {', '.join(sorted(known))}"
                )
            found = self._outputs[topic.name] = OutputTopic(topic, self.log)
        return found

    def _names_topics_later(self, name: str) -> bool:
        """Whether the topic may come into being with a record: a function chooses it, or a handler's dead letter."""
        chosen = any(
            isinstance(node, SinkNode) and not isinstance(node.topic, str)
            for node in self._topology.nodes.values()
        )
        options = EngineOptions.of(self._values)
        handlers = {
            options.deserialization_exception_handler,
            options.processing_exception_handler,
            options.production_exception_handler,
        }
        return chosen or name == options.errors_dead_letter_queue_topic_name or handlers != {log_and_fail}

    @overload
    def store(self, store: Store[S], *, partition: int | None = None) -> S: ...
    @overload
    def store(self, store: str, *, partition: int | None = None) -> Any: ...
    def store(self, store: Store[Any] | str, *, partition: int | None = None) -> Any:
        """Return a store: of one partition's task, to read or to write, or of all, to read them as one.

        Where there is one partition, it may be left out.

        Raises:
            TopologyError: the topology has no such store, has it of another kind or type, or not in this partition.
            StateError: a failure has stopped the application.
        """
        name = store_name(self._topology, store)
        present = self._partitions_of(name)
        if not present:
            raise StateError("a failure has stopped the application; restart() goes on from the last commit")
        if partition is None and len(present) > 1:
            return all_partitions(self._topology.stores[name], lambda: self._partitions_of(name))
        if partition is not None and partition not in present:
            raise TopologyError(
                f"store '{name}' has no partition {partition}; it has {', '.join(map(str, sorted(present)))}"
            )
        return present[min(present) if partition is None else partition]

    def _partitions_of(self, name: str) -> dict[int, Any]:
        found = {}
        for task in self._running().tasks:
            if any(spec.name == name for spec in task.subtopology.stores):
                task.context.enter()  # whoever writes to it here is the task
                found[task.id.partition] = typed(task.state.state(name), task.context)
        return found

    def advance(self, wall_clock: Duration) -> None:
        """Move the wall clock on, and run the punctuations that this makes due."""
        self._clock.advance(milliseconds(wall_clock, name="wall_clock"))
        self._run_guarded()

    def restart(self, *, lose_state: bool = False) -> None:
        """Crash, and start again: nothing is flushed or committed; the stores catch up with their changelogs.

        With `lose_state` the local disk is gone too, so everything is restored.
        """
        if self._worker is not None:
            self._worker.close()
        if lose_state:
            self._folder.cleanup()
            self._folder = tempfile.TemporaryDirectory(prefix="headrace-test-", ignore_cleanup_errors=True)
        self._open()

    @property
    def produced_topics(self) -> list[str]:
        """Names of the topics that the application has written to, internal ones too, in order."""
        names = sorted(self.log.topics())
        ends = self.log.end_offsets(
            [
                TopicPartition(name, number)
                for name in names
                for number in range(self.log.topics()[name].partitions)
            ]
        )
        written: Counter[str] = Counter()
        for partition, end in ends.items():
            written[partition.topic] += end
        return [name for name in names if written[name] > self._piped[name]]

    @property
    def stores(self) -> dict[str, Any]:
        """All stores by name, each as `store` returns it, but for what suppression holds back."""
        specs = self._topology.stores
        present = {spec.name for task in self._running().tasks for spec in task.subtopology.stores}
        return {name: self.store(name) for name in sorted(present) if specs[name].kind != "suppress"}

    def metrics(self) -> Metrics:
        """Return the metrics of its tasks and their thread, by the driver's clock; see `Streams.metrics`."""
        options = EngineOptions.of(self._values)
        into = MetricsOf(Level[options.metrics_recording_level], self._rates, self._clock.seconds())
        self._running().measure(into, self._application_id)
        return Metrics(into.found)

    @property
    def dropped(self) -> int:
        """How many records were dropped (null keys, late records, failures that a handler resumed)."""
        return sum(task.figures.dropped for task in self._running().tasks)


def _check_topic(topic: object) -> None:
    """Refuse a name alone, with which stores may be asked for."""
    if not isinstance(topic, Topic):
        raise TopologyError(
            f"a topic is asked for as a Topic, which has its serdes too, found {topic!r}: write "
            "hr.Topic(name, key=…, value=…)"
        )


def run(
    topology: Topology,
    inputs: Mapping[Topic[Any, Any], Iterable[tuple[Any, ...]]],
    **config: Unpack[ConfigFields],
) -> Mapping[str, list[Record[Any, Any]]]:
    """Pipe all inputs, topic after topic, and return what came out, by the name of each output topic.

    Outputs are raw bytes unless their topic's serdes are known from the topology's sinks.
    """
    with TopologyTestDriver(topology, **config) as driver:
        for topic, records in inputs.items():
            driver.input(topic).pipe_all(records)
        sinks = {
            sink.topic: Topic(sink.topic, key=sink.key, value=sink.value)
            for sub in topology.subtopologies
            for sink in sub.sinks
            if isinstance(sink.topic, str) and sink.topic not in topology.repartition_topics
        }
        return {name: driver.output(topic).read_all() for name, topic in sinks.items()}
