"""A Kafka cluster behind the log port: the control plane here, readers and writers beside it."""

import threading
import time
from collections.abc import Iterable, Mapping, Sequence

from headrace.base.errors import StateError
from headrace.base.ids import TopicPartition
from headrace.group.application import GroupApplication
from headrace.kafka.control.admin import Admin
from headrace.kafka.control.groups import ControlGroups
from headrace.kafka.control.health import ControlHealth
from headrace.kafka.control.offsets import EARLIEST, LATEST, ControlOffsets
from headrace.kafka.control.topics import ControlTopics
from headrace.kafka.fetch.reader import KafkaReader
from headrace.kafka.group.groups import KafkaGroups
from headrace.kafka.group.membership import KafkaMembership
from headrace.kafka.net.waiting import Waiting
from headrace.kafka.options import ConnectionSettings, KafkaOptions
from headrace.kafka.produce.opening import open_writer
from headrace.kafka.produce.writer import KafkaWriter
from headrace.log.admission import unknown_topic
from headrace.log.membership import JoinOptions
from headrace.log.port import CommittedOffset, TopicInfo, TopicSpec

__all__ = ["KafkaLog"]

# A writer asks about its topics in every transaction. A change of max.message.bytes may take this long to be seen.
_TOPIC_AGE_S = 30.0


class KafkaLog:
    """A cluster, reached with the first request. Every operation blocks for `default.api.timeout.ms` at most.

    Readers and writers have connections of their own, so that a fetch that waits holds up nobody.
    """

    makes_user_topics = False

    def __init__(self, settings: ConnectionSettings, options: KafkaOptions) -> None:
        """Make a log without connecting.

        Raises:
            ConfigError: the connections' properties do not fit together, or name a file that cannot be used.
        """
        self._settings = settings
        self._options = options
        self._waiting = Waiting()
        self._admin = Admin(settings, self._waiting)
        self._topics = ControlTopics(
            self._admin,
            replication_factor=options.replication_factor,
            request_bytes_max=options.max_request_size,
            is_compressing=options.compression_type != "none",
        )
        self._offsets = ControlOffsets(self._admin)
        self._groups = ControlGroups(self._admin)
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[float, TopicInfo]] = {}
        self._joined: set[str] = set()
        self._is_closed = False

    def topics(self, names: Iterable[str] | None = None) -> Mapping[str, TopicInfo]:
        """See `Log.topics`. Kafka's own topics are left out of all that there are.

        Raises:
            LogError: a named topic may not be described; or the cluster cannot be reached, as for all operations.
        """
        self._check_open("look up topics")
        found = self._topics.describe(None if names is None else list(dict.fromkeys(names)))
        now = time.monotonic()
        with self._lock:
            self._seen.update((name, (now, info)) for name, info in found.items())
        return found

    def partition_counts(self, names: Iterable[str] | None = None) -> Mapping[str, int]:
        """See `Log.partition_counts`. One request, without the topics' properties."""
        self._check_open("look up topics")
        return self._topics.partition_counts(None if names is None else list(dict.fromkeys(names)))

    def create_topics(self, topics: Sequence[TopicSpec]) -> None:
        """See `Log.create_topics`. Returns when all brokers know them, with a leader for each partition.

        Raises:
            LogError: also where the cluster refuses: its reason, and what to change.
        """
        self._check_open("create topics")
        self._topics.create(topics)

    def delete_topics(self, names: Iterable[str]) -> None:
        """See `Log.delete_topics`. Committed offsets of the topics stay until the group expires."""
        self._check_open("delete topics")
        gone = list(names)
        with self._lock:
            for name in gone:
                self._seen.pop(name, None)
        self._topics.delete(gone)

    def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """See `Log.beginning_offsets`."""
        self._check_open("find offsets")
        return self._offsets.find("find the start of", dict.fromkeys(partitions, EARLIEST), committed=False)

    def end_offsets(
        self, partitions: Iterable[TopicPartition], *, committed: bool = True
    ) -> Mapping[TopicPartition, int]:
        """See `Log.end_offsets`."""
        self._check_open("find offsets")
        return self._offsets.find("find the end of", dict.fromkeys(partitions, LATEST), committed=committed)

    def offsets_for_times(self, timestamps: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
        """See `Log.offsets_for_times`. A time before 1970 means the first offset."""
        self._check_open("find offsets")
        asked = {topic_partition: max(0, timestamp) for topic_partition, timestamp in timestamps.items()}
        found = dict(self._offsets.find("find a time in", asked, committed=True))
        nothing = [topic_partition for topic_partition, offset in found.items() if offset < 0]
        ends = self._offsets.find("find the end of", dict.fromkeys(nothing, LATEST), committed=True)
        return {**found, **ends}

    def committed(
        self, group: str, partitions: Iterable[TopicPartition]
    ) -> Mapping[TopicPartition, CommittedOffset]:
        """See `Log.committed`. Waits for transactions that are being decided."""
        self._check_open("read committed offsets")
        return self._groups.committed(group, list(partitions))

    @property
    def groups(self) -> KafkaGroups:
        """See `Log.groups`."""
        self._check_open("look up groups")
        return KafkaGroups(self._admin, self._groups)

    def join(self, group: str, application: GroupApplication, options: JoinOptions) -> KafkaMembership:
        """See `Log.join`."""
        self._check_open("join a group")
        self._joined.add(group)
        return KafkaMembership(group, application, options, self._settings, self._options, self._waiting)

    def reader(self) -> KafkaReader:
        """See `Log.reader`."""
        self._check_open("make a reader")
        return KafkaReader(self._settings, self._options, self._waiting)

    def writer(self, group: str, transactional_id: str | None = None) -> KafkaWriter:
        """See `Log.writer`."""
        self._check_open("make a writer")
        return open_writer(
            self._settings,
            self._options,
            group,
            transactional_id,
            topics=self._topic,
            waiting=self._waiting,
            needs_member=lambda: group in self._joined,
        )

    def _topic(self, name: str) -> TopicInfo:
        """Return a topic that a writer wants to write to, as it was within half a minute."""
        with self._lock:
            seen = self._seen.get(name)
        if seen is not None and time.monotonic() - seen[0] < _TOPIC_AGE_S:
            return seen[1]
        found = self.topics([name]).get(name)
        if found is None:
            with self._lock:
                self._seen.pop(name, None)
            raise unknown_topic("write to", name)
        return found

    def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        """See `Log.delete_records`. What fails is warned of once; a compacted topic ignores it."""
        self._check_open("delete records")
        self._offsets.delete_before(before)

    def maintain(self, budget_ms: int) -> None:
        """Do nothing: brokers keep house themselves."""

    def hurry(self, seconds: float) -> None:
        """See `Log.hurry`."""
        self._waiting.hurry(seconds)

    def health(self) -> ControlHealth:
        """Return what asks how the cluster is, for tools."""
        self._check_open("look at the cluster")
        return ControlHealth(self._admin)

    @property
    def trouble(self) -> str | None:
        """See `Log.trouble`."""
        return self._waiting.reason

    @property
    def silence_s(self) -> float | None:
        """See `Log.silence_s`."""
        return self._waiting.silence_s

    def close(self) -> None:
        """Close the control plane's connections; readers, writers and members have their own."""
        if self._is_closed:
            return
        self._is_closed = True
        self._admin.close()

    def _check_open(self, attempt: str) -> None:
        if self._is_closed:
            raise StateError(f"cannot {attempt}: the log is closed; open it again")
