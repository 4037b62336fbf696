"""Positions: what a question asks to have been reached."""

import pytest

from headrace import Position


def test_the_later_of_two_has_the_later_offset_of_each_place() -> None:
    one, two = Position({("a", 0): 5, ("b", 1): 9}), Position({("a", 0): 7, ("a", 1): 1})
    assert one | two == Position({("a", 0): 7, ("a", 1): 1, ("b", 1): 9}) == two | one
    assert one | Position() == one


@pytest.mark.parametrize("offsets", [{("a", 0): 1.5}, {("a", "0"): 1}, {(1, 0): 1}, {("a", 0): True}])
def test_what_is_no_offset_is_refused(offsets: dict[tuple[str, int], int]) -> None:
    with pytest.raises(TypeError, match="a position is made of"):
        Position(offsets)
