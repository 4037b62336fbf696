"""Each planted mistake of `bad.py` is an error to both type checkers, and nothing else there is."""

import json
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BAD = HERE / "bad.py"
PLANTED = re.compile(r"  # \d+ (.+)$")
MYPY_ALONE = "(mypy alone)"


def planted() -> dict[int, str]:
    lines = BAD.read_text().splitlines()
    return {number: match[1] for number, line in enumerate(lines, 1) if (match := PLANTED.search(line))}


def output_of(*command: str) -> str:
    checked = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    # 1 is "errors found"; anything else is a checker that could not do its work.
    assert checked.returncode == 1, checked.stdout + checked.stderr
    return checked.stdout


def test_there_are_planted_mistakes() -> None:
    assert len(planted()) == 53


def test_mypy_finds_each_planted_mistake_and_no_other() -> None:
    output = output_of("mypy", "--no-pretty", str(BAD))
    assert {int(number) for number in re.findall(r"bad\.py:(\d+): error", output)} == set(planted())


def test_basedpyright_finds_each_planted_mistake_and_no_other(tmp_path: Path) -> None:
    # The project's own configuration leaves the file out, or `make typing` would fail.
    config = {
        "include": [str(BAD)],
        "extraPaths": [str(ROOT), str(ROOT / "src")],
        "pythonVersion": "3.11",
        "typeCheckingMode": "strict",
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(config))
    output = output_of(
        "basedpyright", "--project", str(tmp_path), "--pythonpath", sys.executable, "--outputjson"
    )
    found = {
        found["range"]["start"]["line"] + 1
        for found in json.loads(output)["generalDiagnostics"]
        if found["severity"] == "error"
    }
    assert found == {number for number, what in planted().items() if MYPY_ALONE not in what}
