"""The soak: when memory counts as flat, and that a short run gets to its end."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.soak import Sample, growth_of


def samples(*resident_mb: float) -> list[Sample]:
    return [Sample(10.0 * number, 0, each) for number, each in enumerate(resident_mb, 1)]


def test_growth_is_the_highest_above_the_end_of_the_first_fifth() -> None:
    assert growth_of(samples(50, 100, 90, 110, 105, 101, 100, 100, 100, 100), 100) == pytest.approx(0.10)
    assert growth_of(samples(50, 100, 90, 80, 80, 80, 80, 80, 80, 80), 100) == pytest.approx(-0.10)


def test_a_run_that_is_too_short_for_its_samples_says_so() -> None:
    with pytest.raises(ValueError, match="take them more often"):
        growth_of(samples(50, 100), 10)


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
# With joins, subscriptions and answers count as well.
@pytest.mark.parametrize(("scenario", "least"), [([], 5_000), (["--joins"], 7_500)])
def test_a_short_run_processes_all_and_tells_of_its_memory(scenario: list[str], least: int) -> None:
    command = [sys.executable, "benchmarks/soak.py", "--records", "5000", "--seconds", "4", "--every", "0.2"]
    command += scenario
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=110, check=False, cwd=Path(__file__).parents[2]
    )
    lines = done.stdout.splitlines()
    assert done.stderr == ""
    processed = int(lines[-2].split()[2].replace(",", ""))
    assert processed >= least
    assert lines[-2].endswith("lag 0")
    assert lines[-1].startswith("memory grew by ")
    # In four seconds nothing is full yet, so either may come out.
    assert done.returncode == (1 if lines[-1].endswith("NOT FLAT") else 0)
