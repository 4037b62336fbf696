"""The web service that finds fraud: as a process, on a log that is a file, and on a broker."""

import json
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from headrace.testing import LocalKafka
from tests.examples.programs import EXAMPLES, SECONDS, answer, free_port, headrace, running
from tests.streams.waiting import until

TOO_MUCH = {
    "card": "card-1",
    "start": "2024-05-01T10:00:00Z",
    "end": "2024-05-01T10:10:00Z",
    "reason": "1010.00 in ten minutes",
}
NEW_COUNTRY = {
    "card": "card-1",
    "start": "2024-05-01T10:10:00Z",
    "end": "2024-05-01T10:20:00Z",
    "reason": "a new country: BR",
}

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]


@contextmanager
def service(
    folder: Path, *where: str, cuts_an_answer: bool = False, is_killed: bool = False
) -> Iterator[str]:
    port = free_port()
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "examples.fraud.service", *where, "--port", str(port)]
    environment = {"PYTHONPATH": str(EXAMPLES.parent)}
    with running(command, folder, environment, cuts_an_answer=cuts_an_answer) as process:
        url = f"http://127.0.0.1:{port}"
        until(lambda: process.poll() is not None or answer(f"{url}/streams/health/ready")[0] == 200)
        yield url
        if is_killed:
            process.kill()
            process.wait()


def pay(url: str, amount: float, country: str, at: str, card: str = "card-1") -> None:
    payment = {"card": card, "amount": amount, "country": country, "at": at}
    assert answer(f"{url}/payments", payment) == (202, {"card": card})


def use_card(url: str) -> None:
    pay(url, 20, "CH", "2024-05-01T10:00:00Z")
    pay(url, 990, "CH", "2024-05-01T10:01:00")
    pay(url, 5, "BR", "2024-05-01T10:12:00Z")


def test_payments_give_alerts_that_outlive_the_service(tmp_path: Path) -> None:
    with service(tmp_path, "--embedded", "fraud.db", is_killed=True) as url:
        use_card(url)
        pay(url, 2000, "CH", "2024-05-01T10:12:00Z", card="card-2")
        until(lambda: answer(f"{url}/alerts/card-1") == (200, [TOO_MUCH, NEW_COUNTRY]))
        until(lambda: len(answer(f"{url}/alerts/card-2")[1]) == 1)
        assert answer(f"{url}/alerts/card-3") == (200, [])
    with service(tmp_path, "--embedded", "fraud.db") as url:
        assert answer(f"{url}/alerts/card-1") == (200, [TOO_MUCH, NEW_COUNTRY])
        pay(url, 5, "US", "2024-05-01T10:13:00Z")  # its ten minutes have their alert
        pay(url, 5, "US", "2024-05-01T10:13:00Z", card="card-2")
        app = EXAMPLES / "fraud/topology.py"
        read = ("topics", "read", "fraud-alerts", "--app", app, "--embedded", "fraud.db")
        until(lambda: answer(f"{url}/streams/stores/countries/card-2")[1]["value"] == ["CH", "US"])
        alerts = [json.loads(line) for line in headrace(tmp_path, *read).splitlines()]
        assert sorted((alert["key"], alert["value"]) for alert in alerts) == [
            ("card-1", "1010.00 in ten minutes"),
            ("card-1", "a new country: BR"),
            ("card-2", "2000.00 in ten minutes"),
        ]


def test_page_hears_of_alerts_as_they_come_and_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with service(tmp_path, "--embedded", "fraud.db", cuts_an_answer=True) as url:
        with urllib.request.urlopen(f"{url}/", timeout=10) as page:
            assert "streams/stores/alerted/watch" in page.read().decode()
        events = urllib.request.urlopen(f"{url}/streams/stores/alerted/watch", timeout=SECONDS)
        assert events.readline() == b": changes from now on\n"
        pay(url, 2000, "CH", "2024-05-01T10:00:00Z")
        told = json.loads(next(line for line in events if line.startswith(b"data: ")).removeprefix(b"data: "))
        assert (told["key"], told["value"]) == ("card-1", "2000.00 in ten minutes")
    events.close()


@pytest.mark.parametrize(
    "payment",
    [
        {"card": "", "amount": 1, "country": "CH"},
        {"card": "c", "amount": 0, "country": "CH"},
        {"card": "c", "amount": 1, "country": "Switzerland"},
        {"card": "c", "amount": 1},
    ],
)
def test_what_is_no_payment_is_refused(payment: dict[str, object]) -> None:
    from fastapi.testclient import TestClient

    import headrace as hr
    from examples.fraud.service import service as web
    from examples.fraud.topology import topology

    where = {"embedded.path": "none.db"}
    streams = hr.Streams(topology, application_id="fraud", properties=where)
    assert (
        TestClient(web(streams, hr.Producer(properties=where))).post("/payments", json=payment).status_code
        == 422
    )


@pytest.mark.broker
def test_two_services_on_kafka_answer_for_all_cards(tmp_path: Path, local_kafka: LocalKafka) -> None:
    for topic in ("payments", "fraud-alerts"):
        local_kafka.create_topic(topic, 4)
    where = ("--bootstrap-servers", local_kafka.bootstrap_servers)
    with service(tmp_path / "first", *where) as first, service(tmp_path / "second", *where) as second:
        for number in range(8):
            pay((first, second)[number % 2], 2000, "CH", "2024-05-01T10:00:00Z", card=f"card-{number}")

        def alerts_of(url: str) -> list[int]:
            found = (answer(f"{url}/alerts/card-{number}") for number in range(8))
            return [len(alerts) if status == 200 else -1 for status, alerts in found]

        until(lambda: alerts_of(first) == alerts_of(second) == [1] * 8)
