"""A registry over HTTP: what is asked, how one logs in, and what happens when it does not answer, or refuses."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import headrace as hr
from headrace.base.errors import ConfigError, SchemaRegistryError, SchemaRegistryUnavailableError
from headrace.serde.registry.http import HttpRegistry
from headrace.serde.registry.options import RegistrySettings
from headrace.serde.registry.schema import Reference, Schema
from tests.serde.registry.http_front import HttpFront

TEXT = Schema("AVRO", '"string"')


def asking(front: HttpFront, **properties: Any) -> HttpRegistry:
    given = {f"schema.registry.{name.replace('_', '.')}": value for name, value in properties.items()}
    given.setdefault("schema.registry.url", (front.url,))
    return HttpRegistry(RegistrySettings.of(given), sleep=lambda seconds: None)


@dataclass
class Order:
    id: str


def test_schemas_are_registered_and_found(front: HttpFront) -> None:
    registry = asking(front)
    id = registry.register("a/b-value", TEXT, normalize=False).id
    assert registry.lookup("a/b-value", TEXT, normalize=True).version == 1
    assert registry.by_id(id).schema == TEXT
    assert registry.version("a/b-value", None).id == registry.version("a/b-value", 1).id == id
    assert [path for _, path, _ in front.asked] == [
        "/subjects/a%2Fb-value/versions",
        "/subjects/a%2Fb-value?normalize=true",
        "/schemas/ids/1",
        "/subjects/a%2Fb-value/versions/latest",
        "/subjects/a%2Fb-value/versions/1",
    ]


def test_references_go_there_and_back(front: HttpFront) -> None:
    schema = Schema("JSON", "{}", (Reference("customer.json", "customer", 1),))
    registry = asking(front)
    assert registry.by_id(registry.register("orders", schema, normalize=False).id).schema == schema


def test_a_serde_goes_there_and_back_over_http(front: HttpFront) -> None:
    serde = hr.registry.avro(Order)
    serde.configure({"schema.registry.url": front.url})
    assert serde.deserialize("orders", serde.serialize("orders", Order("x"))) == Order("x")


def test_one_logs_in_by_the_url(front: HttpFront) -> None:
    asking(front, url=(front.url.replace("//", "//ann:s%3Acret@"),)).register("a", TEXT, normalize=False)
    assert front.asked == [("POST", "/subjects/a/versions", "Basic YW5uOnM6Y3JldA==")]


def test_one_logs_in_by_user_info(front: HttpFront) -> None:
    registry = asking(front, basic_auth_credentials_source="USER_INFO", basic_auth_user_info="ann:secret")
    registry.register("a", TEXT, normalize=False)
    assert front.asked[0][2] == "Basic YW5uOnNlY3JldA=="


def test_one_logs_in_by_a_token(front: HttpFront) -> None:
    registry = asking(front, bearer_auth_credentials_source="STATIC_TOKEN", bearer_auth_token="given")
    registry.register("a", TEXT, normalize=False)
    assert front.asked[0][2] == "Bearer given"


def test_one_logs_in_by_the_token_of_an_oauth_server(front: HttpFront) -> None:
    registry = asking(
        front,
        bearer_auth_credentials_source="OAUTHBEARER",
        bearer_auth_issuer_endpoint_url=f"{front.url}/token",
        bearer_auth_client_id="ann",
        bearer_auth_client_secret="secret",
    )
    for _ in range(2):
        registry.register("a", TEXT, normalize=False)
    assert [(path, login) for _, path, login in front.asked] == [
        ("/token", "Basic YW5uOnNlY3JldA=="),
        ("/subjects/a/versions", "Bearer made-token"),
        ("/subjects/a/versions", "Bearer made-token"),
    ]


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"basic_auth_credentials_source": "USER_INFO"}, "basic.auth.user.info is not set"),
        ({"bearer_auth_credentials_source": "STATIC_TOKEN"}, "bearer.auth.token is not set"),
        ({"bearer_auth_credentials_source": "OAUTHBEARER"}, "issuer.endpoint.url is not set"),
        ({"url": ("ftp://x",)}, "no address of a registry"),
        ({"url": ("https://x",), "ssl_truststore_location": "none.pem"}, "cannot be read"),
    ],
)
def test_properties_that_do_not_fit_are_told(
    front: HttpFront, properties: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        asking(front, **properties).register("a", TEXT, normalize=False)


def test_a_registry_that_stumbles_is_asked_again(front: HttpFront) -> None:
    front.answers = [(503, "busy"), (500, "oops")]
    assert asking(front).register("a", TEXT, normalize=False).id == 1
    assert len(front.asked) == 3


def test_another_address_is_asked_where_one_does_not_answer(front: HttpFront) -> None:
    registry = asking(front, url=("http://127.0.0.1:1", front.url))
    assert registry.register("a", TEXT, normalize=False).id == 1


def test_a_registry_that_is_away_is_no_fault_of_the_record(front: HttpFront) -> None:
    serde = hr.registry.avro(Order)
    serde.configure({"schema.registry.url": "http://127.0.0.1:1", "schema.registry.max.retries": 0})
    with pytest.raises(SchemaRegistryUnavailableError, match=r"does not answer POST .*127\.0\.0\.1:1"):
        serde.serialize("orders", Order("x"))
    with pytest.raises(SchemaRegistryUnavailableError):
        serde.deserialize("orders", b"\x00\x00\x00\x00\x01\x02x")


def test_an_incompatible_schema_is_told_in_words(front: HttpFront) -> None:
    front.incompatible.add("orders-value")
    front.registry.register("orders-value", TEXT)
    serde = hr.registry.avro(Order)
    serde.configure({"schema.registry.url": front.url})
    with pytest.raises(
        SchemaRegistryError, match=r"registry.avro\(Order\) is not compatible .*no default.*Give new"
    ):
        serde.serialize("orders", Order("x"))


def test_a_login_that_is_refused_names_the_properties(front: HttpFront) -> None:
    front.answers = [(401, '{"error_code": 401, "message": "who are you"}')]
    with pytest.raises(SchemaRegistryError, match=r"401: who are you; see .*basic\.auth"):
        asking(front).register("a", TEXT, normalize=False)


@pytest.mark.parametrize("answer", ["<html>", "[]", '{"id": "x"}', "{}"])
def test_an_answer_that_is_none_is_told(front: HttpFront, answer: str) -> None:
    front.answers = [(200, answer)]
    with pytest.raises(SchemaRegistryError, match="answer"):
        asking(front).by_id(1)


def test_a_password_is_in_no_message(front: HttpFront) -> None:
    registry = asking(front, url=("http://ann:secret@127.0.0.1:1",), max_retries=0)
    with pytest.raises(SchemaRegistryUnavailableError) as caught:
        registry.by_id(1)
    assert "secret" not in str(caught.value)


def test_tls_is_checked_against_the_truststore(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    with HttpFront(tls=(certificate, key)) as front:
        trusting = asking(front, ssl_truststore_location=str(certificate))
        assert trusting.register("a", TEXT, normalize=False).id == 1
        with pytest.raises(SchemaRegistryUnavailableError, match="certificate"):
            asking(front, max_retries=0).by_id(1)
