"""Each planted mistake of `bad.py` is an error to mypy, and nothing else there is."""

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PLANTED = re.compile(r"  # \d+ (.+)$")


def test_each_planted_mistake_is_an_error() -> None:
    lines = (HERE / "bad.py").read_text().splitlines()
    planted = {number: match[1] for number, line in enumerate(lines, 1) if (match := PLANTED.search(line))}
    checked = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--config-file",
            str(HERE / "mypy.ini"),
            "--no-pretty",
            str(HERE / "bad.py"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    found = {int(number) for number in re.findall(r"bad\.py:(\d+): error", checked.stdout)}
    missed = [what for number, what in planted.items() if number not in found]
    assert missed == [], checked.stdout + checked.stderr
    unplanted = found - planted.keys()
    assert unplanted == set(), checked.stdout
    assert len(planted) >= 14
