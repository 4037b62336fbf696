"""What a sink writes to the log: dead letters, and how far it is, which is for people and tools alone."""

import logging
import time
from collections.abc import Callable

from headrace.base.columns import Columns
from headrace.base.errors import LogError
from headrace.base.ids import TopicPartition
from headrace.base.murmur2 import partition_for
from headrace.log.admission import unknown_topic
from headrace.log.membership import Membership
from headrace.log.port import CommittedOffset, Log, TopicSpec, Writer
from headrace.processor.handlers import Failure, dead_letter_record

__all__ = ["LogSide"]

_log = logging.getLogger("headrace.sql")

#: Time between two commits of offsets. The database has them; here they are what `headrace lag` shows.
_TELL_SECONDS = 1.0


class LogSide:
    """Belongs to the sink's thread. It has a writer without transactions of its own, made when it is needed."""

    def __init__(self, log: Log, group: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._group = group
        self._clock = clock
        self._writer: Writer | None = None
        self._has_letters = False
        self._told: dict[TopicPartition, int] = {}
        self._next_tell = 0.0

    def put_aside(self, topic: str, failure: Failure) -> None:
        """Write the dead letter of a failure; it is durable after `flush`.

        Raises:
            UnknownTopicError: the topic is not there, and the log makes none.
            LogError: the log cannot be written.
        """
        count = self._log.partition_counts([topic]).get(topic)
        if count is None:
            if not self._log.makes_user_topics:
                raise unknown_topic("write a dead letter to", topic) from failure.error
            self._log.create_topics([TopicSpec(topic, 1)])
            count = 1
        letter = dead_letter_record(failure)
        columns = Columns()
        columns.append(letter.key, letter.value, letter.timestamp, letter.headers)
        # Without a key it stays with those of its own partition.
        partition = failure.partition % count if letter.key is None else partition_for(letter.key, count)
        self._opened().append(topic, partition, columns)
        self._has_letters = True

    def flush(self) -> None:
        """Make dead letters durable.

        Raises:
            LogError: they are not, or nobody knows; they are written again then.
        """
        if self._has_letters:
            self._has_letters = False
            try:
                self._opened().commit({})
            except LogError:
                self._drop_writer()
                raise

    def forget(self) -> None:
        """Forget dead letters that were not flushed, of records that are read again."""
        if self._has_letters:
            self._has_letters = False
            self._drop_writer()

    def tell(self, offsets: dict[TopicPartition, int], membership: Membership, *, now: bool = False) -> None:
        """Commit offsets of the group, every now and then. Whatever keeps that from being done, nothing is lost."""
        moved = {each: offset for each, offset in offsets.items() if self._told.get(each) != offset}
        if not moved or not (now or self._clock() >= self._next_tell):
            return
        self._next_tell = self._clock() + _TELL_SECONDS
        member = membership.member
        if member is None:
            return
        try:
            self._opened().commit({each: CommittedOffset(at) for each, at in moved.items()}, member)
        except LogError as error:
            _log.debug("offsets of %r are not told to its group: %s", self._group, error)
            self._drop_writer()
        else:
            self._told |= moved

    def close(self) -> None:
        """Release the writer."""
        self._drop_writer()

    def _opened(self) -> Writer:
        if self._writer is None:
            self._writer = self._log.writer(self._group)
        return self._writer

    def _drop_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            try:
                writer.close()
            except LogError as error:
                _log.debug("closing the writer of %r: %s", self._group, error)
