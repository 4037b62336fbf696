"""What members of a classic group tell their leader, and what it tells them, as bytes: opaque to the coordinator.

Both begin with a version. Whoever reads a later one says so, in words: it can guess nothing of what is in it. Numbers
are groups of seven bits, the lowest first (LEB128); a set of tasks is, for each sub-topology, the runs of its
partitions, so that neighbours cost nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby

from headrace.base.ids import TaskId
from headrace.group.members import Roles

__all__ = [
    "VERSION",
    "Endpoint",
    "LeaderWord",
    "MemberWord",
    "TaskProgress",
    "UserDataError",
    "read_leader_word",
    "read_member_word",
    "write_leader_word",
    "write_member_word",
]

#: Of what is written here, and the latest that can be read.
VERSION = 1

#: Beyond what a group can have: more would be made of a few bytes that nobody wrote.
_TASKS_MAX = 1 << 20
_NUMBER_BITS_MAX = 63

_IS_ALL, _STOPS, _REFUSED, _HAS_ENDPOINT = 1, 2, 4, 8

#: Where an instance answers queries.
Endpoint = tuple[str, int]


class UserDataError(ValueError):
    """Bytes that nobody here can read, with the reason in words."""


@dataclass(frozen=True, slots=True)
class TaskProgress:
    """How far the state of a task is that lies with a member: sums over its changelogs.

    `end` is what is known of their ends, at least `offset`.
    """

    offset: int
    end: int


@dataclass(frozen=True, slots=True)
class MemberWord:
    """What a member tells.

    Attributes:
        process_id: members of one process have the same; it stands for the state directory.
        owned: what its worker has now.
        progress: of each task whose state lies in its process, those that it runs too.
        number: anything else than the time before: a coordinator takes no notice of who says the same again.
        stops_application: whether all members are to stop.
    """

    process_id: str
    owned: Roles = field(default_factory=Roles)
    progress: Mapping[TaskId, TaskProgress] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    endpoint: Endpoint | None = None
    number: int = 0
    stops_application: bool = False


@dataclass(frozen=True, slots=True)
class LeaderWord:
    """What the leader tells a member.

    Attributes:
        is_all: whether the roles are those that it wants in the end; else others wait for what members give up now.
        endpoints: what the instances of the application run and follow.
        is_refused: the leader cannot read what the member told, which has no roles therefore.
    """

    roles: Roles = field(default_factory=Roles)
    is_all: bool = True
    endpoints: Mapping[Endpoint, Roles] = field(default_factory=dict)
    stops_application: bool = False
    is_refused: bool = False


def write_member_word(word: MemberWord) -> bytes:
    """Return the bytes of what a member tells."""
    out = bytearray([VERSION])
    out.append(_STOPS * word.stops_application | _HAS_ENDPOINT * (word.endpoint is not None))
    _put_number(out, word.number)
    _put_text(out, word.process_id)
    _put_roles(out, word.owned)
    _put_number(out, len(word.progress))
    for task in sorted(word.progress):
        progress = word.progress[task]
        for number in (*task, progress.offset, max(0, progress.end - progress.offset)):
            _put_number(out, number)
    _put_number(out, len(word.tags))
    for tag in sorted(word.tags):
        _put_text(out, tag)
        _put_text(out, word.tags[tag])
    if word.endpoint is not None:
        _put_endpoint(out, word.endpoint)
    return bytes(out)


def read_member_word(data: bytes) -> MemberWord:
    """Read what a member tells.

    Raises:
        UserDataError: it is of a later version, or damaged.
    """
    reader = _Reader(data)
    flags = reader.byte()
    number, process_id, owned = reader.number(), reader.text(), reader.roles()
    progress: dict[TaskId, TaskProgress] = {}
    for _ in range(reader.count()):
        task, offset = TaskId(reader.number(), reader.number()), reader.number()
        progress[task] = TaskProgress(offset, offset + reader.number())
    tags = {reader.text(): reader.text() for _ in range(reader.count())}
    endpoint = reader.endpoint() if flags & _HAS_ENDPOINT else None
    reader.finish()
    return MemberWord(process_id, owned, progress, tags, endpoint, number, bool(flags & _STOPS))


def write_leader_word(word: LeaderWord) -> bytes:
    """Return the bytes of what the leader tells a member."""
    out = bytearray([VERSION])
    out.append(_IS_ALL * word.is_all | _STOPS * word.stops_application | _REFUSED * word.is_refused)
    _put_roles(out, word.roles)
    _put_number(out, len(word.endpoints))
    for endpoint in sorted(word.endpoints):
        _put_endpoint(out, endpoint)
        _put_roles(out, word.endpoints[endpoint])
    return bytes(out)


def read_leader_word(data: bytes) -> LeaderWord:
    """Read what the leader tells. No bytes at all are no roles: the leader did not know of the member.

    Raises:
        UserDataError: it is of a later version, or damaged.
    """
    if not data:
        return LeaderWord(is_all=False)
    reader = _Reader(data)
    flags, roles = reader.byte(), reader.roles()
    endpoints = {reader.endpoint(): reader.roles() for _ in range(reader.count())}
    reader.finish()
    return LeaderWord(roles, bool(flags & _IS_ALL), endpoints, bool(flags & _STOPS), bool(flags & _REFUSED))


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _put_number(out: bytearray, number: int) -> None:
    if not 0 <= number < 1 << _NUMBER_BITS_MAX:
        raise ValueError(f"{number} cannot be told: it is negative, or of more than {_NUMBER_BITS_MAX} bits")
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)


def _put_text(out: bytearray, text: str) -> None:
    encoded = text.encode()
    _put_number(out, len(encoded))
    out += encoded


def _put_endpoint(out: bytearray, endpoint: Endpoint) -> None:
    _put_text(out, endpoint[0])
    _put_number(out, endpoint[1])


def _put_roles(out: bytearray, roles: Roles) -> None:
    for tasks in (roles.active, roles.standby, roles.warmup):
        _put_tasks(out, tasks)


def _put_tasks(out: bytearray, tasks: Iterable[TaskId]) -> None:
    grouped = [
        (number, [task.partition for task in found])
        for number, found in groupby(sorted(tasks), lambda task: task.subtopology)
    ]
    _put_number(out, len(grouped))
    for number, partitions in grouped:
        runs = _runs(partitions)
        _put_number(out, number)
        _put_number(out, len(runs))
        end = 0
        for start, stop in runs:
            _put_number(out, start - end)
            _put_number(out, stop - start)
            end = stop


def _runs(partitions: list[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for partition in partitions:
        if runs and runs[-1][1] == partition:
            runs[-1] = (runs[-1][0], partition + 1)
        else:
            runs.append((partition, partition + 1))
    return runs


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Reader:
    """Reads in order, and never beyond the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._tasks_left = _TASKS_MAX
        version = self.byte()
        if version > VERSION:
            raise UserDataError(
                f"it is of version {version}, which a later headrace writes; this one knows {VERSION} and earlier"
            )
        if version == 0:
            raise UserDataError("it is of version 0, which nobody writes")

    def byte(self) -> int:
        """Take the next byte."""
        if self._at >= len(self._data):
            raise UserDataError(f"it ends after {len(self._data)} bytes, too early")
        self._at += 1
        return self._data[self._at - 1]

    def number(self) -> int:
        """Take the next number."""
        number = shift = 0
        while True:
            byte = self.byte()
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift >= _NUMBER_BITS_MAX:
                raise UserDataError(f"a number before byte {self._at} does not end")
        return number

    def count(self) -> int:
        """Take how many of something follow, each of a byte at least."""
        count = self.number()
        if count > len(self._data) - self._at:
            raise UserDataError(f"{count} entries are announced before byte {self._at}, and do not follow")
        return count

    def text(self) -> str:
        """Take the next text."""
        length = self.count()
        self._at += length
        try:
            return self._data[self._at - length : self._at].decode()
        except UnicodeDecodeError:
            raise UserDataError(f"the text before byte {self._at} is no UTF-8") from None

    def endpoint(self) -> Endpoint:
        """Take a host and its port."""
        return self.text(), self.number()

    def roles(self) -> Roles:
        """Take three sets of tasks."""
        return Roles(self._tasks(), self._tasks(), self._tasks())

    def _tasks(self) -> frozenset[TaskId]:
        tasks: list[TaskId] = []
        for _ in range(self.count()):
            subtopology, end = self.number(), 0
            for _ in range(self.count()):
                start = end + self.number()
                length = self.number()
                self._tasks_left -= length
                if self._tasks_left < 0:
                    raise UserDataError(f"there are more than {_TASKS_MAX} tasks before byte {self._at}")
                end = start + length
                tasks.extend(TaskId(subtopology, partition) for partition in range(start, end))
        return frozenset(tasks)

    def finish(self) -> None:
        """Refuse what is left."""
        if self._at != len(self._data):
            raise UserDataError(f"{len(self._data) - self._at} bytes are left behind byte {self._at}")
