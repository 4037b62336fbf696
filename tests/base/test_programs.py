"""Programs that are written while the application starts."""

import traceback

import pytest

from headrace.base.programs import made_by


def test_a_traceback_shows_the_programs_lines() -> None:
    run = made_by("def run(value):\n    return ten // value\n", "node-1", {"ten": 10})
    with pytest.raises(ZeroDivisionError) as raised:
        run(0)
    shown = "".join(traceback.format_exception(raised.value))
    assert 'File "<node-1>", line 3, in run' in shown
    assert "return ten // value" in shown


def test_a_program_assigns_what_it_is_given() -> None:
    run = made_by(
        "def run():\n    nonlocal count\n    count += 1\n    return count\n", "node-1", {"count": 5}
    )
    assert (run(), run()) == (6, 7)
