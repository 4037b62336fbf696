"""What members of Kafka Streams tell each other in a classic group: read for tools, by `described`.

A leader writes the newest version that all members know: 11 is that of Kafka Streams 4.4, and earlier ones come where
an application is being upgraded. What stands behind the parts that are told here is not looked at.

Source: SubscriptionInfoData.json, AssignmentInfo and ConsumerProtocolUtils of Kafka Streams 4.4.
"""

import struct
from typing import NamedTuple
from uuid import UUID

from headrace.base.ids import TaskId
from headrace.group.members import Roles
from headrace.group.user_data import Endpoint, UserDataError

__all__ = ["PROTOCOL", "JavaMember", "read_assignment", "read_subscription"]

#: What Kafka Streams' members of a classic group agree on.
PROTOCOL = "stream"

_NEWEST = 11

# The versions since which there is: the newest version that a member knows; its endpoint; offsets in place of the tasks
# that it had; a topology's name in each task.
_KNOWS_NEWEST, _HAS_ENDPOINT, _HAS_OFFSETS, _HAS_NAMES = 3, 2, 7, 10


class JavaMember(NamedTuple):
    """What a member tells of itself. `endpoint` is `application.server`, None where it is not set."""

    process_id: str
    endpoint: Endpoint | None


def read_subscription(data: bytes) -> JavaMember:
    """Read what a member tells the leader.

    Raises:
        UserDataError: it is of a later version, or cut off.
    """
    reader = _Reader(data)
    version = reader.version()
    process_id = str(UUID(bytes=reader.take(16)))
    if version < _HAS_ENDPOINT:
        return JavaMember(process_id, None)
    if version < _HAS_OFFSETS:
        for _ in range(2):  # tasks that it had, and such that it followed
            reader.take(8 * reader.count())
    host, _, port = reader.take(reader.count()).decode(errors="replace").rpartition(":")
    return JavaMember(process_id, (host, int(port)) if host and port.isdecimal() else None)


def read_assignment(data: bytes) -> Roles:
    """Read what the leader tells a member. What it is to warm up, it is told to follow: nobody can tell the two apart.

    Raises:
        UserDataError: it is of a later version, or cut off.
    """
    reader = _Reader(data)
    has_names = reader.version() >= _HAS_NAMES
    active = frozenset(reader.task(has_names=has_names) for _ in range(reader.count()))
    followed: set[TaskId] = set()
    for _ in range(reader.count()):
        followed.add(reader.task(has_names=has_names))
        for _ in range(reader.count()):  # the partitions that the task reads
            reader.take(reader.short())
            reader.number()
    return Roles(active, frozenset(followed))


class _Reader:
    """Reads big-endian numbers, and counts what there is of anything."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        """Return the next bytes."""
        found = self._data[self._at : self._at + size]
        if size < 0 or len(found) < size:
            raise UserDataError(
                f"it is cut off: there are not {size} bytes at {self._at} of {len(self._data)}"
            )
        self._at += size
        return found

    def number(self) -> int:
        """Return the next four bytes as a number."""
        (found,) = struct.unpack(">i", self.take(4))
        return int(found)

    def short(self) -> int:
        """Return the next two bytes as a number without a sign."""
        (found,) = struct.unpack(">H", self.take(2))
        return int(found)

    def count(self) -> int:
        """Return how many of something follow, each of which has a byte at the least."""
        found = self.number()
        if not 0 <= found <= len(self._data) - self._at:
            raise UserDataError(f"it is damaged: it says that {found} of something follow")
        return found

    def version(self) -> int:
        """Return the version, and pass over the newest one that whoever wrote it knows."""
        found = self.number()
        if not 1 <= found <= _NEWEST:
            raise UserDataError(f"it is of version {found}; known are those up to {_NEWEST}")
        if found >= _KNOWS_NEWEST:
            self.number()
        return found

    def task(self, *, has_names: bool) -> TaskId:
        """Return a task. One of a named topology is like that of another one, as far as its id goes."""
        found = TaskId(self.number(), self.number())
        if has_names:
            self.take(2 * self.count())
        return found
