"""The pytest plugin: fixtures of test drivers and of a real Kafka. Loaded by pytest itself, so it imports late."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from headrace.testing.driver import TopologyTestDriver
    from headrace.testing.local_kafka.cluster import LocalKafka

__all__ = ["local_kafka", "local_kafka_is_there", "topology_driver"]


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


@pytest.hookimpl
def pytest_collection_finish(session: pytest.Session) -> None:
    """Fetch Kafka before the first test, if one of them asks for it: no test's time limit has to allow for that.

    Where there can be none, that is said here, once, and not only by the letters of the tests that are skipped.
    """
    if session.config.option.collectonly:
        return
    if any("local_kafka_is_there" in getattr(item, "fixturenames", ()) for item in session.items):
        from headrace.testing.local_kafka.cluster import LocalKafka

        reason = LocalKafka.unavailable()
        if reason is None:
            LocalKafka.prepare()
            return
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.write_line(f"SKIPPED, everything that needs Kafka: {reason}", yellow=True)


@pytest.fixture(scope="session")
def local_kafka_is_there() -> None:
    """Skip what needs a local Kafka where none can be started. For fixtures that start one of their own."""
    from headrace.testing.local_kafka.cluster import LocalKafka

    reason = LocalKafka.unavailable()
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def local_kafka(local_kafka_is_there: None) -> "Iterator[LocalKafka]":
    """One plain broker for the whole session, started when first asked for; tests keep apart by their topics' names.

    def test_orders(local_kafka):
        local_kafka.create_topic("orders", partitions=3)
        streams = hr.Streams(topology, local_kafka.client_properties | {"application.id": "shop"})
    """
    from headrace.testing.local_kafka.cluster import LocalKafka

    with LocalKafka() as kafka:
        yield kafka
