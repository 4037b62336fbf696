"""Where the applications of these tests run: on a file, and on a broker of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.testing import LocalKafka
from tests.faults.site import Site
from tests.kafka.broker.proxy import Proxy

# What differs from what was expected is told.
pytest.register_assert_rewrite("tests.faults.plain")

CONFIG = {
    # Times of records are those of 1970 here, and brokers count `min.compaction.lag.ms` by them: what protects the
    # changelogs of versioned stores from compaction in use would not, and of two versions that came in the wrong order
    # of their times the latest would be gone. So nothing is compacted.
    "log.cleaner.backoff.ms": "3600000",
    # As short as those of classic groups in these tests.
    "group.streams.min.session.timeout.ms": "4000",
    "group.streams.session.timeout.ms": "4000",
    "group.streams.min.heartbeat.interval.ms": "500",
    "group.streams.heartbeat.interval.ms": "500",
}


@pytest.fixture
def kafka(local_kafka_is_there: None) -> Iterator[LocalKafka]:
    with LocalKafka(config=CONFIG) as kafka:
        yield kafka


@pytest.fixture
def kafka_to_kill(local_kafka_is_there: None) -> Iterator[LocalKafka]:
    """One broker that loses no transaction's end when it is killed."""
    with LocalKafka(controller=True, config=CONFIG) as kafka:
        yield kafka


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.broker)])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    if request.param == "embedded":
        return Site(tmp_path)
    return Site(tmp_path, request.getfixturevalue("kafka").bootstrap_servers)


@pytest.fixture
def proxied_kafka(local_kafka_is_there: None) -> Iterator[tuple[LocalKafka, Proxy]]:
    with Proxy() as proxy, LocalKafka(advertised=[proxy.address]) as kafka:
        proxy.target = kafka.broker_servers[0]
        yield kafka, proxy


@pytest.fixture
def kafka_of_three(local_kafka_is_there: None) -> Iterator[LocalKafka]:
    with LocalKafka(brokers=3) as kafka:
        yield kafka
