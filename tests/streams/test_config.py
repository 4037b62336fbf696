"""Configuration: names, layers, origins, and what a wrong one is told."""

from pathlib import Path

import pytest

from headrace.base.errors import ConfigError
from headrace.streams import foreign_properties
from headrace.streams.catalogue import OPTIONS
from headrace.streams.config import Config, Layer


def test_a_field_is_kafkas_name_with_underscores() -> None:
    config = Config(application_id="shop", commit_interval_ms=250)
    assert config["application.id"] == "shop"
    assert config["commit.interval.ms"] == 250
    assert config["commit_interval_ms"] == 250


def test_a_property_nobody_sets_has_its_default() -> None:
    config = Config()
    assert config["state.dir"] == ".headrace"
    assert config.origin("state.dir") == "default"


def test_properties_take_kafkas_names() -> None:
    assert Config(properties={"commit.interval.ms": 5})["commit.interval.ms"] == 5


def test_none_in_code_means_not_set() -> None:
    assert not Config(properties={"client.id": None}).is_set("client.id")


def test_the_same_property_twice_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"commit\.interval\.ms is given twice"):
        Config(commit_interval_ms=5, properties={"commit.interval.ms": 6})


def test_a_required_property_that_is_missing_says_how_to_give_it() -> None:
    with pytest.raises(
        ConfigError, match=r"application\.id is not set: give application_id=.*HEADRACE_APPLICATION_ID"
    ):
        Config()["application.id"]


def test_environment_wins_over_file_and_file_over_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "shop.toml"
    file.write_text('commit.interval.ms = 200\napplication_id = "from-file"\n')
    monkeypatch.setenv("HEADRACE_COMMIT_INTERVAL_MS", "300")
    config = Config.load(file, application_id="from-code", commit_interval_ms=100, client_id="mine")
    assert config["commit.interval.ms"] == 300
    assert config.origin("commit.interval.ms") == "environment HEADRACE_COMMIT_INTERVAL_MS"
    assert config["application.id"] == "from-file"
    assert config.origin("application.id") == f"file {file}"
    assert config.origin("client.id") == "code"


def test_flags_win_over_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_COMMIT_INTERVAL_MS", "300")
    config = Config.load().with_values({"commit.interval.ms": "400"}, Layer.FLAG)
    assert config["commit.interval.ms"] == 400
    assert config.origin("commit.interval.ms") == "flag"


def test_code_that_comes_later_does_not_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_COMMIT_INTERVAL_MS", "300")
    assert Config.load().with_fields(commit_interval_ms=1)["commit.interval.ms"] == 300


def test_the_environment_can_be_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_COMMIT_INTERVAL_MS", "300")
    assert not Config.load(env=None).is_set("commit.interval.ms")


def test_durations_may_be_text() -> None:
    assert Config(properties={"commit.interval.ms": "5s"})["commit.interval.ms"] == 5000


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("commit.intervall.ms", "did you mean commit.interval.ms?"),
        ("commit_intervall_ms", "did you mean commit_interval_ms?"),
        ("colour", "`headrace config explain` lists all"),
        ("topology.optimization", 'StreamsBuilder(optimize="all")'),
        ("topology_optimization", 'StreamsBuilder(optimize="all")'),
        ("ensure.explicit.internal.resource.naming", "StreamsBuilder(explicit_names=True)"),
        ("default.dsl.store", 'StreamsBuilder(engine="memory")'),
        ("default.key.serde", "Topic(name, key=…, value=…)"),
        ("default.value.serde", "Topic(name, key=…, value=…)"),
        ("rack.aware.assignment.strategy", "this version does not support"),
        ("producer.reconnect.backoff.max", "this version does not support"),
        ("producer.linger.ms", "leave it out: records go out as batches fill"),
        ("consumer.auto.offset.reset", 'builder.stream(topic, offset_reset="latest")'),
        ("producer.compression.type", "write compression.type instead"),
        (
            "ssl.ca.location",
            "write ssl.truststore.location instead (PEM file of the authorities that sign the brokers)",
        ),
        ("ssl_cafile", "write ssl_truststore_location instead"),
        (
            "ssl.key.location",
            "write ssl.keystore.location instead (PEM file of this client's private key and cert",
        ),
        ("sasl.mechanisms", "write sasl.mechanism instead"),
        ("sasl_plain_username", "write sasl_username instead"),
        ("metadata.broker.list", "write bootstrap.servers instead"),
        ("broker_address", "write bootstrap_servers instead"),
        ("consumer_group", "write application_id instead"),
        ("group.id", "write application.id instead (Name of the application: its consumer group"),
        ("auto.offset.reset", 'builder.stream(topic, offset_reset="latest")'),
        ("auto_offset_reset", 'builder.stream(topic, offset_reset="latest")'),
        ("isolation.level", "only committed records are read"),
        ("max.poll.records", "input.buffer.max.bytes limits what is held, stretch.records.max one go of it"),
        ("enable.auto.commit", "offsets are committed with the results, every commit.interval.ms"),
        ("value_deserializer", "Topic(name, key=…, value=…)"),
        ("cache.max.bytes.buffering", "write statestore.cache.max.bytes instead"),
        ("default.production.exception.handler", "write production.exception.handler instead"),
        ("bootstrapServers", "write bootstrap_servers instead"),
        ("BOOTSTRAP_SERVERS_CONFIG", "write bootstrap_servers instead"),
        ("bootstrap.server", "did you mean bootstrap.servers?"),
        ("rack_aware_assignment_non_overlap_cost", "this version does not support"),
    ],
)
def test_a_name_that_cannot_be_set_says_what_to_write_instead(name: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config(properties={name: "x"})
    assert said in str(caught.value)
    assert name in str(caught.value)


def test_every_advice_leads_to_a_property_that_is_there() -> None:
    assert set(foreign_properties._RENAMED.values()) <= set(OPTIONS)


def test_a_misspelt_argument_is_an_error_at_run_time_too() -> None:
    with pytest.raises(ConfigError, match="did you mean application_id"):
        Config(aplication_id="shop")  # type: ignore[call-arg]  # the mistake is the test


def test_an_impossible_value_names_the_property_and_its_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_COMMIT_INTERVAL_MS", "soon")
    with pytest.raises(
        ConfigError, match=r"environment HEADRACE_COMMIT_INTERVAL_MS: commit\.interval\.ms is 'soon'"
    ):
        Config.load()


def test_an_unknown_variable_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_COMMIT_INTERVAL", "5")
    with pytest.raises(
        ConfigError, match=r"environment HEADRACE_COMMIT_INTERVAL: .*write commit_interval_ms instead"
    ):
        Config.load()


def test_a_handler_may_be_named_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "headrace.processor.handlers:log_and_continue"
    monkeypatch.setenv("HEADRACE_PROCESSING_EXCEPTION_HANDLER", name)
    assert Config.load()["processing.exception.handler"].__name__ == "log_and_continue"


def test_a_handler_that_is_not_named_by_its_module_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_PROCESSING_EXCEPTION_HANDLER", "shop.handler")
    with pytest.raises(ConfigError, match="a function, or text that names one as MODULE:NAME"):
        Config.load()


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "shop!", "ü"])
def test_an_application_id_must_fit_into_topic_names(name: str) -> None:
    with pytest.raises(ConfigError, match=r"application\.id is"):
        Config(application_id=name)


def test_a_missing_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the configuration .*: No such file or directory"):
        Config.load(tmp_path / "none.toml")


def test_a_file_that_is_no_toml_is_one_clear_error(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text("commit.interval.ms: 5")
    with pytest.raises(ConfigError, match="it is no TOML"):
        Config.load(file)


def test_explain_has_a_row_for_every_property_with_value_origin_and_meaning() -> None:
    lines = Config(application_id="shop").explain().splitlines()
    assert lines[0].split() == ["property", "value", "origin", "meaning"]
    row = next(line for line in lines if line.startswith("application.id "))
    assert row.split(maxsplit=3)[:3] == ["application.id", "shop", "code"]
    assert any(line.startswith("commit.interval.ms ") and " default " in line for line in lines)


@pytest.mark.parametrize(
    ("servers", "said"),
    [
        ("kafka://localhost:9092", "'kafka://localhost:9092' is no address: write 'localhost:9092'"),
        (["a:9092", "PLAINTEXT://b:9092/"], "'PLAINTEXT://b:9092/' is no address: write 'b:9092'"),
        ("localhost", "'localhost' is no address: write host:port, such as localhost:9092"),
    ],
)
def test_address_in_another_form_says_what_to_write(servers: object, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config(properties={"bootstrap.servers": servers})
    assert said in str(caught.value)
