"""The web service that counts clicks: as a process, on a log that is a file."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SECONDS = 30.0

CLICKS = [
    ("ada", "/home", "2024-05-01T10:00:00Z"),
    ("ada", "/cart", "2024-05-01T10:04:59Z"),
    ("ada", "/home", "2024-05-01T10:05:00Z"),
    ("bob", "/home", "2024-05-01T10:06:00Z"),
]
FIRST = {"user": "ada", "start": "2024-05-01T10:00:00Z", "end": "2024-05-01T10:05:00Z", "clicks": 2}
SECOND = {"user": "ada", "start": "2024-05-01T10:05:00Z", "end": "2024-05-01T10:10:00Z", "clicks": 1}

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


def _listen_to_ctrl_c() -> None:
    # Whoever runs the tests in the background has it ignored, and all processes below inherit that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    said = tmp_path / "said"
    with said.open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, EXAMPLES / "clicks/service.py", "--embedded", "clicks.db", "--port", str(port)],
            cwd=tmp_path,
            stdout=err,
            stderr=err,
            preexec_fn=_listen_to_ctrl_c,  # noqa: PLW1509 - only one thread starts processes here
        )
    try:
        address = f"http://127.0.0.1:{port}"
        until(lambda: process.poll() is not None or answer(f"{address}/streams/health/ready")[0] == 200)
        yield address
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == 0, said.read_text()
        assert "Traceback" not in said.read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def answer(url: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())
    except OSError:
        return 0, None


def write(folder: Path, *clicks: tuple[str, str, str]) -> None:
    lines = [json.dumps({"key": key, "value": value, "timestamp": at}) for key, value, at in clicks]
    command = [str(Path(sys.executable).parent / "headrace"), "topics", "write", "clicks"]
    subprocess.run(
        [*command, "--app", str(EXAMPLES / "clicks/service.py"), "--embedded", "clicks.db"],
        cwd=folder,
        input="\n".join(lines) + "\n",
        text=True,
        check=True,
        timeout=SECONDS,
    )


def test_clicks_are_asked_for_by_user_and_window(url: str, tmp_path: Path) -> None:
    write(tmp_path, *CLICKS)
    until(lambda: answer(f"{url}/clicks/ada") == (200, [FIRST, SECOND]))
    assert answer(f"{url}/clicks/ada?since=2024-05-01T10:05:00Z") == (200, [SECOND])
    assert answer(f"{url}/clicks/ada?until=2024-05-01T10:00:00") == (200, [FIRST])
    assert answer(f"{url}/clicks/ada/2024-05-01T10:00:00Z") == (200, FIRST)
    assert answer(f"{url}/clicks/bob/2024-05-01T10:00:00Z")[0] == 404
    assert answer(f"{url}/clicks/eve") == (200, [])
    assert answer(f"{url}/clicks/ada?since=yesterday")[0] == 422


def test_the_live_page_hears_of_each_change_and_does_not_hold_up_the_end(url: str, tmp_path: Path) -> None:
    with urllib.request.urlopen(f"{url}/", timeout=10) as page:
        assert "streams/stores/clicks-per-user/watch" in page.read().decode()
    events = urllib.request.urlopen(f"{url}/streams/stores/clicks-per-user/watch", timeout=SECONDS)
    assert events.readline() == b": changes from now on\n"
    write(tmp_path, CLICKS[3])
    told = next(line for line in events if line.startswith(b"data: "))
    assert json.loads(told.removeprefix(b"data: "))["key"] == "bob"
    # It stays open: the service ends all the same.
