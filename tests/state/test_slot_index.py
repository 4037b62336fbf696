"""The index of a key's cells."""

from headrace.state.buffer import slot_index
from headrace.state.buffer.slot_index import SlotIndex


class Scans:
    """Counts scans; keys have the slots 1 to 3."""

    def __init__(self) -> None:
        self.keys: list[bytes] = []

    def __call__(self, key: bytes) -> list[int]:
        self.keys.append(key)
        return [1, 2, 3]


def test_key_is_scanned_once_and_kept_up_by_the_puts() -> None:
    index = SlotIndex(scans := Scans())
    index.since(b"a", 0, 0)
    index.put(b"a", 5, is_there=True)
    index.put(b"a", 2, is_there=False)
    index.put(b"b", 9, is_there=True)
    assert index.since(b"a", 0, 0) == [1, 3, 5]
    assert index.since(b"a", 3, 0) == [3, 5]
    assert scans.keys == [b"a"]


def test_put_says_whether_the_cell_is_known_to_be_new() -> None:
    index = SlotIndex(Scans())
    assert not index.put(b"a", 4, is_there=True)
    index.since(b"a", 0, 0)
    assert index.put(b"a", 4, is_there=True)
    assert not index.put(b"a", 4, is_there=True)


def test_expired_slots_leave_when_their_key_is_asked_for() -> None:
    index = SlotIndex(Scans())
    assert index.since(b"a", 0, 2) == [2, 3]


def test_keys_that_were_learnt_first_are_forgotten_where_there_are_too_many() -> None:
    index = SlotIndex(scans := Scans())
    count = slot_index._SIZE_MAX // 4
    for number in range(count + 1):
        index.since(b"%d" % number, 0, 0)
    scans.keys.clear()
    index.since(b"%d" % count, 0, 0)
    index.since(b"0", 0, 0)
    assert scans.keys == [b"0"]


def test_key_with_more_slots_than_there_is_room_for_is_read_each_time() -> None:
    keys: list[bytes] = []

    def scan(key: bytes) -> list[int]:
        keys.append(key)
        return list(range(slot_index._SIZE_MAX + 1))

    index = SlotIndex(scan)
    assert len(index.since(b"a", 0, 0)) == slot_index._SIZE_MAX + 1
    index.since(b"a", 0, 0)
    assert keys == [b"a", b"a"]
