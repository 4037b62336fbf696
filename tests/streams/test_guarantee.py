"""Which log a configuration means, and what its processing guarantee makes of the rest."""

from pathlib import Path

import pytest

import headrace as hr
from headrace.base.errors import ConfigError
from headrace.streams.config import Config, Layer
from headrace.streams.guarantee import engine_values, transaction_timeout_ms, transactional_id
from headrace.streams.logs import LogAddress, address_of

KAFKA = {"application.id": "shop", "bootstrap.servers": "one:9092,two:9092"}


def config(**values: object) -> Config:
    return Config(properties={name.replace("_", "."): value for name, value in values.items()} | KAFKA)


def test_brokers_are_named_as_they_are_written() -> None:
    assert address_of(config()) == LogAddress(servers="one:9092,two:9092")
    assert str(address_of(config())) == "Kafka at one:9092,two:9092"


def test_log_of_the_higher_layer_wins() -> None:
    production = hr.Config().with_values(KAFKA, Layer.FILE)
    by_flag = production.with_values({"embedded.path": "mine.db"}, Layer.FLAG)
    assert address_of(by_flag) == LogAddress(path=Path("mine.db"))
    by_code = production.with_values({"embedded.path": "mine.db"}, Layer.CODE)
    assert address_of(by_code) == LogAddress(servers="one:9092,two:9092")


def test_two_logs_of_one_layer_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"two logs are named, embedded\.path \(a\.db\)"):
        address_of(config(embedded_path="a.db"))


def test_session_that_is_over_before_a_sign_of_life_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"heartbeat\.interval\.ms is 3000, but a session is over after 3000 ms"
    ):
        engine_values(config(session_timeout_ms=3_000))


def test_exactly_once_has_a_transactional_id_and_at_least_once_has_none() -> None:
    assert transactional_id(config(), "a3f", "2") == "shop-a3f-2"
    assert transactional_id(config(processing_guarantee="at_least_once"), "a3f", "1") is None
    assert (
        transactional_id(hr.Config(application_id="shop", embedded_path="a.db"), "a3f", "1") == "shop-a3f-1"
    )


def test_only_a_cluster_aborts_transactions_that_last() -> None:
    assert transaction_timeout_ms(config()) == 10_000
    assert transaction_timeout_ms(config(transaction_timeout_ms=5_000)) == 5_000
    assert transaction_timeout_ms(config(processing_guarantee="at_least_once")) is None
    assert transaction_timeout_ms(hr.Config(application_id="shop", embedded_path="a.db")) is None


def test_commit_interval_follows_from_the_guarantee_unless_it_is_set() -> None:
    assert "commit.interval.ms" not in engine_values(config())
    assert engine_values(config(processing_guarantee="at_least_once"))["commit.interval.ms"] == 30_000
    both = config(processing_guarantee="at_least_once", commit_interval_ms=5)
    assert engine_values(both)["commit.interval.ms"] == 5


def test_commit_interval_beyond_the_life_of_a_transaction_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"commit\.interval\.ms is 10000, but a transaction lives for 10000 ms"
    ):
        engine_values(config(commit_interval_ms=10_000))
    assert engine_values(config(commit_interval_ms=10_000, transaction_timeout_ms=60_000))
