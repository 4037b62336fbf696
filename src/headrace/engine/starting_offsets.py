"""Where reading starts: at the group's committed offset, or where the source's reset policy says."""

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta

from headrace.base.errors import LogError, OffsetOutOfRangeError
from headrace.base.ids import TopicPartition
from headrace.engine.commit_metadata import CommitMetadata, decode_metadata
from headrace.log.port import CommittedOffset, Log
from headrace.topology.nodes import SourceNode

__all__ = ["StartingOffsets"]

_log = logging.getLogger("headrace.offsets")

#: Partitions that are told of by name at once.
_TOLD_MAX = 10


class StartingOffsets:
    """The group's committed places, and the starts of partitions that have none.

    A start found by another policy than *earliest* is remembered: an abort must come back to it, not to a later end.
    It is to be committed at once (`found`), or a crash before the first commit would lose what came after it.
    """

    def __init__(
        self, log: Log, group: str, now_ms: Callable[[], int], *, known: Mapping[str, int] | None = None
    ) -> None:
        """`known` are the partition counts that topics had when this process last made tasks, if it did.

        What has come since is read from its beginning: it was written while the application ran, whatever a source
        says about a start at the end.
        """
        self._known = known
        self._log = log
        self._group = group
        self._now_ms = now_ms
        self._initial: dict[TopicPartition, int] = {}
        self._chosen: set[TopicPartition] = set()  # of these, those that came by another policy than earliest
        self._found: dict[TopicPartition, CommittedOffset] = {}

    def find(
        self, sources: Mapping[TopicPartition, SourceNode]
    ) -> tuple[dict[TopicPartition, int], dict[TopicPartition, CommitMetadata]]:
        """Return for each partition the offset to start at, and what was committed beside it, if anything was.

        Raises:
            LogError: a partition has no committed offset and its policy is "none".
        """
        offsets: dict[TopicPartition, int] = {}
        beside: dict[TopicPartition, CommitMetadata] = {}
        committed = self._log.committed(self._group, sources)
        begin = self._log.beginning_offsets(sources)
        new = {each: source for each, source in sources.items() if each not in committed}
        self._start(new, begin)
        for partition in sources:
            # Decided anew each time: nobody may know whether the commit that had them came to something.
            self._found.pop(partition, None)
        self._found.update(
            {each: CommittedOffset(self._initial[each]) for each in new if each in self._chosen}
        )
        for partition in sources:
            found = committed.get(partition)
            if found is None:
                offsets[partition] = self._initial[partition]
                continue
            # A committed offset below the first record means that retention was faster than the application.
            offsets[partition] = max(found.offset, begin[partition])
            if found.offset < begin[partition]:
                _log.warning(
                    "%s: retention has deleted offsets %d to %d before group '%s' has read them",
                    partition, found.offset, begin[partition] - 1, self._group,
                )  # fmt: skip
            beside[partition] = decode_metadata(found.metadata)
        return offsets, beside

    def _start(
        self, sources: Mapping[TopicPartition, SourceNode], begin: Mapping[TopicPartition, int]
    ) -> None:
        """Decide where partitions start that have no committed offset."""
        new = {each: source for each, source in sources.items() if each not in self._initial}
        latest: list[TopicPartition] = []
        since: dict[TopicPartition, int] = {}
        for partition, source in new.items():
            policy = source.offset_reset
            if policy is None or policy == "earliest":
                self._initial[partition] = begin[partition]
            elif self._known is not None and partition.partition >= self._known.get(partition.topic, 0):
                self._keep({partition: begin[partition]})
            elif policy == "latest":
                latest.append(partition)
            elif isinstance(policy, timedelta):
                since[partition] = self._ms_ago(policy)
            else:
                raise LogError(
                    f"group '{self._group}' has no committed offset for {partition}, and {source.name} "
                    f'({source.where}) has offset_reset="none"; commit one, or use "earliest" or "latest"'
                )
        if latest:
            self._keep(self._log.end_offsets(latest))
        if since:
            self._keep(self._log.offsets_for_times(since))
        for partition in list(new)[:_TOLD_MAX]:
            # So it is at a first start; and where a topic was made anew, with which the offsets of all groups go.
            _log.info(
                "group '%s' has committed nothing of %s: reading starts at %d, as the reset policy of %s says",
                self._group, partition, self._initial[partition], new[partition].name,
            )  # fmt: skip
        if len(new) > _TOLD_MAX:
            _log.info("and nothing of %d more partitions", len(new) - _TOLD_MAX)

    def _keep(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Remember starts that are to be committed."""
        self._initial.update(offsets)
        self._chosen.update(offsets)

    def _ms_ago(self, back: timedelta) -> int:
        return self._now_ms() - int(back.total_seconds() * 1000)

    def reset(self, partition: TopicPartition, source: SourceNode, error: OffsetOutOfRangeError) -> int:
        """Return where to go on with a partition whose next offset does not exist any more, or not yet.

        Where the log has lost what was read last, that is where it parts from what was read: all before was processed.
        Source: SubscriptionState.maybeCompleteValidation of Kafka 4.3.

        Raises:
            OffsetOutOfRangeError: the source's policy is "none".
        """
        if source.offset_reset == "none":
            raise error
        how = f"as the reset policy of {source.name} says"
        if error.parts_at >= 0:
            begin = self._log.beginning_offsets([partition])[partition]
            offset = max(begin, min(error.parts_at, error.position))
            how = "with what was written in their place"
        elif source.offset_reset == "latest":
            offset = self._log.end_offsets([partition])[partition]
        elif isinstance(source.offset_reset, timedelta):
            offset = self._log.offsets_for_times({partition: self._ms_ago(source.offset_reset)})[partition]
        else:
            offset = self._log.beginning_offsets([partition])[partition]
        _log.warning("%s; group '%s' goes on at %d, %s", error, self._group, offset, how)
        return offset

    @property
    def found(self) -> Mapping[TopicPartition, CommittedOffset]:
        """The starts that are to be committed, until they are."""
        return self._found

    def forget(self, partitions: Iterable[TopicPartition]) -> None:
        """Know nothing of these partitions any more: who reads them next may have committed them meanwhile."""
        for partition in partitions:
            self._initial.pop(partition, None)
            self._chosen.discard(partition)
            self._found.pop(partition, None)

    def committed(self) -> None:
        """Note that what was found is committed. Where nobody knows, `find` finds it again, if it has to."""
        self._found = {}
