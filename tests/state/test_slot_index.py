"""The index of a key's cells."""

from collections.abc import Iterable

from headrace.state.buffer import slot_index
from headrace.state.buffer.slot_index import SlotIndex


class Scans:
    """Counts scans; each key has the same slots, by default 1 to 3.

    Attributes:
        keys: those that were scanned, in their order.
    """

    def __init__(self, slots: Iterable[int] = (1, 2, 3)) -> None:
        self.keys: list[bytes] = []
        self._slots = slots

    def __call__(self, key: bytes, first: int) -> list[int]:
        self.keys.append(key)
        return [slot for slot in self._slots if slot >= first]


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
    index = SlotIndex(scans := Scans(range(slot_index._SIZE_MAX + 1)))
    assert len(index.since(b"a", 0, 0)) == slot_index._SIZE_MAX + 1
    index.since(b"a", 0, 0)
    assert scans.keys == [b"a", b"a"]


def test_what_lies_before_the_slots_that_are_asked_for_is_not_read() -> None:
    index = SlotIndex(scans := Scans())
    assert index.since(b"a", 3, 0) == [3]
    assert not index.put(b"a", 2, is_there=True)  # for all that is known, it was there
    assert index.since(b"a", 3, 0) == [3]
    assert scans.keys == [b"a"]


def test_who_asks_further_and_further_back_has_the_key_read_once_more() -> None:
    index = SlotIndex(scans := Scans())
    assert [index.since(b"a", first, 0) for first in (3, 2, 1)] == [[3], [2, 3], [1, 2, 3]]
    assert scans.keys == [b"a", b"a"]


def test_slots_far_behind_what_is_asked_for_are_forgotten_and_those_close_by_are_kept() -> None:
    behind = slot_index._KEPT_BEHIND
    index = SlotIndex(scans := Scans(range(10 * behind)))
    index.since(b"a", 0, 0)
    asked = 5 * behind
    assert index.since(b"a", asked, 0)[0] == asked
    assert index.since(b"a", asked - behind, 0)[0] == asked - behind
    assert scans.keys == [b"a"]
    assert index.since(b"a", asked - behind - 1, 0)[0] == asked - behind - 1
    assert scans.keys == [b"a", b"a"]
