"""Kafka's security properties, as far as they can be judged without a broker."""

import base64
import http.server
import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from headrace.base.errors import ConfigError
from headrace.kafka.net.errors import NetworkError
from headrace.kafka.net.security.jaas import parse_jaas
from headrace.kafka.net.security.logins import Security
from headrace.kafka.net.security.oauth import token_source, unsigned_token
from headrace.kafka.options import OPTIONS, ConnectionSettings, KafkaOptions

_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
_SECRETS = {
    "ssl.truststore.password",
    "ssl.keystore.key",
    "ssl.keystore.password",
    "ssl.key.password",
    "sasl.jaas.config",
    "sasl.password",
    "sasl.oauthbearer.client.credentials.client.secret",
}


def _settings(**properties: object) -> ConnectionSettings:
    return ConnectionSettings.of({name.replace("__", "."): value for name, value in properties.items()})


def _of(properties: dict[str, object]) -> Security:
    return Security.of(ConnectionSettings.of(properties))


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key with its certificate in one file, and the key encrypted in another."""
    folder = tmp_path_factory.mktemp("pem")
    _openssl(folder, "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=me")
    _openssl(folder, "pkcs8 -topk8 -in key.pem -out locked.pem -passout pass:secret")
    (folder / "both.pem").write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())
    (folder / "store.jks").write_bytes(b"\xfe\xed\xfe\xed\x00\x00\x00\x02")
    return folder


def _openssl(folder: Path, command: str) -> None:
    subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)


def test_the_secret_properties_are_marked() -> None:
    assert {option.name for option in OPTIONS if option.is_secret} == _SECRETS


def test_a_wrong_secret_is_not_repeated_in_its_error() -> None:
    with pytest.raises(ConfigError) as failed:
        ConnectionSettings.of({"sasl.password": 1234})
    assert str(failed.value) == "sasl.password is ****, but must be text"


def test_settings_with_passwords_do_not_show_them() -> None:
    settings = ConnectionSettings.of({"security.protocol": "SASL_SSL", "sasl.password": "hush"})
    assert "hush" not in repr(settings)
    assert "hush" not in repr(parse_jaas(f'{_PLAIN} required password="hush";'))


def test_the_defaults_are_kafkas_but_for_what_is_said() -> None:
    options = KafkaOptions.of({})
    assert (options.fetch_min_bytes, options.fetch_max_wait_ms) == (1, 500)
    # Kafka's is 1 MiB: busy partitions would be asked for too little at once.
    assert options.max_partition_fetch_bytes == 8 * 1024 * 1024
    assert options.transaction_timeout_ms == 10_000
    assert options.replication_factor == -1


@pytest.mark.parametrize("address", ["localhost", "localhost:", ":9092", "localhost:0", "localhost:99999"])
def test_an_address_without_host_or_port_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="is no address: write host:port, such as localhost:9092"):
        ConnectionSettings.of({"bootstrap.servers": address})


@pytest.mark.parametrize(
    ("text", "module", "options"),
    [
        (
            f"{_PLAIN} required username=alice password=pw;",
            "PlainLoginModule",
            {"username": "alice", "password": "pw"},
        ),
        (
            f'  {_PLAIN}  required\n  username="a b"\n  password="q\\"\\\\;=" ;\n',
            "PlainLoginModule",
            {"username": "a b", "password": 'q"\\;='},
        ),
        ("x.Krb5LoginModule required useKeyTab=true;", "Krb5LoginModule", {"useKeyTab": "true"}),
        ("LoginModule required;", "LoginModule", {}),
    ],
)
def test_a_jaas_line_is_read(text: str, module: str, options: dict[str, str]) -> None:
    jaas = parse_jaas(text)
    assert (jaas.module, jaas.options) == (module, options)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no login module"),
        (f'{_PLAIN} required username="alice" password="hush"', "cannot be read after option 'password'"),
        (f'{_PLAIN} required username="alice" password="hush;', "cannot be read after option 'username'"),
        (f"{_PLAIN} required hush;", "cannot be read after the login module"),
    ],
)
def test_a_jaas_line_that_cannot_be_read_is_refused_without_its_secret(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as failed:
        parse_jaas(text)
    assert said in str(failed.value)
    assert "hush" not in str(failed.value)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_user_and_a_password_come_from_properties_of_their_own_or_from_jaas(mechanism: str) -> None:
    module = "PlainLoginModule" if mechanism == "PLAIN" else "ScramLoginModule"
    base = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": mechanism}
    expected = {"sasl_plain_username": "alice", "sasl_plain_password": "pw"}
    jaas = f'x.{module} required username="alice" password="pw";'
    assert _of({**base, "sasl.jaas.config": jaas}).login == expected
    assert _of({**base, "sasl.username": "alice", "sasl.password": "pw"}).login == expected


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        (
            {"sasl.mechanism": "PLAIN"},
            "sasl.mechanism=PLAIN needs a user and a password: set sasl.username and",
        ),
        (
            {
                "sasl.mechanism": "SCRAM-SHA-256",
                "sasl.jaas.config": f"{_PLAIN} required username=a password=b;",
            },
            "sasl.jaas.config names PlainLoginModule, but sasl.mechanism=SCRAM-SHA-256 goes with ScramLoginModule",
        ),
        ({"sasl.mechanism": "OAUTHBEARER"}, "sasl.mechanism=OAUTHBEARER needs a token: set"),
        (
            {"sasl.mechanism": "OAUTHBEARER", "sasl.oauthbearer.token.endpoint.url": "http://x/"},
            "needs sasl.oauthbearer.client.credentials.client.id and",
        ),
        ({"sasl.mechanism": "GSSAPI"}, "sasl.mechanism=GSSAPI needs the package gssapi: pip install gssapi"),
        ({"sasl.mechanism": "AWS_MSK_IAM"}, "needs the package botocore: pip install botocore"),
    ],
)
def test_a_login_that_misses_something_says_what(properties: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as failed:
        _of({"security.protocol": "SASL_PLAINTEXT", **properties})
    assert said in str(failed.value)


def test_a_keystore_is_a_file_or_text(pem: Path) -> None:
    chain = (pem / "cert.pem").read_text()
    assert _of({"security.protocol": "SSL", "ssl.keystore.location": str(pem / "both.pem")}).tls is not None
    key = (pem / "locked.pem").read_text()
    given = {"ssl.keystore.key": key, "ssl.keystore.certificate.chain": chain, "ssl.key.password": "secret"}
    assert _of({"security.protocol": "SSL", **given}).tls is not None


def test_the_names_of_hosts_are_checked_unless_told_otherwise(pem: Path) -> None:
    base = {"security.protocol": "SSL", "ssl.truststore.location": str(pem / "cert.pem")}
    checked, unchecked = _of({**base}).tls, _of({**base, "ssl.endpoint.identification.algorithm": ""}).tls
    assert checked is not None and checked.check_hostname
    assert unchecked is not None and not unchecked.check_hostname


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        (
            {"ssl.truststore.location": "{pem}/store.jks"},
            "store.jks is no PEM file; convert it once: keytool -importkeystore",
        ),
        (
            {"ssl.truststore.location": "{pem}/x.jks", "ssl.truststore.type": "JKS"},
            "ssl.truststore.type is JKS, but only PEM can be read; convert it once",
        ),
        (
            {"ssl.keystore.location": "{pem}/store.jks"},
            "openssl pkcs12 -in {pem}/store.p12 -nodes -out {pem}/store.pem",
        ),
        ({"ssl.truststore.location": "{pem}/none.pem"}, "none.pem cannot be read: No such file or directory"),
        (
            {"ssl.truststore.certificates": "nonsense"},
            "ssl.truststore.certificates holds no certificates in PEM form",
        ),
        (
            {"ssl.keystore.location": "{pem}/cert.pem"},
            "gives no private key with its certificates in PEM form",
        ),
        ({"ssl.keystore.key": "k"}, "ssl.keystore.key and ssl.keystore.certificate.chain belong together"),
        (
            {"ssl.endpoint.identification.algorithm": "ldap"},
            "ssl.endpoint.identification.algorithm is 'ldap'; write https",
        ),
    ],
)
def test_a_store_that_cannot_be_used_says_why(pem: Path, properties: dict[str, str], said: str) -> None:
    given = {name: value.replace("{pem}", str(pem)) for name, value in properties.items()}
    with pytest.raises(ConfigError) as failed:
        _of({"security.protocol": "SSL", **given})
    assert said.replace("{pem}", str(pem)) in str(failed.value)


def test_a_locked_key_without_its_password_is_an_error_and_asks_nobody(pem: Path) -> None:
    given = {
        "ssl.keystore.key": (pem / "locked.pem").read_text(),
        "ssl.keystore.certificate.chain": (pem / "cert.pem").read_text(),
    }
    with pytest.raises(ConfigError, match=r"or ssl\.key\.password is not its password"):
        _of({"security.protocol": "SSL", **given})


class _Endpoint(http.server.BaseHTTPRequestHandler):
    status: ClassVar[int] = 200
    answer: ClassVar[bytes] = b""
    asked: ClassVar[list[tuple[str | None, bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append((self.headers["Authorization"], body))
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def endpoint() -> Iterator[str]:
    _Endpoint.asked, _Endpoint.status = [], 200
    with http.server.HTTPServer(("127.0.0.1", 0), _Endpoint) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/token"
        server.shutdown()
        thread.join()


def _endpoint_settings(url: str) -> ConnectionSettings:
    return ConnectionSettings.of(
        {
            "sasl.oauthbearer.token.endpoint.url": url,
            "sasl.oauthbearer.client.credentials.client.id": "me",
            "sasl.oauthbearer.client.credentials.client.secret": "a/b",
            "sasl.oauthbearer.scope": "kafka",
        }
    )


def test_a_token_is_asked_for_once_while_it_is_good(endpoint: str) -> None:
    _Endpoint.answer = json.dumps({"access_token": "abc", "expires_in": 3600}).encode()
    token = token_source(_endpoint_settings(endpoint), None)
    assert [token(), token()] == ["abc", "abc"]
    login = "Basic " + base64.b64encode(b"me:a%2Fb").decode()
    assert _Endpoint.asked == [(login, b"grant_type=client_credentials&scope=kafka")]


def test_an_expired_token_is_asked_for_again(endpoint: str) -> None:
    _Endpoint.answer = json.dumps({"access_token": "abc", "expires_in": 0}).encode()
    token = token_source(_endpoint_settings(endpoint), None)
    assert [token(), token()] == ["abc", "abc"]
    assert len(_Endpoint.asked) == 2


@pytest.mark.parametrize(
    ("status", "answer", "is_fatal", "said"),
    [
        (401, b"who are you", True, "it answered 401 (who are you); check client id and secret"),
        (503, b"later", False, "it answered 503 (later)"),
        (200, b"<html>", True, "its answer is no JSON"),
        (200, b"[]", True, "its answer is no JSON object"),
        (200, b"{}", True, "its answer has no access_token"),
    ],
)
def test_a_refused_token_says_so(
    endpoint: str, status: int, answer: bytes, is_fatal: bool, said: str
) -> None:
    _Endpoint.status, _Endpoint.answer = status, answer
    with pytest.raises(NetworkError) as failed:
        token_source(_endpoint_settings(endpoint), None)()
    assert said in str(failed.value)
    assert failed.value.is_fatal == is_fatal


def test_a_development_token_is_unsigned() -> None:
    jaas = parse_jaas('x.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="alice";')
    head, body, signature = token_source(_settings(), jaas)().split(".")
    assert json.loads(base64.urlsafe_b64decode(head + "==")) == {"alg": "none"}
    assert json.loads(base64.urlsafe_b64decode(body + "=="))["sub"] == "alice"
    assert signature == ""


def test_an_unsigned_token_is_never_issued_later_than_the_brokers_now() -> None:
    body = unsigned_token({"sub": "alice"}, 1_700_000_000.9996).split(".")[1]
    assert json.loads(base64.urlsafe_b64decode(body + "==")) == {
        "sub": "alice",
        "iat": 1_700_000_000,
        "exp": 1_700_003_600,
    }
