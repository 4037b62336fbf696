"""`Writer` on a Kafka cluster: encodes, drives the machines that decide, and waits for what they say.

The caller's thread does everything: an append sends what is ready and takes answers that are there, without waiting; a
commit waits. Decisions are in `produce.machine`, `transaction.machine` and `transaction.offsets_commit_machine`;
`produce.network` drives them.
"""

from collections.abc import Callable, Mapping

from headrace.base.columns import Columns
from headrace.base.errors import (
    LogError,
    LogUnavailableError,
    SerializationError,
    StaleMemberEpochError,
    StateError,
    TransactionAbortedError,
)
from headrace.base.ids import TopicPartition
from headrace.kafka.batch.codec import chosen
from headrace.kafka.net.network import Network, NetworkError
from headrace.kafka.net.waiting import Waiting
from headrace.kafka.options import KafkaOptions
from headrace.kafka.produce.encoding import BatchLimits, Stamp, encode_columns
from headrace.kafka.produce.machine import ProduceMachine
from headrace.kafka.produce.network import ProduceNetwork
from headrace.kafka.produce.topics import WriterTopics
from headrace.kafka.produce.writer_errors import error_of
from headrace.kafka.transaction.machine import TransactionMachine
from headrace.kafka.transaction.messages import (
    NO_IDENTITY,
    NO_MEMBER,
    AbortRequested,
    CommitFailed,
    CommitRequested,
    GroupMember,
    Opened,
)
from headrace.kafka.transaction.offsets_commit_machine import OffsetsCommitMachine
from headrace.kafka.transaction.state import ProducerState
from headrace.kafka.transaction.write_failure import WriteFailure, WriteFailureKind
from headrace.log.admission import check_columns, check_times, check_types
from headrace.log.membership import MemberIdentity
from headrace.log.port import CommittedOffset

__all__ = ["KafkaWriter"]

#: Appends wait while so much is not acknowledged: memory, and what is lost with a connection, stay bounded.
_QUEUED_BYTES_MAX = 64 * 1024 * 1024

#: How long `close` tries to abort. After it the coordinator does so when transaction.timeout.ms is over.
_CLOSE_SECONDS = 5.0


class KafkaWriter:
    """Writes to a Kafka cluster: exactly once with a transactional id, at least once without. See `Writer`.

    Opening one blocks until the producer has its id (`default.api.timeout.ms` at most): with a transactional id, that
    ends the transaction that an older instance has left open, and fences it. So whoever makes the writer first reads
    committed offsets that stay. Kafka Streams does the same (initTransactions before anything is read).
    """

    def __init__(
        self,
        produce: ProduceMachine,
        machine: TransactionMachine | OffsetsCommitMachine,
        wire: ProduceNetwork,
        *,
        network: Network,
        topics: WriterTopics,
        waiting: Waiting,
        options: KafkaOptions,
        transactional_id: str | None,
        needs_member: Callable[[], bool],
        seconds_max: float,
        clock: Callable[[], float],
    ) -> None:
        self._produce = produce
        self._machine = machine
        self._wire = wire
        self._network = network
        self._topics = topics
        self._waiting = waiting
        self._options = options
        self._transactional_id = transactional_id
        self._needs_member = needs_member
        self._seconds_max = seconds_max
        self._clock = clock
        self._stamped = NO_IDENTITY
        self._pending_bytes = 0
        self._has_failed = False
        self._is_closed = False

    def begin(self, seconds: float) -> None:
        """Get an id, within so many seconds; see `opening.open_writer`. Once, and before anything else."""
        self._machine.handle(Opened(), self._clock())
        if not self._drive(lambda: self._machine.is_settled, seconds):
            who = "a producer" if self._transactional_id is None else f"{self._transactional_id!r}"
            waited = self._waiting.given_up(f"default.api.timeout.ms={1000 * seconds:.0f}")
            raise LogUnavailableError(
                f"cannot begin to write as {who}: no coordinator gave it an id {waited}"
            )
        self._raise_if_useless()

    # ── the port ─────────────────────────────────────────────────────────────────────────────────────────────────

    def append(self, topic: str, partition: int, columns: Columns) -> None:
        """See `Writer.append`. Encodes at once; waits only while 64 MB are not acknowledged yet.

        Raises:
            SerializationError: a key or value is neither bytes, text nor None; nothing was appended.
            ProductionError: a record is too large; nothing was appended.
            FencedError: another writer with the transactional id has taken over.
            TransactionAbortedError: the transaction cannot be committed any more.
            LogError: the topic is compacted and a key is None; or the brokers refuse this writer.
        """
        self._check_usable("append")
        known = self._topics.find("append to", topic, partition)
        check_columns(topic, known.policy, columns, is_to_be_encoded=True)
        if not columns:
            return
        self._settle()
        self._raise_if_failed()
        topic_partition = TopicPartition(topic, partition)
        try:
            batches = self._encode(topic_partition, columns, known.batch_bytes_max)
        except TypeError:
            check_types(topic, columns, takes_text=True)
            check_times(topic, columns.timestamps)
            raise
        except UnicodeEncodeError as error:
            raise SerializationError(
                f"cannot append to topic {topic!r}: a text cannot be written in UTF-8: {error}"
            ) from error
        for data, count in batches:
            self._produce.append(topic_partition, data, count)
            self._pending_bytes += len(data)
        self._wire.turn(0)
        if self._produce.queued_bytes > _QUEUED_BYTES_MAX:
            self._drive(lambda: self._produce.queued_bytes <= _QUEUED_BYTES_MAX or self._is_lost())

    def _encode(
        self, topic_partition: TopicPartition, columns: Columns, topic_bytes_max: int
    ) -> list[tuple[bytes, int]]:
        if self._machine.identity != self._stamped:
            self._produce.reset_sequences()
            self._stamped = self._machine.identity
        limits = BatchLimits(
            topic_bytes_max,
            self._options.max_request_size,
            self._produce.batch_bytes_max(topic_partition.topic),
        )
        stamp = Stamp(
            self._stamped,
            self._produce.next_sequence(topic_partition),
            is_transactional=self._transactional_id is not None,
        )
        return encode_columns(topic_partition, columns, limits, stamp, self._options.compression_type)

    def commit(
        self, offsets: Mapping[TopicPartition, CommittedOffset], member: MemberIdentity | None = None
    ) -> Mapping[TopicPartition, int]:
        """See `Writer.commit`. Blocks until the outcome is known, or `delivery.timeout.ms` is over.

        Raises:
            TransactionAbortedError: not committed, or not known to be. `abort` then waits until it is known, so that
                offsets read after it are those that stay.
            StaleMemberEpochError: the group has gone on; all is as before, and may be committed again.
            FencedError: another writer with the transactional id has taken over.
            UnknownTopicError: a topic was deleted meanwhile; nothing was committed.
            ProductionError: the brokers refuse a record; nothing was committed.
            StateError: nobody is named as whom to commit offsets, though a group was joined; nothing was committed.
        """
        self._check_usable("commit")
        if not self._pending_bytes and not offsets:
            return {}
        if offsets and member is None and self._needs_member():
            # A coordinator would take it: it asks nobody who says no name.
            raise StateError("cannot commit offsets as nobody: the group was joined, so name its member")
        self._has_failed = True
        for topic_partition in offsets:
            self._topics.find("commit an offset of", topic_partition.topic, topic_partition.partition)
        self._settle()
        self._produce.flush()
        if not self._drive(lambda: self._produce.is_idle or self._is_lost()):
            self._fail("its records were not all acknowledged")
        self._raise_if_failed()
        self._machine.handle(CommitRequested(offsets, _named(member)), self._clock())
        self._drive(lambda: self._machine.is_settled or self._machine.was_committed)
        if not self._machine.was_committed:
            if self._machine.stale_epoch is not None:
                self._has_failed = False
                raise StaleMemberEpochError(self._machine.stale_epoch)
            if self._machine.state is ProducerState.ENDING_COMMIT:
                raise TransactionAbortedError(
                    f"cannot commit the transaction of {self._transactional_id!r}: its outcome is not known, since no "
                    f"coordinator answered {self._waiting.given_up('delivery.timeout.ms')}; abort finds it out, then "
                    f"read committed offsets"
                )
            if not self._machine.is_settled:
                self._fail("its offsets were not committed")
            self._raise_if_failed()
        ends = self._produce.ends()
        self._produce.forget_ends()
        self._begin_anew()
        return ends

    @property
    def is_atomic(self) -> bool:
        """See `Writer.is_atomic`."""
        return self._transactional_id is not None

    @property
    def takes_text(self) -> bool:
        """See `Writer.takes_text`. The codec in Python makes bytes of it, and wins nothing."""
        return chosen.name == "native"

    def barrier(self) -> None:
        """See `Writer.barrier`."""
        if not self.is_atomic:
            self._produce.barrier()

    def send(self) -> None:
        """See `Writer.send`."""
        if self._pending_bytes and not self._has_failed and not self._is_closed:
            self._produce.flush()
            self._wire.turn(0)

    def abort(self) -> None:
        """See `Writer.abort`. Blocks until the coordinator says that the transaction is over, one way or the other.

        Raises:
            FencedError: another instance has taken over.
            LogUnavailableError: it does not say so within `delivery.timeout.ms`; abort again, or make another writer.
        """
        if self._is_closed:
            return
        self._produce.discard()
        if not self._finish(self._seconds_max):
            self._has_failed = True
            whose = "" if self._transactional_id is None else f" of {self._transactional_id!r}"
            raise LogUnavailableError(
                f"cannot abort the transaction{whose}: no coordinator answered "
                f"{self._waiting.given_up('delivery.timeout.ms')}; look whether all brokers are up, and abort again"
            )
        self._begin_anew()

    @property
    def pending_bytes(self) -> int:
        """See `Writer.pending_bytes`. Encoded, and compressed."""
        return self._pending_bytes

    def close(self) -> None:
        """See `Writer.close`. Waits for an abort for a few seconds at most."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            self._produce.discard()
            self._finish(_CLOSE_SECONDS)
        except NetworkError:
            pass  # the coordinator aborts what is open when its time is over
        finally:
            self._network.close()

    # ── what became of it ────────────────────────────────────────────────────────────────────────────────────────

    def _check_usable(self, attempt: str) -> None:
        if self._is_closed:
            raise StateError(f"cannot {attempt}: the writer is closed; make a new one")
        self._raise_if_useless()
        if self._has_failed:
            raise LogError(f"cannot {attempt}: the last commit failed; abort the transaction first")

    def _is_lost(self) -> bool:
        """Whether the open transaction cannot be committed any more."""
        return self._produce.failure is not None or self._machine.failure is not None

    def _raise_if_useless(self) -> None:
        if (
            self._machine.state in (ProducerState.FENCED, ProducerState.FATAL)
            and self._machine.failure is not None
        ):
            raise error_of(self._machine.failure, self._machine.state)

    def _raise_if_failed(self) -> None:
        """Raise what is wrong with the open transaction, after finding out whether another writer has taken over."""
        if not self._is_lost():
            return
        self._has_failed = True
        self._wire.tell_machine()
        self._drive(lambda: self._machine.is_settled)
        failure = self._machine.failure or self._produce.failure
        if failure is not None:
            raise error_of(failure, self._machine.state)

    def _fail(self, what: str) -> None:
        """Give up for lack of time."""
        waited = self._waiting.given_up("delivery.timeout.ms")
        text = f"cannot commit: {what} {waited}; look whether all brokers are up"
        self._machine.handle(CommitFailed(WriteFailure(WriteFailureKind.ABORT, text)), self._clock())

    def _finish(self, seconds: float) -> bool:
        """End what is open, whatever it is; return whether that is done."""
        deadline = self._clock() + seconds

        def drive(is_done: Callable[[], bool]) -> bool:
            return self._drive(is_done, deadline - self._clock())

        if self._machine.waits_for_broker and not drive(lambda: self._produce.in_flight == 0):
            return False
        if not drive(lambda: self._machine.is_settled):
            return False
        self._machine.handle(AbortRequested(), self._clock())
        return drive(lambda: self._machine.is_settled)

    def _begin_anew(self) -> None:
        self._wire.begin_anew()
        self._pending_bytes = 0
        self._has_failed = False
        self._topics.forget()

    def _settle(self) -> None:
        """Wait for an id, where the last transaction was followed by a request for a new one."""
        if not self._machine.is_settled and not self._drive(lambda: self._machine.is_settled):
            self._has_failed = True
            waited = self._waiting.given_up("delivery.timeout.ms")
            raise TransactionAbortedError(
                f"cannot begin a transaction: no coordinator answered {waited}; abort and try again"
            )
        self._raise_if_useless()

    def _drive(self, is_done: Callable[[], bool], seconds: float | None = None) -> bool:
        """Wait until something is so; return whether it is."""
        return self._wire.drive(is_done, self._seconds_max if seconds is None else seconds)


def _named(member: MemberIdentity | None) -> GroupMember:
    """Return who commits, as the coordinator knows it."""
    return NO_MEMBER if member is None else GroupMember(member.member_id, member.epoch, member.instance_id)
