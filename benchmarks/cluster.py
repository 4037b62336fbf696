"""What a comparison does with the broker's topics: inputs are written once, what a run made goes after it."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import headrace as hr
from benchmarks.input import KEPT, fill_clicks, fill_orders, fill_profiles, fill_users
from benchmarks.workloads import ORDERS_PER_PROFILE, USERS_COUNT, Topics, Workload
from headrace.base.ids import TopicPartition
from headrace.log.port import Log, TopicSpec
from headrace.streams.logs import open_log

__all__ = ["Cluster"]

_DELETED_SECONDS = 30.0


class Cluster:
    """A broker, by the properties that reach it. Connected for one operation at a time: a run is not to share."""

    def __init__(self, properties: Mapping[str, str]) -> None:
        self.properties = properties

    def fill(self, topics: Topics, workload: Workload, records: int, value_bytes: int) -> None:
        """Write the input, and users, clicks or profiles where wanted, unless they are there."""
        with self._log() as log:
            if not _holds(log, topics.input, topics.partitions, records):
                _delete(log, [topics.input])
                fill_orders(log, topics, records, value_bytes)
            if workload.users and not _holds(log, topics.users, topics.partitions, USERS_COUNT):
                _delete(log, [topics.users])
                fill_users(log, topics)
            if workload.clicks and not _holds(log, topics.clicks, topics.partitions, records):
                _delete(log, [topics.clicks])
                fill_clicks(log, topics, records)
            updates = records // ORDERS_PER_PROFILE
            if workload.profiles and not _holds(log, topics.profiles, topics.partitions, updates):
                _delete(log, [topics.profiles])
                fill_profiles(log, topics, records)

    def make_output(self, topics: Topics) -> None:
        """Make the topic that a run writes to."""
        with self._log() as log:
            log.create_topics([TopicSpec(topics.output, topics.partitions, KEPT)])

    def delete_run(self, application_id: str, topics: Topics) -> None:
        """Delete what a run has made: its output and the application's internal topics."""
        with self._log() as log:
            internal = [name for name in log.topics() if name.startswith(f"{application_id}-")]
            _delete(log, [topics.output, *internal])

    @contextmanager
    def _log(self) -> Iterator[Log]:
        log = open_log(hr.Config(properties=self.properties))
        try:
            yield log
        finally:
            log.close()


def _holds(log: Log, topic: str, partitions: int, records: int) -> bool:
    """Whether a topic was written to its end: an interrupted run leaves half of it."""
    found = log.topics([topic]).get(topic)
    if found is None or found.partitions != partitions:
        return False
    places = [TopicPartition(topic, number) for number in range(partitions)]
    return sum(log.end_offsets(places).values()) == records


def _delete(log: Log, names: list[str]) -> None:
    """Delete topics and wait until they are gone: a broker does it in its own time, which is the next run's."""
    log.delete_topics(names)
    deadline = time.monotonic() + _DELETED_SECONDS
    while log.topics(names) and time.monotonic() < deadline:
        time.sleep(0.05)
