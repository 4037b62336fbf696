"""Fixtures for the tests of stores: both engines, with and without cache, with values that stay objects or do not."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headrace.state.spec import StoreSpec
from tests.state.stores import Stores


@pytest.fixture
def is_compiled(request: pytest.FixtureRequest) -> bool | None:
    """Which cache stores of numbers have, where a test says so: the compiled one or its twin."""
    return getattr(request, "param", None)


@pytest.fixture
def open_stores(tmp_path: Path, is_compiled: bool | None) -> Iterator[Callable[..., Stores]]:
    """Open stores of these specs in the test's own directory; they are closed in the end."""
    opened: list[Stores] = []

    def open_(*specs: StoreSpec, cache_bytes: int = 1 << 20, live_bytes: int = 1 << 20) -> Stores:
        path = tmp_path / "rocksdb"
        opened.append(
            Stores(*specs, path=path, cache_bytes=cache_bytes, live_bytes=live_bytes, is_compiled=is_compiled)
        )
        return opened[-1]

    yield open_
    for stores in opened:
        stores.close()
