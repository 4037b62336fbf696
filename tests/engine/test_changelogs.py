"""How changelogs are followed: what one follower raises costs the others nothing."""

import pytest

from headrace.base.columns import Chunk, Columns
from headrace.base.errors import StateCorruptionError
from headrace.base.ids import TopicPartition
from headrace.engine.changelogs import Changelogs
from headrace.engine.known_topics import KnownTopics
from headrace.log.memory import MemoryLog
from headrace.log.port import TopicSpec

PARTITIONS = [TopicPartition("changes", number) for number in range(3)]


class Following:
    """Gathers what it is given; the first time that there is any, it finds damage."""

    def __init__(self, *, is_damaged: bool) -> None:
        self.values: list[bytes | None] = []
        self._is_damaged = is_damaged

    def apply(self, chunk: Chunk) -> None:
        if self._is_damaged:
            self._is_damaged = False
            raise StateCorruptionError("damaged")
        self.values += chunk.values

    def start_again(self, partition: TopicPartition, begin: int) -> None:
        raise AssertionError


@pytest.mark.parametrize("damaged", [{0}, {1}, {2}, {0, 2}, {0, 1, 2}])
def test_damage_of_one_follower_takes_no_record_from_another(damaged: set[int]) -> None:
    log = MemoryLog()
    log.create_topics([TopicSpec("changes", 3)])
    writer = log.writer("test")
    for partition in PARTITIONS:
        for value in (b"1", b"2"):
            columns = Columns()
            columns.append(b"key", value, 0, ())
            writer.append("changes", partition.partition, columns)
            writer.commit({})
    reader = log.reader()
    reader.assign(dict.fromkeys(PARTITIONS, 0))
    followers = {each: Following(is_damaged=each.partition in damaged) for each in PARTITIONS}
    changelogs = Changelogs(log, KnownTopics(lambda: 0.0), changelog_name=str, full_name=str)
    found = 0
    while any(reader.position(each) < 2 for each in PARTITIONS):
        try:
            changelogs.read(reader, followers, 0)
        except StateCorruptionError:
            found += 1
    assert found == len(damaged)
    assert [each.values for each in followers.values()] == [[b"1", b"2"]] * 3
