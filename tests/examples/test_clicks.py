"""The web service that counts clicks: as a process, on a log that is a file."""

import json
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.examples.programs import EXAMPLES, SECONDS, answer, free_port, headrace, running
from tests.streams.waiting import until

CLICKS = [
    ("ada", "/home", "2024-05-01T10:00:00Z"),
    ("ada", "/cart", "2024-05-01T10:04:59Z"),
    ("ada", "/home", "2024-05-01T10:05:00Z"),
    ("bob", "/home", "2024-05-01T10:06:00Z"),
]
FIRST = {"user": "ada", "start": "2024-05-01T10:00:00Z", "end": "2024-05-01T10:05:00Z", "clicks": 2}
SECOND = {"user": "ada", "start": "2024-05-01T10:05:00Z", "end": "2024-05-01T10:10:00Z", "clicks": 1}

SERVICE = EXAMPLES / "clicks/service.py"

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


@contextmanager
def service(folder: Path, *, cuts_an_answer: bool = False) -> Iterator[str]:
    port = free_port()
    command: list[str | Path] = [sys.executable, SERVICE, "--embedded", "clicks.db", "--port", str(port)]
    with running(command, folder, cuts_an_answer=cuts_an_answer) as process:
        address = f"http://127.0.0.1:{port}"
        until(lambda: process.poll() is not None or answer(f"{address}/streams/health/ready")[0] == 200)
        yield address


def write(folder: Path, *clicks: tuple[str, str, str]) -> None:
    lines = [{"key": key, "value": value, "timestamp": at} for key, value, at in clicks]
    headrace(folder, "topics", "write", "clicks", "--app", SERVICE, "--embedded", "clicks.db", lines=lines)


def test_clicks_are_asked_for_by_user_and_window(tmp_path: Path) -> None:
    with service(tmp_path) as url:
        write(tmp_path, *CLICKS)
        until(lambda: answer(f"{url}/clicks/ada") == (200, [FIRST, SECOND]))
        assert answer(f"{url}/clicks/ada?since=2024-05-01T10:05:00Z") == (200, [SECOND])
        assert answer(f"{url}/clicks/ada?until=2024-05-01T10:00:00") == (200, [FIRST])
        assert answer(f"{url}/clicks/ada/2024-05-01T10:00:00Z") == (200, FIRST)
        assert answer(f"{url}/clicks/bob/2024-05-01T10:00:00Z")[0] == 404
        assert answer(f"{url}/clicks/eve") == (200, [])
        assert answer(f"{url}/clicks/ada?since=yesterday")[0] == 422


def test_the_live_page_hears_of_each_change_and_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with service(tmp_path, cuts_an_answer=True) as url:
        with urllib.request.urlopen(f"{url}/", timeout=10) as page:
            assert "streams/stores/clicks-per-user/watch" in page.read().decode()
        events = urllib.request.urlopen(f"{url}/streams/stores/clicks-per-user/watch", timeout=SECONDS)
        assert events.readline() == b": changes from now on\n"
        write(tmp_path, CLICKS[3])
        told = next(line for line in events if line.startswith(b"data: "))
        assert json.loads(told.removeprefix(b"data: "))["key"] == "bob"
    events.close()
