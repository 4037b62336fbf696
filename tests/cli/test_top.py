"""`headrace top`: a terminal shows what the server says, also where it is narrow, and where nobody answers."""

import contextlib
import http.server
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import headrace as hr
from headrace.cli.top_screen import frame
from headrace.server import Server
from tests.cli.conftest import Command, Process
from tests.server.conftest import ask
from tests.streams.waiting import until

TOKEN = "a-token-of-some-length"


def served(port: int = 0, *, token: str | None = None) -> contextlib.AbstractContextManager[str]:
    """An application on an embedded log in the working directory, and its server's address."""

    @contextlib.contextmanager
    def run() -> Iterator[str]:
        builder = hr.StreamsBuilder()
        builder.stream(hr.Topic("lines", value=str, partitions=2)).group_by_key().count(store="counts")
        streams = hr.Streams(
            builder.build(),
            application_id="counting",
            embedded_path="counting.db",
            commit_interval_ms=20,
            properties={} if token is None else {"server.token": token},
        )
        with streams, Server(streams, port=port) as server:
            streams.wait_running("30s")
            yield server.url

    return run()


@pytest.fixture
def written(command: Command) -> Command:
    """Two records in partition 0, one in partition 1."""
    command("topics", "create", "lines", "--partitions", "2", "--embedded", "counting.db")
    rows = [{"key": "a", "value": "x", "partition": 0}, {"key": "a", "value": "y", "partition": 0}]
    rows.append({"key": "b", "value": "z", "partition": 1})
    command(
        *("topics", "write", "lines", "--embedded", "counting.db"),
        stdin="\n".join(json.dumps(row) for row in rows) + "\n",
    )
    return command


def processed(url: str) -> Any:
    """The overview, when all records are processed and committed, and nothing moves any more."""
    until(lambda: ask(url, "/overview").body["records"] == 3 and ask(url, "/overview").body["commits"] > 0)
    until(lambda: ask(url, "/overview").body["records_per_second"] == 0)
    return ask(url, "/overview").body


def test_a_frame_has_the_numbers_of_the_server(written: Command) -> None:
    with served() as url:
        told = processed(url)
        ran = written("top", url, "--once")
    assert ran.code == 0
    assert ran.lines[0] == f"● counting running  {url}, headrace {hr.__version__}"
    assert ran.lines[1] == "0 records/s, lag 0, 3 processed"
    assert ran.lines[2] == (
        f"{told['commits']} commits, {told['commit_ms_average']:,.1f} ms on average, "
        f"{told['commit_ms_max']:,.1f} ms at most; 0 dropped"
    )
    assert re.search(r"^StreamThread-1 +running +2 +\d", ran.out, re.MULTILINE)
    assert re.search(r"^0_0 +running +0 +\d+ +0 *$", ran.out, re.MULTILINE)
    assert re.search(r"^0_1 +running +0 +\d+ +0 *$", ran.out, re.MULTILINE)
    assert re.search(r"^this one +1 +2 +0 *$", ran.out, re.MULTILINE)


def test_as_json_it_is_what_the_server_says(written: Command) -> None:
    with served() as url:
        told = processed(url)
        ran = written("top", url.removeprefix("http://"), "--once", "--json")
    found = json.loads(ran.out)
    assert found.keys() == told.keys()
    assert {key: found[key] for key in ("records", "commits", "instances", "state")} == {
        key: told[key] for key in ("records", "commits", "instances", "state")
    }


def test_where_nobody_answers_it_says_what_to_do(command: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    ran = command("top", address)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        f"headrace: http://{address} does not answer: nobody listens there; `headrace run --serve HOST:PORT` does, "
        "give that address\n"
    )


def test_a_token_is_sent_and_asked_for(
    command: Command, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directory / "token").write_text(f"{TOKEN}\n")
    with served(token=TOKEN) as url:
        ran = command("top", url, "--once")
        assert ran.code == 2
        assert (
            f"{url} wants a token: set HEADRACE_SERVER_TOKEN, or give --set server.token.file=FILE" in ran.err
        )
        ran = command("top", url, "--once", "--set", "server.token=another-long-token")
        assert ran.code == 2
        assert f"{url} takes another token than that" in ran.err
        assert command("top", url, "--once", "--set", "server.token.file=token").code == 0
        monkeypatch.setenv("HEADRACE_SERVER_TOKEN", TOKEN)
        assert command("top", url, "--once").code == 0


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("shop", "'shop' is no address of a server: write HOST:PORT"),
        ("ftp://shop:1", "write HOST:PORT"),
        ("http://", "write HOST:PORT"),
        ("http://shop:99999", "write HOST:PORT"),
        ("http://shop:80/?a=b", "write HOST:PORT"),
    ],
)
def test_an_address_that_is_none_is_a_mistake(command: Command, address: str, said: str) -> None:
    ran = command("top", address)
    assert ran.code == 2
    assert said in ran.err


def test_a_time_that_is_none_is_a_mistake(command: Command) -> None:
    ran = command("top", "--every", "5")
    assert (ran.code, "--every is '5', but must be a duration such as 2s" in ran.err) == (2, True)


class _Another(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(404)
        self.end_headers()
        self.wfile.write(b"<html>")

    def log_message(self, format: str, *args: Any) -> None:
        pass


def test_another_server_is_told_from_ours(command: Command) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), _Another) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        ran = command("top", f"127.0.0.1:{server.server_port}", "--once")
        server.shutdown()
        thread.join()
    assert ran.code == 1
    assert "answers 404, and is no server of headrace of this version" in ran.err


def test_what_speaks_no_http_is_told_too(command: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            with listening.accept()[0] as connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-x\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        ran = command("top", f"127.0.0.1:{listening.getsockname()[1]}", "--once")
        thread.join()
    assert ran.code == 1
    assert "does not answer: it does not speak HTTP (BadStatusLine)" in ran.err


# ── frames ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def overview(tasks: int, **more: Any) -> dict[str, Any]:
    return {
        "application_id": "shop",
        "version": "1",
        "state": "running",
        "waits_for": None,
        "records": 1_234_567,
        "records_per_second": 1234.4,
        "lag_records": 1200,
        "lag_age_ms": 61_000,
        "lag_as_of": 1_700_000_000_000,
        "dropped": 7,
        "failed": 2,
        "commits": 10,
        "commit_ms_average": 2.25,
        "commit_ms_max": 1030.0,
        "threads": [
            {
                "name": "shop-StreamThread-1",
                "state": "running",
                "tasks": [f"0_{number}" for number in range(tasks)],
                "standbys": ["1_0"],
                "records_per_second": 617.2,
                "commits_per_second": 1.0,
                "commit_ms_average": 2.25,
                "commit_ms_max": None,
            }
        ],
        "tasks": [
            {
                "id": f"0_{number}",
                "state": "running",
                "lag_records": number * 100,
                "lag_age_ms": number * 1000,
                "records_per_second": None,
                "dropped": 0,
                "restore": None,
            }
            for number in range(tasks)
        ],
        "standbys": [
            {"id": "1_0", "state": "standby", "restored": 0, "remaining": 3, "records_per_second": 0.0}
        ],
        "global_stores": None,
        "instances": [
            {"host": "10.0.0.5", "port": 8080, "stores": 2, "partitions": 5, "standby_partitions": 1}
        ],
        **more,
    }


def shown(document: dict[str, Any], *, width: int = 100, **how: Any) -> list[str]:
    console = Console(width=width, color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(frame(document, "http://h:1", width=width, **how))
    return [line.rstrip() for line in capture.get().splitlines()]


def test_a_frame_says_everything_in_few_lines() -> None:
    assert shown(overview(2)) == [
        "● shop running  http://h:1, headrace 1",
        "1,234 records/s, lag 1,200 (oldest 1m), 1,234,567 processed",
        "10 commits, 2.2 ms on average, 1,030.0 ms at most; 7 dropped, 2 of them failed",
        "thread          state    tasks  records/s  commit  longest",
        "StreamThread-1  running  2 + 1        617  2.2 ms        -",
        "task  state    lag  oldest  records/s  dropped",
        "0_0   running    0                  -        0",
        "0_1   running  100      1s          -        0",
        "1_0   standby    3                  0        0",
        "instance       stores  partitions  standby",
        "10.0.0.5:8080       2           5        1",
    ]


def test_a_restore_says_how_far_it_is() -> None:
    restore = {"state": "restoring", "restored": 400, "remaining": 600, "records_per_second": 5000.0}
    document = overview(1, state="rebalancing", waits_for="rebalancing: restoring 1 of 1 task")
    document["tasks"][0] |= {"state": "restoring", "restore": restore}
    document["global_stores"] = {**restore, "id": "-1_0", "restored": 1, "remaining": 0}
    lines = shown(document)
    assert lines[0].startswith("● shop rebalancing: restoring 1 of 1 task  ")
    assert "global  restoring 100 %    0              5,000        0" in lines
    assert "0_0     restoring 40 %     0              5,000        0" in lines


@pytest.mark.parametrize(
    ("width", "heads"),
    [
        (20, ["task", "state", "lag"]),
        (30, ["task", "state", "lag", "oldest"]),
        (37, ["task", "state", "lag", "oldest", "records/s"]),
        (46, ["task", "state", "lag", "oldest", "records/s", "dropped"]),
    ],
)
def test_a_narrow_terminal_has_the_columns_that_fit(width: int, heads: list[str]) -> None:
    lines = shown(overview(3), width=width)
    assert max(map(len, lines)) <= width
    assert [line.split() for line in lines if line.startswith("task")] == [heads]
    assert [line.split()[:3] for line in lines if line.startswith("0_2")] == [["0_2", "running", "200"]]


@pytest.mark.parametrize("width", [50, 100])
@pytest.mark.parametrize("height", [16, 24])
def test_of_more_tasks_than_fit_those_that_lag_most_are_shown(height: int, width: int) -> None:
    document = overview(40)
    document["tasks"][7]["restore"] = {
        "state": "restoring",
        "restored": 0,
        "remaining": 9,
        "records_per_second": 0.0,
    }
    lines = shown(document, width=width, height=height)
    assert len(lines) <= height
    tasks = [line.split()[0] for line in lines if re.match(r"0_\d", line)]
    assert tasks[:3] == ["0_7", "0_39", "0_38"]
    assert f"… and {41 - len(tasks)} more, which lag less" in lines


def test_an_instance_that_has_gone_is_told_above_what_was_there() -> None:
    lines = shown(overview(1), trouble="http://h:1 does not answer; asking again, this is from 3 s ago")
    assert lines[1] == "http://h:1 does not answer; asking again, this is from 3 s ago"
    assert lines[2] == "1,234 records/s, lag 1,200 (oldest 1m), 1,234,567 processed"


def test_a_lag_is_told_with_its_time_while_brokers_are_away() -> None:
    away = "broker 0 at h:9092: it cannot be connected to (Connection refused)"
    then = f"{datetime.fromtimestamp(1_700_000_000):%H:%M:%S}"
    lines = shown(overview(1, waits_for=away, lag_records=0))
    assert lines[0] == f"● shop {away}  http://h:1, headrace 1"
    assert lines[1] == f"1,234 records/s, lag 0 as of {then}, 1,234,567 processed"


# ── while it runs ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.process
def test_it_goes_on_where_the_instance_comes_back(directory: Path, start: Callable[..., Process]) -> None:
    with served() as url:
        port = int(url.rpartition(":")[2])
        process = start("top", url, "--json", "--every", "100ms")
        assert process.process.stdout is not None
        assert json.loads(process.process.stdout.readline())["state"] == "running"
    process.wait_for(f"{url} does not answer: nobody listens there")
    process.wait_for("asking again")
    with served(port):
        states: list[str] = []

        def has_come_back() -> bool:
            assert process.process.stdout is not None
            states.append(json.loads(process.process.stdout.readline())["state"])
            return "pending_shutdown" not in states[-1:] and states.count("running") > 0

        until(has_come_back)
        process.signal(signal.SIGINT)
        assert process.end().code == 0


@pytest.mark.process
def test_a_terminal_is_filled_and_given_back(directory: Path) -> None:
    terminal, end = pty.openpty()
    shown_bytes = b""

    def has(text: bytes) -> bool:
        nonlocal shown_bytes
        with contextlib.suppress(BlockingIOError):
            shown_bytes += os.read(terminal, 65536)
        return text in shown_bytes

    with served() as url:
        process = subprocess.Popen(
            [sys.executable, "-m", "headrace.cli", "top", url, "--every", "100ms"],
            stdin=subprocess.DEVNULL,
            stdout=end,
            stderr=subprocess.PIPE,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "30"},
        )
        os.close(end)
        os.set_blocking(terminal, False)
        try:
            until(lambda: has(b"StreamThread-1"))
            assert b"\x1b[?1049h" in shown_bytes  # the screen of its own
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=30)
        finally:
            process.kill()
            process.wait()
    assert (process.returncode, said) == (0, b"")
    until(lambda: has(b"\x1b[?1049l"))
    os.close(terminal)
