"""Databases for sinks: a file of SQLite, and a server of PostgreSQL where one is installed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine

from tests.sql.postgres import LocalPostgres


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'out.db'}"
    server: LocalPostgres = request.getfixturevalue("postgres")
    return server.make_database()


@pytest.fixture
def engines() -> Iterator[Callable[[str], Engine]]:
    """Make engines that are disposed of with the test."""
    made: list[Engine] = []

    def make(address: str) -> Engine:
        made.append(create_engine(address))
        return made[-1]

    yield make
    for engine in made:
        engine.dispose()


@pytest.fixture
def engine(address: str, engines: Callable[[str], Engine]) -> Engine:
    """What a test looks at the database with."""
    return engines(address)
