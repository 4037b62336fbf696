"""The pytest plugin: a fixture that makes test drivers and closes them. Loaded by pytest itself, so it imports late."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from headrace.testing.driver import TopologyTestDriver

__all__ = ["topology_driver"]


@pytest.fixture
def topology_driver() -> "Iterator[Callable[..., TopologyTestDriver]]":
    """Make `TopologyTestDriver`s, with its arguments; each is closed when the test ends.

    def test_counts(topology_driver):
        driver = topology_driver(topology)
        driver.input(WORDS).pipe("key", "word")
    """
    from headrace.testing.driver import TopologyTestDriver

    with ExitStack() as drivers:

        def make(topology: Any, **config: Any) -> TopologyTestDriver:
            return drivers.enter_context(TopologyTestDriver(topology, **config))

        yield make
