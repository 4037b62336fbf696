"""Where a sink goes on with a partition: where the database is, if the log still has that."""

import logging

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from headrace.base.errors import OffsetOutOfRangeError
from headrace.base.ids import TopicPartition
from headrace.log.admission import unknown_topic
from headrace.log.port import Log
from headrace.sql.batch import moments
from headrace.sql.judgement import Later, said
from headrace.sql.positions import Claim, Positions, transaction

__all__ = ["Claims"]

_log = logging.getLogger("headrace.sql")


class Claims:
    """Claims partitions of one topic in the database, and compares positions with the log."""

    def __init__(self, engine: Engine, positions: Positions, log: Log) -> None:
        self._engine = engine
        self._positions = positions
        self._log = log

    def claim(self, partition: TopicPartition) -> Claim:
        """Take a partition over; what its former owner has under way is committed before that, or never.

        Raises:
            Later: the database does not answer, or the former owner is in the midst of a transaction.
            OffsetOutOfRangeError: the log has no longer, or not yet, what comes next.
            LogError: it is another topic of the same name.
        """
        found = self._log.topics([partition.topic]).get(partition.topic)
        if found is None:
            raise unknown_topic("read", partition.topic)
        first = self._log.beginning_offsets([partition])[partition]
        try:
            with moments(f"claim {partition}"), transaction(self._engine) as connection:
                claim = self._positions.claim(connection, partition, found.id, first)
        except Later:
            self._evict(partition)
            raise
        end = self._log.end_offsets([partition], committed=False)[partition]
        if not first <= claim.next_offset <= end:
            self._refuse(claim, first, end)
        return claim

    def _evict(self, partition: TopicPartition) -> None:
        """End the transaction of a former owner that does not end by itself; the next try finds it gone."""
        try:
            with transaction(self._engine) as connection:
                ended = self._positions.evict(connection, partition)
        except (
            SQLAlchemyError
        ) as error:  # no connection at all, or another role's session, which one may not end
            _log.debug("nobody is evicted from %s: %s", partition, said(error))
            return
        if ended:
            _log.warning("a session is ended that has held the position of %s for seconds", partition)

    def _refuse(self, claim: Claim, first: int, end: int) -> None:
        partition, at = claim.partition, claim.next_offset
        if at < first:
            found = (
                f"the log begins at {first}: records were deleted before they were written to the database"
            )
        else:
            found = f"the log ends at {end}: it has lost records that are in the database"
        raise OffsetOutOfRangeError(
            f"cannot go on with {partition.in_words()} at offset {at}: {found}. To go on with what is there, "
            f"{self._positions.moving(partition, first if at < first else end)}",
            topic=partition.topic,
            partition=partition.partition,
            position=at,
            first=first,
            end=end,
        )
