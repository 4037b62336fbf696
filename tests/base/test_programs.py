"""Programs that are written while the application starts."""

import traceback

import pytest

from headrace.base.programs import defined_by


def test_a_traceback_shows_the_programs_lines() -> None:
    run = defined_by("def run(value):\n    return 10 // value\n", "node-1", {})["run"]
    with pytest.raises(ZeroDivisionError) as raised:
        run(0)
    shown = "".join(traceback.format_exception(raised.value))
    assert 'File "<node-1>", line 2, in run' in shown
    assert "return 10 // value" in shown
