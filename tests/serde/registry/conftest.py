"""A registry within the process for each test, and one behind HTTP."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from headrace.serde.registry.mock import MockRegistry, mock_registry
from headrace.serde.serde import Serde
from tests.serde.registry.http_front import HttpFront


@pytest.fixture
def registry(request: pytest.FixtureRequest) -> MockRegistry:
    """The registry `mock://<name of the test>`."""
    return mock_registry(request.node.nodeid)


@pytest.fixture
def configured(request: pytest.FixtureRequest) -> Callable[..., Serde[Any]]:
    """Tell a serde that registry, and other properties; returns it."""

    def configure(serde: Serde[Any], **properties: object) -> Serde[Any]:
        given = {name.replace("_", "."): value for name, value in properties.items()}
        serde.configure({"schema.registry.url": (f"mock://{request.node.nodeid}",), **given})
        return serde

    return configure


@pytest.fixture
def front() -> Iterator[HttpFront]:
    with HttpFront() as front:
        yield front
