"""What a doctor finds of the schema registry."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import headrace as hr
from headrace.outside.doctor.examination import examine
from headrace.outside.doctor.finding import Severity
from headrace.outside.doctor.registry import registry_findings
from headrace.streams.config import Config
from tests.serde.registry.http_front import HttpFront


@pytest.fixture
def front() -> Iterator[HttpFront]:
    with HttpFront() as front:
        yield front


def topology(value: hr.Serde[int] | type[int]) -> hr.Topology:
    builder = hr.StreamsBuilder()
    builder.stream(hr.Topic("orders", value=value)).to(hr.Topic("copies", value=value))
    return builder.build()


AVRO = topology(hr.registry.avro(int))


def told(url: str, of: hr.Topology = AVRO) -> list[tuple[Severity, str]]:
    found = registry_findings(of, {"schema.registry.url": (url,)} if url else {})
    return [(each.severity, each.text) for each in found]


def test_a_registry_that_knows_the_schema_or_not_answers(front: HttpFront) -> None:
    assert told(front.url) == [(Severity.FINE, "it answers")]
    serde = hr.registry.avro(int)
    serde.configure({"schema.registry.url": (front.url,)})
    serde.serialize("orders", 1)
    assert told(front.url) == [(Severity.FINE, "it answers")]


def test_a_registry_that_is_away_is_wrong() -> None:
    [(severity, text)] = told("http://127.0.0.1:9")
    assert severity is Severity.WRONG
    assert "does not answer" in text


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, '{"message": "who are you"}', "who are you"),
        (400, "{}", "400"),
        (200, "[]", "address of a schema"),
    ],
)
def test_what_it_says_is_told(front: HttpFront, status: int, body: str, words: str) -> None:
    front.answers = [(status, body)]
    [(severity, text)] = told(front.url)
    assert severity is Severity.WRONG
    assert words in text


def test_one_within_the_process_is_for_tests() -> None:
    [(severity, text)] = told("mock://shop")
    assert severity is Severity.WARNING
    assert "within the process" in text


def test_serdes_that_are_told_none_are_wrong_and_others_want_none(tmp_path: Path) -> None:
    [(severity, text)] = told("")
    assert severity is Severity.WRONG
    assert "needs schema.registry.url" in text
    assert told("", topology(int)) == []
    config = Config(application_id="shop", embedded_path=str(tmp_path / "shop.db"), state_dir=str(tmp_path))
    assert "schema registry" in [each.subject for each in examine(AVRO, config)]
