"""Workers to be turned by hand."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import headrace as hr
from tests.engine.bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(topology: hr.Topology, **config: Any) -> Bench:
        one = Bench(topology, tmp_path / "state", **config)
        made.append(one)
        return one

    yield make
    for each in made:
        each.close()
