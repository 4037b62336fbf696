#!/usr/bin/env python3
"""Writes random conformance cases, without their "expect" (the oracle fills that in).

Usage: generate.py OUT_DIR SEED COUNT_PER_FAMILY [FAMILY...]

A case is made by its name alone, `<family>-<seed>-<number>`: the same name gives the same case.
"""

import json
import random
import sys
from collections.abc import Callable
from pathlib import Path

# Run as a script, the folder of this file is on the path and the project is not.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.conformance.families import (
    aggregations,
    enrichment,
    foreign_keys,
    graphs,
    mixtures,
    processors,
    sources,
    stateless,
    stores,
    stream_joins,
    suppression,
    tables,
    versions,
)
from tests.conformance.families.case import Case

__all__ = ["FAMILIES", "generate"]

_MODULES = (
    stateless,
    aggregations,
    suppression,
    versions,
    tables,
    stream_joins,
    enrichment,
    foreign_keys,
    processors,
    graphs,
    mixtures,
    sources,
    stores,
)

#: What makes a case, by the name of its family.
FAMILIES: dict[str, Callable[[Case], None]] = {
    name: getattr(module, name) for module in _MODULES for name in module.__all__
}


def generate(family: str, seed: str, number: int) -> Case:
    """Make one case."""
    name = f"{family}-{seed}-{number:03d}"
    case = Case(random.Random(name), name)
    FAMILIES[family](case)
    return case


def main(arguments: list[str]) -> None:
    """Write the cases of the families that are named, or of all."""
    out, seed, count, *names = arguments
    for family in names or FAMILIES:
        folder = Path(out) / family
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(int(count)):
            case = generate(family, seed, number)
            (folder / f"{case.doc['name']}.json").write_text(json.dumps(case.doc, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
