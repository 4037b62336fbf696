"""Brokers that several rooms ask for, each started once for all of them."""

import gc
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from headrace.testing import LocalKafka
from tests.kafka.broker.proxy import Proxy
from tests.sql.postgres import LocalPostgres

#: What a selection of tests runs on, beside the version that all others run on. The last of Kafka 3 has the older
#: protocol of transactions.
OLDER_VERSIONS = ("4.3.1", "3.9.2")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fetch the older versions before the first test, whose time limit has not to allow for that.

    What was imported and collected stays: searches for cycles, which walked it again each time, leave it out.
    """
    gc.collect()
    gc.freeze()
    asked = any({"kafka_of", "older_kafka"} & {*getattr(item, "fixturenames", ())} for item in session.items)
    if asked and not session.config.option.collectonly and LocalKafka.unavailable() is None:
        for version in OLDER_VERSIONS:
            if LocalKafka.unavailable(version) is None:
                LocalKafka.prepare(version)


@pytest.fixture(scope="session")
def kafka_of(local_kafka: LocalKafka) -> Iterator[Callable[[str], LocalKafka]]:
    """One plain broker of each version, started when a test first asks for it. Not to be stopped."""
    running = {local_kafka.version: local_kafka}
    with ExitStack() as brokers:

        def of(version: str) -> LocalKafka:
            if version not in running:
                reason = LocalKafka.unavailable(version)
                if reason is not None:
                    pytest.skip(reason)
                running[version] = brokers.enter_context(LocalKafka(version=version))
            return running[version]

        yield of


@pytest.fixture(params=OLDER_VERSIONS)
def older_kafka(request: pytest.FixtureRequest, kafka_of: Callable[[str], LocalKafka]) -> LocalKafka:
    """One plain broker of each older version. Not to be stopped."""
    return kafka_of(request.param)


@pytest.fixture(scope="session")
def postgres() -> Iterator[LocalPostgres]:
    """One server for all tests. Whoever stops it starts it again."""
    reason = LocalPostgres.unavailable()
    if reason is not None:
        pytest.skip(reason)
    with LocalPostgres() as server:
        yield server


@pytest.fixture(scope="session")
def debezium_is_there() -> None:
    """Skip what needs Debezium's engine where it cannot be built."""
    if shutil.which("mvn") is None or shutil.which("javac") is None:
        pytest.skip("Debezium's engine wants a JDK (17 or later) and Maven")


@pytest.fixture(scope="session")
def secured(local_kafka_is_there: None) -> Iterator[LocalKafka]:
    """One broker with TLS, all SASL mechanisms and ACLs; `admin` may do everything, `alice` nothing as yet.

    Logins end after 2 s, unless they are renewed.
    """
    users = {"alice": "alice-secret"}
    config = {"connections.max.reauth.ms": "2000"}
    with LocalKafka(security="sasl_ssl", users=users, authorizer=True, config=config) as kafka:
        yield kafka


@pytest.fixture(scope="session")
def _proxied(local_kafka_is_there: None) -> Iterator[tuple[LocalKafka, Proxy]]:
    with Proxy() as proxy, LocalKafka(advertised=[proxy.address]) as kafka:
        proxy.target = kafka.broker_servers[0]
        yield kafka, proxy


@pytest.fixture
def proxy(_proxied: tuple[LocalKafka, Proxy]) -> Iterator[Proxy]:
    """The proxy in front of `proxied`; its faults end with the test."""
    yield _proxied[1]
    _proxied[1].clear()


@pytest.fixture
def proxied(_proxied: tuple[LocalKafka, Proxy], proxy: Proxy) -> LocalKafka:
    """One plain broker whose clients come through `proxy`."""
    return _proxied[0]
