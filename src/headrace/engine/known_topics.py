"""The topics that an application has made for itself, as an instance of it met them: none may vanish under it.

A store whose changelog is another topic is built anew, of what that one has. At a start this is as it should be. Under
an application that runs, it would throw away the last copy of the rows; so that one stops, and leaves them as they are.
"""

from collections.abc import Callable, Iterable, Mapping

from headrace.base.errors import InternalTopicLostError, TransactionAbortedError
from headrace.log.port import Log, TopicInfo

__all__ = ["KnownTopics"]

#: A broker that has just started does not know all topics for a moment: so long (s) one may be missing.
_MISSING_SECONDS = 5.0


class KnownTopics:
    """Of one instance; its workers share it. From any thread."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        """`seconds` is a clock that never goes back."""
        self._seconds = seconds
        self._ids: dict[str, str] = {}
        self._missing_since: dict[str, float] = {}

    def id_of(self, topic: str) -> str | None:
        """Return the id under which a topic was met; None for topics of others."""
        return self._ids.get(topic)

    def look(self, log: Log, more: Iterable[str] = ()) -> None:
        """Ask for the topics, and for `more` of them, which are met now.

        Raises:
            InternalTopicLostError: one that was met is gone, or another topic.
        """
        names = [*self._ids, *(name for name in more if name not in self._ids)]
        found = log.topics(names) if names else {}
        self._compare(found)
        for name in self._ids:
            if name not in found:
                raise _lost(name, "deleted")
        for name, info in found.items():
            self._ids[name] = info.id

    def ensure_there(self, names: Iterable[str], found: Mapping[str, TopicInfo]) -> None:
        """Compare what was found of these topics; those of others are no matter.

        Raises:
            InternalTopicLostError: one has been missing for long, or is another topic.
            TransactionAbortedError: one is missing: try again.
        """
        self._compare(found)
        for name in names:
            if name not in self._ids:
                continue
            if name in found:
                self._missing_since.pop(name, None)
                continue
            now = self._seconds()
            if now - self._missing_since.setdefault(name, now) >= _MISSING_SECONDS:
                raise _lost(name, "deleted")
            raise TransactionAbortedError(f"topic '{name}' is not there now")

    def _compare(self, found: Mapping[str, TopicInfo]) -> None:
        for name, info in found.items():
            if self._ids.get(name, info.id) != info.id:
                raise _lost(name, "deleted and made again")


def _lost(topic: str, what: str) -> InternalTopicLostError:
    if topic.endswith("-changelog"):
        return InternalTopicLostError(
            f"changelog '{topic}' was {what} while the application ran. The stores are whole here, and stay as they "
            f"are; the next start builds them anew of what the topic has by then: bring its records back before, or "
            f"keep a copy of the state directory"
        )
    return InternalTopicLostError(
        f"topic '{topic}', which the application writes for itself, was {what} while it ran: records that were not "
        f"processed yet are lost. The next start makes it again and goes on without them"
    )
