"""Brokers for the tests of a room that talks to Kafka: each is started once, when a test first asks for it.

Those with logins and ACLs, and behind a proxy, are shared with other rooms: see `tests/conftest.py`. Tests keep apart
by the names that `unique` and `new_topic` make.
"""

import itertools
import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import pytest

from headrace.testing import LocalKafka
from headrace.testing.local_kafka.jars import KAFKA_VERSION
from tests.conftest import OLDER_VERSIONS

_NUMBERS = itertools.count(1)


class NewTopic(Protocol):
    """Makes a topic with a name that nobody has yet, on the plain broker unless another is named; returns the name."""

    def __call__(
        self,
        partitions: int = 1,
        config: Mapping[str, str] | None = None,
        *,
        kafka: LocalKafka | None = None,
    ) -> str: ...


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """On CI there has to be a Kafka: tests that skip themselves would show nothing."""
    wants = any("local_kafka_is_there" in getattr(item, "fixturenames", ()) for item in items)
    if wants and os.environ.get("CI") and (reason := LocalKafka.unavailable()):
        pytest.exit(reason, returncode=3)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with the marker `older_kafka` on brokers of each version."""
    if metafunc.definition.get_closest_marker("older_kafka"):
        metafunc.parametrize("broker", [KAFKA_VERSION, *OLDER_VERSIONS], indirect=True)


@pytest.fixture
def broker(request: pytest.FixtureRequest, local_kafka: LocalKafka) -> LocalKafka:
    """One plain broker. Not to be stopped: others use it."""
    version = getattr(request, "param", None)
    if version is None:
        return local_kafka
    of: Callable[[str], LocalKafka] = request.getfixturevalue("kafka_of")
    return of(version)


@pytest.fixture(scope="session")
def _three(local_kafka_is_there: None) -> Iterator[LocalKafka]:
    with LocalKafka(brokers=3) as kafka:
        yield kafka


@pytest.fixture
def cluster(_three: LocalKafka) -> Iterator[LocalKafka]:
    """Three brokers, of which a test may stop or kill what it likes: they run again for the next one."""
    yield _three
    for number in range(3):
        if _three.pid(number) is None:
            _three.start_broker(number)


@pytest.fixture
def unique(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Make names that no other test has: of groups, applications, transactional ids."""
    test = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())[:60].strip("-")
    return lambda name: f"{test}-{name}-{next(_NUMBERS)}"


@pytest.fixture
def new_topic(request: pytest.FixtureRequest, unique: Callable[[str], str]) -> NewTopic:
    """Make topics; see `NewTopic`."""

    def make(
        partitions: int = 1, config: Mapping[str, str] | None = None, *, kafka: LocalKafka | None = None
    ) -> str:
        chosen = kafka or request.getfixturevalue("broker")
        assert isinstance(chosen, LocalKafka)
        name = unique("topic")
        chosen.create_topic(name, partitions, config)
        return name

    return make
