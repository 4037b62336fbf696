"""Looks now and then whether the topics are still those that the tasks were made for."""

import logging
from collections.abc import Callable, Mapping

from headrace.base.errors import LogUnavailableError, UnknownTopicError
from headrace.engine.known_topics import KnownTopics
from headrace.log.port import Log
from headrace.plan.change import changes
from headrace.topology.nodes import SourceNode
from headrace.topology.topology import Topology

__all__ = ["TopicWatch"]

_log = logging.getLogger("headrace.topics")

#: A broker that has just started, or a topic that is just being made, shows half of the truth for a moment: what two
#: looks in a row find, this far apart, is believed.
_CONFIRM_SECONDS = 1.0


class TopicWatch:
    """Watches what a worker reads and writes.

    `known` are the application's own topics. `topology` still has its patterns. `read` are the partition counts of its
    user topics, `written()` those of all topics that sinks have asked about so far.
    """

    def __init__(
        self,
        log: Log,
        topology: Topology,
        application_id: str,
        interval_ms: int,
        *,
        known: KnownTopics,
        read: Mapping[str, int],
        written: Callable[[], Mapping[str, int]],
    ) -> None:
        self._log = log
        self._topology = topology
        self._application_id = application_id
        self._seconds = interval_ms / 1000
        self._known = known
        self._read = read
        self._written = written
        self._has_pattern = any(
            isinstance(node, SourceNode) and node.pattern is not None for node in topology.nodes.values()
        )
        self._next_look = 0.0
        self._doubts: tuple[str, ...] = ()

    @property
    def read(self) -> Mapping[str, int]:
        """Partition counts of the user topics that are read, as the tasks were made for them."""
        return self._read

    def begin(self, now: float) -> None:
        """Start counting."""
        self._next_look = now + self._seconds

    def has_changed(self, now: float) -> bool:
        """Look, if it is time to; say whether the tasks are to be made anew.

        Raises:
            UnknownTopicError: a topic is gone that a source names, or that the application has made.
            LogError: the topics may not be looked at.
        """
        if now < self._next_look:
            return False
        try:
            found = self.look()
        except LogUnavailableError:
            found = ()  # whoever needs the log says so; nothing is lost by looking later
        except UnknownTopicError as gone:
            found = (str(gone),)
            if found == self._doubts:
                raise
        is_certain = bool(found) and found == self._doubts
        self._doubts = found
        self._next_look = now + (min(_CONFIRM_SECONDS, self._seconds) if found else self._seconds)
        if is_certain:
            _log.warning("all tasks are made anew after a commit: %s", "; ".join(found))
        return is_certain

    def look(self) -> tuple[str, ...]:
        """Say what is other than it was, as of now.

        Raises: as `has_changed`, and LogUnavailableError.
        """
        self.ensure_known()
        written = self._written()
        asked = None if self._has_pattern else [*self._read, *written]
        return changes(
            self._topology,
            read=self._read,
            written=written,
            existing=self._log.partition_counts(asked),
            application_id=self._application_id,
        )

    def ensure_known(self) -> None:
        """Look at the application's own topics.

        Raises:
            InternalTopicLostError: one is gone, or another topic.
        """
        self._known.look(self._log)
