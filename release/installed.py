"""The packages as a user gets them: installed into an empty environment, where the README's word count runs."""

import json
import os
import re
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["try_out"]

#: What `import headrace` may take, the fastest of some tries.
_IMPORT_MS_MAX = 60.0
_TRIES = 7
_SECONDS = 60.0

Say = Callable[[str], None]


def try_out(python: str, packages: Path, version: str, readme: str, say: Say) -> None:
    """Install the wheels with pip, and let the README's word count run, be asked, and stop.

    Raises:
        SystemExit: something is not as it is promised.
        subprocess.CalledProcessError: a command failed.
    """
    with tempfile.TemporaryDirectory(prefix="headrace-release-") as place:
        room = Path(place)
        environment = room / "environment"
        _run([python, "-m", "venv", str(environment)])
        pip = [str(environment / "bin/pip"), "install", "--quiet", "--disable-pip-version-check"]
        # From these files alone: whatever an index has under this name is another one.
        offline = ["--no-index", "--no-deps", "--find-links", str(packages)]
        _run([*pip, *offline, f"headrace-native=={version}"])
        wheel = packages / f"headrace-{version}-py3-none-any.whl"
        _run([*pip, f"headrace[native,server] @ {wheel.absolute().as_uri()}"])
        command = str(environment / "bin/headrace")
        say(f"installed: {_run([command, '--version']).strip()}")
        imported = import_ms(str(environment / "bin/python"), room)
        say(f"import headrace: {imported:.1f} ms")
        if imported > _IMPORT_MS_MAX:
            raise SystemExit(f"import headrace takes {imported:.1f} ms, more than {_IMPORT_MS_MAX:.0f}")
        _count_words(command, room, readme, say)


def import_ms(python: str, room: Path) -> float:
    """Return how long `import headrace` takes, of several processes the fastest: others disturb, none helps."""
    program = "import time; began = time.perf_counter(); import headrace; print(time.perf_counter() - began)"
    return min(float(_run([python, "-c", program], room)) for _ in range(_TRIES)) * 1000


def _count_words(command: str, room: Path, readme: str, say: Say) -> None:
    (program,) = [
        block
        for block in re.findall(r"^```python\n(.*?)^```", readme, re.S | re.M)
        if "flat_map_values(words" in block
    ]
    directory = room / "application"
    directory.mkdir()
    (directory / "wordcount.py").write_text(program)
    log = ["--app", "wordcount:topology", "--embedded", "shop.db"]
    with _running([command, "run", "wordcount:topology", "--embedded", "shop.db"], directory) as application:
        _run([command, "topics", "write", "lines", *log], directory, '{"value": "to be or not to be"}\n')
        counted = _wait_for(lambda: _get(command, log, directory))
        say(f"word count: {counted}")
        application.send_signal(signal.SIGTERM)
        if application.wait(_SECONDS) != 0:
            raise SystemExit(f"the application ended with {application.returncode}")
    examined = _run([command, "doctor", "wordcount:topology", "--embedded", "shop.db"], directory)
    (codec,) = [line for line in examined.splitlines() if " codec: " in line]
    say(codec)
    if "headrace-native" not in codec or not codec.startswith("✓"):
        raise SystemExit("the compiled codec is not found")


def _get(command: str, log: Sequence[str], directory: Path) -> dict[str, object] | None:
    asked = subprocess.run(
        [command, "stores", "get", "words", "be", *log],
        cwd=directory,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode != 0:
        return None
    row: dict[str, object] = json.loads(asked.stdout)
    return {"key": row["key"], "value": row["value"]} if row["value"] == 2 else None


def _wait_for(ask: Callable[[], dict[str, object] | None]) -> dict[str, object]:
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        found = ask()
        if found is not None:
            return found
    raise SystemExit(f"the words were not counted within {_SECONDS:.0f} s")


@contextmanager
def _running(command: Sequence[str], directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run an application from its first sign of life on; it is killed where it has not ended by itself."""
    process = subprocess.Popen(command, cwd=directory, env=_environment(), stderr=subprocess.PIPE)
    assert process.stderr is not None
    try:
        said = b""
        deadline = time.monotonic() + _SECONDS
        while b"running: " not in said:
            left = max(0.0, deadline - time.monotonic())
            block = (
                os.read(process.stderr.fileno(), 65536)
                if select.select([process.stderr], [], [], left)[0]
                else b""
            )
            if not block:
                raise SystemExit(f"the application does not run:\n{said.decode()}")
            said += block
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _run(command: Sequence[str], directory: Path | None = None, given: str | None = None) -> str:
    ran = subprocess.run(
        command, cwd=directory, env=_environment(), input=given, capture_output=True, text=True, check=False
    )
    if ran.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
    return ran.stdout


def _environment() -> dict[str, str]:
    """Return the environment without what would lead to another headrace than the installed one, or configure it."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HEADRACE_", "PYTHON")) and name != "VIRTUAL_ENV"
    }
