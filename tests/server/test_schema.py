"""A tool that knows the description alone asks all it can think of, and finds no answer that is not described."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.conftest import Served


@pytest.mark.campaign
@pytest.mark.process
@pytest.mark.timeout(300)
def test_schemathesis_finds_nothing(served: Served, tmp_path: Path) -> None:
    ran = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("st")), "run", f"{served.url}/openapi.json"),
            # Which parameters go together depends on the kind of the store, which no schema says: 400 is right there.
            *("--checks", "all", "--exclude-checks", "positive_data_acceptance"),
            *("--max-examples", "10", "--seed", "1", "--exclude-path-regex", "watch"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Operations:       17 selected" in ran.stdout
