"""The writer of the embedded log: encodes what is appended, and writes it in one short transaction at the commit."""

from collections.abc import Iterator, Mapping
from math import ceil

from headrace.base.columns import Columns
from headrace.base.errors import LogError, StateError
from headrace.base.ids import TopicPartition
from headrace.base.records import Headers
from headrace.log.admission import check_columns, check_times, has_headers, unknown_topic, without_text
from headrace.log.embedded.chunks import CHUNK_BYTES, CHUNK_RECORDS, EncodedChunk, encode
from headrace.log.embedded.errors import reported
from headrace.log.embedded.file import EmbeddedFile
from headrace.log.embedded.partitions import PartitionRow, load_scattered, save_partitions
from headrace.log.embedded.rows import LOOSE_BYTES, NewRow, insert_rows
from headrace.log.embedded.topics import StoredTopic, StoredTopics, save_offsets
from headrace.log.membership import MemberIdentity
from headrace.log.port import CommittedOffset

__all__ = ["EmbeddedWriter"]


# From so many records on, an append is encoded as it is, without a copy: chunks of this size read at full speed.
_ENCODED_AT_ONCE = 1_000


class _Pending:
    """What the open transaction has for one partition: chunks, and records that do not make a chunk yet."""

    __slots__ = ("chunks", "headers", "keys", "payload_bytes", "timestamps", "topic", "values")

    def __init__(self, topic: StoredTopic) -> None:
        self.topic = topic
        self.chunks: list[EncodedChunk] = []
        self.keys: list[bytes | None] = []
        self.values: list[bytes | None] = []
        self.timestamps: list[int] = []
        self.headers: list[Headers] = []
        self.payload_bytes = 0

    def add(self, columns: Columns) -> int:
        """Encode or copy records; return roughly what they weigh.

        Many records are encoded at once, which keeps the commit short. Few are gathered, so that chunks are large.
        """
        keys, values = without_text(columns)
        if len(columns) >= _ENCODED_AT_ONCE:
            self.encode()
            return self._encode_columns(keys, values, columns.timestamps, columns.headers)
        self.keys += keys
        self.values += values
        self.timestamps += columns.timestamps
        self.headers += columns.headers
        payload_bytes = sum(map(len, filter(None, keys))) + sum(map(len, filter(None, values)))
        self.payload_bytes += payload_bytes
        if len(self.keys) >= CHUNK_RECORDS or self.payload_bytes >= CHUNK_BYTES:
            self.encode()
        # A timestamp, and a slot in each of four lists, for as long as they are gathered.
        return payload_bytes + 48 * len(columns)

    def encode(self) -> None:
        """Turn the gathered records into chunks."""
        if not self.keys:
            return
        self._encode_columns(self.keys, self.values, self.timestamps, self.headers)
        self.keys.clear()
        self.values.clear()
        self.timestamps.clear()
        self.headers.clear()
        self.payload_bytes = 0

    def _encode_columns(
        self,
        keys: list[bytes | None],
        values: list[bytes | None],
        timestamps: list[int],
        headers: list[Headers],
    ) -> int:
        """Encode columns as chunks of about equal counts; return the size of these."""
        count = len(keys)
        pieces = ceil(count / CHUNK_RECORDS)
        if pieces == 1:
            tuples = [tuple(each) for each in headers] if has_headers(headers) else None
            encoded = encode(keys, values, timestamps, tuples)
            size = len(encoded.body)
            # Large records: cut by their mean size, and again if some are much larger than others.
            pieces = min(count, ceil(size / CHUNK_BYTES))
            if pieces == 1 or size < 2 * CHUNK_BYTES:
                self.chunks.append(encoded)
                return size
        step = ceil(count / pieces)
        return sum(
            self._encode_columns(
                keys[first:last], values[first:last], timestamps[first:last], headers[first:last]
            )
            for first, last in ((first, first + step) for first in range(0, count, step))
        )


class EmbeddedWriter:
    """Writes an embedded log. See `Writer`.

    The open transaction lives in memory only, and has no limit of its own: whoever appends commits when
    `pending_bytes` is too much.

    # Invariant: offsets are given within the write transaction, so that several processes may append to one
    # partition, and a partition has no gap but those of compaction (tests/log: "two processes").
    """

    is_atomic = True
    takes_text = False

    def __init__(self, file: EmbeddedFile, group: str) -> None:
        self._file = file
        self._group = group
        self._connection = file.connect()
        self._stored_topics = StoredTopics(self._connection)
        self._pending: dict[TopicPartition, _Pending] = {}
        self._pending_bytes = 0
        self._has_failed = False
        self._is_closed = False

    def append(self, topic: str, partition: int, columns: Columns) -> None:
        """See `Writer.append`.

        Raises:
            SerializationError: a key or value is neither bytes nor None.
            LogError: the topic is compacted and a key is None.
        """
        self._check_usable("append")
        topic_partition = TopicPartition(topic, partition)
        pending = self._pending.get(topic_partition)
        if pending is None:
            with reported("append to", self._file.path):
                stored = self._stored_topics.topic("append to", topic_partition)
            pending = _Pending(stored)
        check_columns(topic, pending.topic.policy, columns)
        if not columns:
            return
        if len(columns) < _ENCODED_AT_ONCE:
            check_times(topic, columns.timestamps)  # else found a moment later, by whoever packs them
        try:
            added_bytes = pending.add(columns)
        except (TypeError, OverflowError):
            check_times(topic, columns.timestamps)
            raise
        self._pending[topic_partition] = pending
        self._pending_bytes += added_bytes

    def commit(
        self, offsets: Mapping[TopicPartition, CommittedOffset], member: MemberIdentity | None = None
    ) -> Mapping[TopicPartition, int]:
        """See `Writer.commit`. Returns after the fsync; waits for other writers of the file if there are any.

        Raises:
            UnknownTopicError: a topic was deleted meanwhile; nothing was committed.
            LogError: nothing was committed, or, if the disk failed, perhaps something. `abort` comes next.
        """
        self._check_usable("commit")
        if not self._pending and not offsets:
            return {}
        # A second try could commit twice what the first one did commit before it failed.
        self._has_failed = True
        for pending in self._pending.values():
            pending.encode()
        with self._file.write(self._connection, "commit to"):
            ends = self._write_pending(self._file.now_ms())
            if offsets:
                self._save_offsets(offsets)
        self.abort()
        self._file.commits.announce()
        return ends

    def _write_pending(self, appended_ms: int) -> dict[TopicPartition, int]:
        """Insert all chunks, giving them their offsets; return the positions behind them."""
        rows: list[tuple[int, int, NewRow]] = []
        partitions: list[tuple[int, int, PartitionRow]] = []
        ends: dict[TopicPartition, int] = {}
        # By the numbers known at the appends: a topic deleted and made again since is another one.
        wanted = {
            (pending.topic.number, topic_partition.partition): topic_partition
            for topic_partition, pending in self._pending.items()
        }
        found = load_scattered(self._connection, wanted)
        for (topic, number), topic_partition in wanted.items():
            before = found.get((topic, number))
            if before is None:
                self._stored_topics.forget(topic_partition.topic)
                raise unknown_topic("commit to", topic_partition.topic)
            pending = self._pending[topic_partition]
            rows += [(topic, number, row) for row in _rows(pending.chunks, before.end_offset, appended_ms)]
            after = _grown(before, pending.chunks)
            partitions.append((topic, number, after))
            ends[topic_partition] = after.end_offset
        insert_rows(self._connection, rows)
        save_partitions(self._connection, partitions)
        return ends

    def _save_offsets(self, offsets: Mapping[TopicPartition, CommittedOffset]) -> None:
        rows: list[tuple[int, int, CommittedOffset]] = []
        for topic_partition, offset in offsets.items():
            topic, _ = self._stored_topics.partition("commit an offset of", topic_partition)
            rows.append((topic.number, topic_partition.partition, offset))
        save_offsets(self._connection, self._group, rows)

    def barrier(self) -> None:
        """Do nothing: all is durable with the commit."""

    def send(self) -> None:
        """Do nothing: all is seen at the commit."""

    def abort(self) -> None:
        """See `Writer.abort`."""
        self._pending = {}
        self._pending_bytes = 0
        self._has_failed = False

    @property
    def pending_bytes(self) -> int:
        """See `Writer.pending_bytes`."""
        return self._pending_bytes

    def close(self) -> None:
        """See `Writer.close`."""
        self.abort()
        self._is_closed = True
        self._file.release(self._connection)

    def _check_usable(self, attempt: str) -> None:
        if self._is_closed:
            raise StateError(f"cannot {attempt}: the writer is closed; make a new one")
        if self._has_failed:
            raise LogError(f"cannot {attempt}: the last commit failed; abort the transaction first")


def _rows(chunks: list[EncodedChunk], offset: int, appended_ms: int) -> Iterator[NewRow]:
    """Give chunks their offsets, from `offset` on."""
    for chunk in chunks:
        yield NewRow(chunk, offset, offset + chunk.record_count, appended_ms, appended_ms)
        offset += chunk.record_count


def _grown(row: PartitionRow, chunks: list[EncodedChunk]) -> PartitionRow:
    """Return a partition with chunks at its end."""
    records = added_bytes = loose_chunks = 0
    newest_timestamp = row.newest_timestamp
    for count, max_timestamp, body in chunks:
        records += count
        added_bytes += len(body)
        loose_chunks += len(body) < LOOSE_BYTES
        newest_timestamp = max(newest_timestamp, max_timestamp)
    return PartitionRow(
        row.start_offset,
        row.end_offset + records,
        row.bytes + added_bytes,
        newest_timestamp,
        row.loose_chunks + loose_chunks,
        row.merged_to,
        row.dirty_bytes + added_bytes,
        row.cleaned_to,
    )
