"""The reader of a Kafka cluster: polls the fetch machine's data through the codec, as chunks."""

import time
from collections.abc import Iterable, Mapping

from headrace.base.columns import Chunk
from headrace.base.errors import LogError, LogUnavailableError, StateError
from headrace.base.ids import TopicPartition
from headrace.kafka.batch.codec import CodecError, ExpandedBatchError, decode, next_position
from headrace.kafka.fetch.machine import FetchMachine
from headrace.kafka.fetch.messages import FetchLimits, TakenRun
from headrace.kafka.fetch.network import FetchNetwork
from headrace.kafka.net.network import Network
from headrace.kafka.net.waiting import Waiting
from headrace.kafka.options import ConnectionSettings, KafkaOptions

__all__ = ["KafkaReader"]

#: What one poll returns at most, decoded; one partition's answer more.
_POLL_BYTES_MAX = 4 * 1024 * 1024

#: Whoever waits for topics looks as often as this whether somebody is in a hurry.
_LOOK_S = 0.2


class KafkaReader:
    """Reads a Kafka cluster. See `Reader`.

    It connects with the first `assign`. What was read and is no longer in the log (an unclean election) is told as
    OffsetOutOfRangeError, by brokers since 2.7; older ones tell it only where the log is shorter now.
    """

    def __init__(
        self, settings: ConnectionSettings, options: KafkaOptions, waiting: Waiting | None = None
    ) -> None:
        limits = FetchLimits(
            max_wait_ms=options.fetch_max_wait_ms,
            min_bytes=options.fetch_min_bytes,
            bytes_max=options.fetch_max_bytes,
            partition_bytes_max=options.max_partition_fetch_bytes,
            rack=settings.client_rack,
            metadata_max_age_ms=settings.metadata_max_age_ms,
            retry_backoff_ms=settings.retry_backoff_ms,
            retry_backoff_max_ms=settings.retry_backoff_max_ms,
        )
        self._settings = settings
        self._bytes_max = options.fetch_max_bytes
        self._machine = FetchMachine(limits)
        self._waiting = waiting or Waiting()
        self._network = Network(settings, purpose="reader", waiting=self._waiting)
        self._wire = FetchNetwork(
            self._machine, self._network, next_position, settings.request_timeout_ms, self._waiting
        )
        self._is_connected = False
        self._is_closed = False
        # Decoded bytes a fetched one: what compression does to these topics, of late.
        self._expansion = 1.0

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """See `Reader.assign`. Waits until a broker has told of topics that were not read before.

        Raises:
            UnknownTopicError: no broker has known a topic or partition for a second; none of `positions` is assigned.
            LogError: no broker can be reached (a LogUnavailableError), or none may tell of a topic; none of `positions`
                is assigned.
        """
        self._check_usable("assign partitions")
        if not self._is_connected:
            self._network.connect()
            self._is_connected = True
        self._machine.assign(positions, time.monotonic())
        try:
            self._await_topics(positions)
        except LogError:
            self._machine.unassign(positions)
            raise
        self._wire.send()

    def _await_topics(self, positions: Iterable[TopicPartition]) -> None:
        wait_s = self._settings.default_api_timeout_ms / 1000
        deadline = time.monotonic() + wait_s
        while (undecided := self._machine.undecided(positions)) is not None:
            left_s = self._waiting.deadline(deadline) - time.monotonic()
            if left_s <= 0:
                waited = self._waiting.given_up(f"default.api.timeout.ms={1000 * wait_s:.0f}")
                raise LogUnavailableError(
                    f"cannot assign {undecided}: no broker has told who leads it {waited}; look whether the cluster "
                    f"is up"
                )
            self._wire.pump(min(left_s, _LOOK_S))
        error = self._machine.failure(positions)
        if error is not None:
            raise error

    def unassign(self, partitions: Iterable[TopicPartition]) -> None:
        """See `Reader.unassign`."""
        self._machine.unassign(partitions)

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """See `Reader.pause`. What was fetched stays, up to half of fetch.max.bytes over all."""
        self._machine.pause(partitions)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """See `Reader.resume`."""
        self._machine.resume(partitions)

    def poll(self, timeout_ms: int) -> list[Chunk]:
        """See `Reader.poll`. Costs about 30 us where nothing has come; each answer of a broker is one chunk at most.

        An error is raised by every call until its partition is assigned again, or unassigned.
        """
        self._check_usable("poll")
        deadline = time.monotonic() + timeout_ms / 1000
        self._wire.pump(0)
        while True:
            chunks = self._take()
            left_s = deadline - time.monotonic()
            if chunks or left_s <= 0:
                return chunks
            self._wire.pump(left_s)

    def _take(self) -> list[Chunk]:
        taken = self._machine.take(int(_POLL_BYTES_MAX / self._expansion))
        if not taken:
            return []
        # What was taken leaves room: the brokers work while we decode.
        self._wire.send()
        chunks: list[Chunk] = []
        damage: LogError | None = None
        for each in taken:
            try:
                chunk, position = _decoded(each, self._bytes_max)
            except CodecError as error:
                damage = _damaged(each, error)
                self._machine.damaged(each, damage)
            else:
                if position < each.next_offset:
                    self._machine.put_back(each, position)
                if chunk is not None:
                    chunks.append(chunk)
        # With records of other partitions at hand, these come first: their positions have moved.
        if damage is not None and not chunks:
            raise damage
        self._learn_expansion(taken, chunks)
        return chunks

    def _learn_expansion(self, taken: list[TakenRun], chunks: list[Chunk]) -> None:
        fetched = sum(len(each.records) for each in taken)
        found = sum(chunk.size_bytes for chunk in chunks) / max(1, fetched)
        self._expansion = max(1.0, (self._expansion + found) / 2)

    def position(self, partition: TopicPartition) -> int:
        """See `Reader.position`."""
        return self._machine.position(partition)

    def end(self, partition: TopicPartition) -> int | None:
        """See `Reader.end`: the last stable offset of the last answer, and what has come since."""
        return self._machine.end(partition)

    def end_known_at(self, partition: TopicPartition) -> float | None:
        """See `Reader.end_known_at`: when the request went out whose answer was the last one to tell."""
        return self._machine.end_known_at(partition)

    def close(self) -> None:
        """See `Reader.close`. Waits for nothing."""
        if not self._is_closed:
            self._is_closed = True
            self._network.close()

    def _check_usable(self, attempt: str) -> None:
        if self._is_closed:
            raise StateError(f"cannot {attempt}: the reader is closed; make a new one")


def _decoded(taken: TakenRun, bytes_max: int) -> tuple[Chunk | None, int]:
    """Return what is decoded of it, if any record is, and the position behind that."""
    found = decode(taken.records, taken.offset, taken.aborted, bytes_max)
    # The next fetch has gone out from next_offset: a difference would lose records, or return them twice.
    if not taken.offset < found.position <= taken.next_offset:
        raise CodecError(f"its batches end at {found.position}, and their headers at {taken.next_offset}")
    if not found.keys:
        return None, found.position
    topic, partition = taken.partition
    chunk = Chunk(
        topic,
        partition,
        found.offsets,
        found.timestamps,
        found.keys,
        found.values,
        found.headers,
        found.size_bytes,
    )
    return chunk, found.position


def _damaged(taken: TakenRun, error: CodecError) -> LogError:
    advice = (
        "Read again, in case it was damaged on its way; if the broker's copy is damaged, restore it from a replica, "
        "or assign a position behind it"
    )
    if isinstance(error, ExpandedBatchError):
        advice = "If that is as it should be, raise fetch.max.bytes; else assign a position behind it"
    found = LogError(
        f"cannot read {taken.partition} from offset {taken.offset}: what the broker sent cannot be decoded: {error}. "
        f"{advice}"
    )
    found.__cause__ = error
    return found
