"""The local Kafka: it starts, keeps what it should, moves leaders, and lets in whom it should."""

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.errors import TopicAuthorizationFailedError
from kafka.net.sasl.oauth import AbstractTokenProvider

from headrace.base.errors import ConfigError, LogError
from headrace.testing import JavaRecord, LocalKafka
from tests.kafka.conftest import NewTopic

pytestmark = [pytest.mark.broker, pytest.mark.process]


def _until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # One that has ended and that nobody has waited for is there still.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_java_reads_what_java_wrote(broker: LocalKafka, new_topic: NewTopic) -> None:
    topic = new_topic(2)
    record = JavaRecord(b"k", b"\x00\t\n", (("h", None), ("h", b"\xff")), timestamp=5, partition=1)
    written = broker.produce_with_java(topic, [record], config={"compression.type": "zstd"})
    assert written == [JavaRecord(b"k", b"\x00\t\n", (("h", None), ("h", b"\xff")), 5, 1, 0)]
    assert broker.consume_with_java(topic) == written


def test_java_sees_what_is_committed_up_to_an_open_transaction(
    broker: LocalKafka, new_topic: NewTopic, unique: Callable[[str], str]
) -> None:
    topic, name = new_topic(), unique("writer")
    broker.produce_with_java(topic, [JavaRecord(value=b"kept")], transactional_id=name)
    broker.produce_with_java(topic, [JavaRecord(value=b"dropped")], transactional_id=name, end="abort")
    broker.produce_with_java(topic, [JavaRecord(value=b"open")], transactional_id=name, end="open")
    assert [each.value for each in broker.consume_with_java(topic)] == [b"kept"]
    everything = broker.consume_with_java(topic, "read_uncommitted")
    assert [each.value for each in everything] == [b"kept", b"dropped", b"open"]


def test_reading_for_too_many_records_gives_those_there_are(broker: LocalKafka, new_topic: NewTopic) -> None:
    topic = new_topic()
    broker.produce_with_java(topic, [JavaRecord(value=b"one")])
    assert len(broker.consume_with_java(topic, count=2, timeout=0.5)) == 1


def test_java_says_which_topic_there_is_not(broker: LocalKafka) -> None:
    with pytest.raises(LogError, match=r"cannot consume: .*there is no topic nowhere"):
        broker.consume_with_java("nowhere")


def test_a_topic_that_exists_is_not_created_again(broker: LocalKafka, new_topic: NewTopic) -> None:
    topic = new_topic()
    with pytest.raises(LogError, match=f"cannot create topic '{topic}' on the local Kafka: .*already exists"):
        broker.create_topic(topic)


def test_a_topic_can_be_deleted(broker: LocalKafka, new_topic: NewTopic) -> None:
    topic = new_topic()
    broker.delete_topic(topic)
    _until(lambda: topic not in broker.view().topics)


def test_a_killed_broker_and_a_restarted_directory_keep_their_records(
    local_kafka_is_there: None, tmp_path: Path
) -> None:
    with LocalKafka(directory=tmp_path) as kafka:
        kafka.create_topic("kept")
        kafka.produce_with_java("kept", [JavaRecord(value=b"before the kill")])
        kafka.kill_broker(0)
        with pytest.raises(LogError, match="no broker of the local Kafka runs"):
            kafka.view()
        kafka.start_broker(0)
        kafka.produce_with_java("kept", [JavaRecord(value=b"behind it")])
    with LocalKafka(directory=tmp_path) as kafka:
        values = [each.value for each in kafka.consume_with_java("kept")]
    assert values == [b"before the kill", b"behind it"]
    with pytest.raises(ConfigError, match=r"keeps a local Kafka of brokers=1, not 3"):
        LocalKafka(3, directory=tmp_path).start()


def test_a_directory_goes_on_with_a_newer_version_and_not_with_an_older_one(
    kafka_of: Callable[[str], LocalKafka], tmp_path: Path
) -> None:
    with LocalKafka(version="3.9.2", directory=tmp_path) as kafka:
        kafka.create_topic("kept")
        kafka.produce_with_java("kept", [JavaRecord(value=b"3.9.2")], transactional_id="writer")
    with LocalKafka(version="4.4.0", directory=tmp_path) as kafka:
        kafka.produce_with_java("kept", [JavaRecord(value=b"4.4.0")], transactional_id="writer")
        assert [each.value for each in kafka.consume_with_java("kept")] == [b"3.9.2", b"4.4.0"]
    (tmp_path / "kafka-version").write_text("4.4.1\n")
    with pytest.raises(
        ConfigError, match=r"keeps a local Kafka of version 4\.4\.1, which 4\.3\.1 cannot read: start it"
    ):
        LocalKafka(version="4.3.1", directory=tmp_path).start()


@pytest.mark.parametrize("version", ["", "4.4", "3.8.1", "2.8.0", "4.4.0-rc1", "../4.4.0", "latest"])
def test_what_is_no_version_or_too_old_is_refused(version: str) -> None:
    with pytest.raises(
        ConfigError, match=r"no local Kafka of version '.*': name a release from 3\.9\.0 on, such as"
    ):
        LocalKafka(version=version)


def test_a_version_that_maven_does_not_find_is_told(
    local_kafka_is_there: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "mvn").write_text(
        "#!/bin/sh\necho '[ERROR] Could not find artifact kafka_2.13:jar:4.99.0'; exit 1\n"
    )
    (tmp_path / "mvn").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(LogError, match=r"cannot fetch Kafka 4\.99\.0 with Maven: .*Could not find artifact"):
        LocalKafka.prepare("4.99.0")


def test_a_broker_that_cannot_start_shows_the_end_of_its_log(local_kafka_is_there: None) -> None:
    kafka = LocalKafka(config={"metric.reporters": "nowhere.Reporter"})
    with pytest.raises(LogError, match="broker 0 of the local Kafka ended:\n") as raised:
        kafka.start()
    assert "Class nowhere.Reporter cannot be found" in str(raised.value)


def test_a_property_with_an_impossible_value_is_told_before_the_start(local_kafka_is_there: None) -> None:
    kafka = LocalKafka(config={"log.segment.bytes": "none"})
    with pytest.raises(LogError, match=r"Invalid value none for configuration log\.segment\.bytes"):
        kafka.start()


def test_brokers_end_with_a_process_that_is_killed(local_kafka_is_there: None) -> None:
    program = "import time; from headrace.testing import LocalKafka; kafka = LocalKafka(); kafka.start()\n"
    program += "print(kafka.pid(0), kafka._folder, flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid, _, folder = process.stdout.readline().strip().partition(" ")
        assert _exists(int(pid))
        process.send_signal(signal.SIGKILL)
    _until(lambda: not _exists(int(pid)))
    # The broker that was killed leaves its folder; this one is ours to remove.
    subprocess.run(["rm", "-r", folder], check=True)


def test_partitions_of_a_killed_broker_get_another_leader(cluster: LocalKafka, new_topic: NewTopic) -> None:
    topic = new_topic(kafka=cluster)
    first = cluster.leader(topic)
    cluster.kill_broker(first)
    _until(lambda: cluster.leader(topic) not in (-1, first))
    cluster.start_broker(first)
    _until(lambda: set(cluster.view([topic]).topics[topic][0].in_sync) == {0, 1, 2})


def test_a_broker_beside_a_controller_of_its_own_is_missed_before_it_comes_back(
    local_kafka_is_there: None,
) -> None:
    with LocalKafka(controller=True) as kafka:
        kafka.create_topic("kept")
        kafka.produce_with_java("kept", [JavaRecord(value=b"before the kill")])
        kafka.kill_broker(0)
        killed = time.monotonic()
        kafka.start_broker(0)
        assert time.monotonic() - killed > 3
        assert [each.value for each in kafka.consume_with_java("kept")] == [b"before the kill"]
        assert "DUPLICATE_BROKER_REGISTRATION" not in kafka.logs()


def test_a_broker_that_is_stopped_hands_its_partitions_over_first(
    cluster: LocalKafka, new_topic: NewTopic
) -> None:
    topic = new_topic(kafka=cluster)
    first = cluster.leader(topic)
    cluster.stop_broker(first)
    assert cluster.leader(topic) not in (-1, first)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_users_get_in_with_each_mechanism_and_only_admin_may_write(
    secured: LocalKafka, new_topic: NewTopic, mechanism: str
) -> None:
    topic = new_topic(kafka=secured)
    settings = {
        "bootstrap_servers": secured.bootstrap_servers,
        "security_protocol": "SASL_SSL",
        "ssl_cafile": secured.client_properties["ssl.truststore.location"],
        "sasl_mechanism": mechanism,
    }
    producer = KafkaProducer(sasl_plain_username="admin", sasl_plain_password="admin-secret", **settings)
    assert producer.send(topic, b"x").get(10).offset == 0
    producer.close()
    producer = KafkaProducer(sasl_plain_username="alice", sasl_plain_password="alice-secret", **settings)
    with pytest.raises(TopicAuthorizationFailedError):
        producer.send(topic, b"x").get(10)
    producer.close()


class UnsignedToken(AbstractTokenProvider):  # type: ignore[misc]  # kafka-python has no types
    """A token that nobody vouches for, of `admin`."""

    def token(self) -> str:
        parts = ({"alg": "none"}, {"sub": "admin", "iat": time.time(), "exp": time.time() + 600})
        texts = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
        return ".".join(texts) + "."


def test_an_unsigned_token_gets_in(secured: LocalKafka, new_topic: NewTopic) -> None:
    topic = new_topic(kafka=secured)
    client = KafkaAdminClient(
        bootstrap_servers=secured.bootstrap_servers,
        security_protocol="SASL_SSL",
        ssl_cafile=secured.client_properties["ssl.truststore.location"],
        sasl_mechanism="OAUTHBEARER",
        sasl_oauth_token_provider=UnsignedToken(),
    )
    assert topic in client.list_topics()
    client.close()


def test_properties_say_how_to_get_in(secured: LocalKafka) -> None:
    properties = secured.client_properties_of("alice", "OAUTHBEARER")
    assert properties["security.protocol"] == "SASL_SSL"
    assert properties["sasl.mechanism"] == "OAUTHBEARER"
    assert properties["sasl.jaas.config"] == (
        "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required "
        'unsecuredLoginStringClaim_sub="alice";'
    )
    with pytest.raises(ConfigError, match="no user 'bob', only admin, alice"):
        secured.client_properties_of("bob")


def test_a_broker_may_ask_for_the_certificate_of_its_client(local_kafka_is_there: None) -> None:
    with LocalKafka(security="ssl", config={"ssl.client.auth": "required"}) as kafka:
        properties = kafka.client_properties
        client = KafkaAdminClient(
            bootstrap_servers=kafka.bootstrap_servers,
            security_protocol="SSL",
            ssl_cafile=properties["ssl.truststore.location"],
            ssl_certfile=properties["ssl.keystore.location"],
            ssl_keyfile=properties["ssl.keystore.location"],
        )
        assert client.list_topics() == []
        client.close()


def test_an_authorizer_needs_clients_with_names() -> None:
    with pytest.raises(ConfigError, match="an authorizer needs clients with names"):
        LocalKafka(authorizer=True)


def test_missing_java_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    assert LocalKafka.unavailable() == (
        "a local Kafka needs Java 17 or newer: no `java` on PATH, and JAVA_HOME names none"
    )


def test_missing_maven_is_told_where_nothing_is_fetched(
    local_kafka_is_there: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "java").write_text("#!/bin/sh\necho 'openjdk version \"21.0.1\"' >&2\n")
    (tmp_path / "java").chmod(0o755)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    reason = LocalKafka.unavailable()
    assert reason is not None
    assert reason.startswith(
        "a local Kafka needs Maven to fetch Kafka 4.4.0 once: no `mvn` on PATH, and nothing in "
    )
    with pytest.raises(LogError, match="needs Maven"):
        LocalKafka.prepare()
