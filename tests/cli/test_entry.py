"""Where the process of the command begins."""

import subprocess
import sys

import pytest

PROGRAM = """
import gc, sys
from headrace.cli.entry import main
sys.argv = ["headrace", "--version"]
try:
    main()
except SystemExit:
    print(gc.get_threshold()[0])
"""


@pytest.mark.process
def test_the_process_looks_for_cycles_after_many_objects_only() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60
    )
    assert int(done.stdout.split()[-1]) >= 100_000
