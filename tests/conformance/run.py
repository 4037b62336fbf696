#!/usr/bin/env python3
"""Runs conformance cases on the library and prints how it differs from Kafka Streams.

Usage: run.py FILE_OR_FOLDER...

The last line is `N passed, N failed, N skipped`; a case is skipped where it names an operator that does not exist yet.
The exit code is 1 where a case failed, and 2 where none was found.
"""

import json
import logging
import sys
import traceback
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

# Run as a script, the folder of this file is on the path and the project is not.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.conformance.comparison import differences
from tests.conformance.features import MissingFeatureError
from tests.conformance.replay import observe

__all__ = ["case_files", "main"]


def case_files(places: Iterable[Path]) -> list[Path]:
    """Return the cases among files and below folders, in order."""
    files = [file for place in places for file in ([place] if place.is_file() else place.rglob("*.json"))]
    return sorted(set(files))


def _verdict(file: Path) -> tuple[str, list[str]]:
    case = json.loads(file.read_text())
    if "expect" not in case:
        return "failed", ["the case has no expect: let the oracle judge it first"]
    try:
        lines = differences(case["expect"], observe(case))
    except MissingFeatureError as error:
        return "skipped", [str(error)]
    except Exception:  # whatever a case makes the library raise is its result
        return "failed", traceback.format_exc().strip().splitlines()
    return ("failed" if lines else "passed"), lines


def main(arguments: list[str]) -> int:
    """Run the cases of files and folders; return the exit code."""
    files = case_files(map(Path, arguments))
    if not files:
        print(__doc__, file=sys.stderr)
        return 2
    logging.getLogger("headrace").setLevel(logging.CRITICAL)  # dropped records are what many cases are about
    counts: Counter[str] = Counter()
    for file in files:
        verdict, lines = _verdict(file)
        counts[verdict] += 1
        if verdict != "passed":
            print(f"{file}: {verdict}")
            print("".join(f"    {line}\n" for line in lines), end="")
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
