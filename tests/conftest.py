"""Brokers that several rooms ask for, each started once for all of them."""

from collections.abc import Iterator

import pytest

from headrace.testing import LocalKafka
from tests.kafka.broker.proxy import Proxy


@pytest.fixture(scope="session")
def secured(local_kafka_is_there: None) -> Iterator[LocalKafka]:
    """One broker with TLS, all SASL mechanisms and ACLs; `admin` may do everything, `alice` nothing as yet."""
    users = {"alice": "alice-secret"}
    with LocalKafka(security="sasl_ssl", users=users, authorizer=True) as kafka:
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
