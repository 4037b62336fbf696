#!/usr/bin/env python3
"""Makes random cases, lets Kafka Streams judge them, and runs the library on them: a longer search than the test run's.

Usage: campaign.py [--seed N] [--count CASES_PER_FAMILY] [FAMILY...]

Needs a JDK 17 or later and Maven; without them it says so and replays the recorded cases only. The cases stay in
`.cache/conformance/<seed>`, so that one that failed can be run again.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_ROOT = _HERE.parents[1]


def main() -> int:
    """Run the campaign; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--count", type=int, default=50, help="cases a family (50)")
    parser.add_argument("families", nargs="*", metavar="FAMILY")
    given = parser.parse_args()
    folders = [str(_HERE / "cases")]
    if shutil.which("java") and shutil.which("mvn"):
        out = _ROOT / ".cache" / "conformance" / str(given.seed)
        shutil.rmtree(out, ignore_errors=True)
        generator = [sys.executable, str(_HERE / "generate.py"), str(out), str(given.seed), str(given.count)]
        subprocess.run([*generator, *given.families], check=True)
        subprocess.run([str(_HERE / "oracle" / "run"), str(out)], check=True)
        folders.append(str(out))
    else:
        print("no java and mvn here: only the recorded cases are replayed", file=sys.stderr)
    return subprocess.run([sys.executable, str(_HERE / "run.py"), *folders], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
