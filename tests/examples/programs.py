"""Examples as processes: started as their readers do it, asked over HTTP, and stopped by Ctrl-C."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["EXAMPLES", "SECONDS", "answer", "free_port", "headrace", "listen_to_ctrl_c", "running"]

EXAMPLES = Path(__file__).parents[2] / "examples"
SECONDS = 30.0


def listen_to_ctrl_c() -> None:
    """Let a child hear it: who runs the tests in the background has it ignored, and processes below inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def running(
    command: Sequence[str | Path],
    directory: Path,
    environment: Mapping[str, str] | None = None,
    *,
    cuts_an_answer: bool = False,
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program until Ctrl-C, which it has to obey without a word of failure.

    What it prints is in the file `printed`, and what it says in `said`. Where it `cuts_an_answer` that has no end,
    uvicorn tells of it with a traceback. One that was killed meanwhile is gone.
    """
    said = directory / "said"
    with (directory / "printed").open("wb") as out, said.open("wb") as err:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=None if environment is None else dict(environment),
            stdout=out,
            stderr=err,
            preexec_fn=listen_to_ctrl_c,  # noqa: PLW1509 - only one thread starts processes here
        )
    try:
        yield process
        if process.poll() != -signal.SIGKILL:
            process.send_signal(signal.SIGINT)
            assert process.wait(SECONDS) == 0, said.read_text()
            assert cuts_an_answer or "Traceback" not in said.read_text()
    except BaseException as error:
        error.add_note(said.read_text(errors="replace")[-4000:])
        raise
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def answer(url: str, body: object = None, *, method: str | None = None) -> tuple[int, Any]:
    """Ask, and return status and what the JSON of the answer says; 0 where nobody answers."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, json.loads(response.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")
    except (OSError, http.client.HTTPException):  # the second one if it was killed while it answered
        return 0, None


def headrace(directory: Path, *arguments: str | Path, lines: Sequence[Mapping[str, object]] = ()) -> str:
    """Run the command in a folder, with lines as its input; return what it prints."""
    ran = subprocess.run(
        [Path(sys.executable).parent / "headrace", *arguments],
        cwd=directory,
        input="".join(json.dumps(line) + "\n" for line in lines),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
