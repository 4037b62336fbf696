"""A small application, and the command line within this process and as processes of its own."""

import io
import logging
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

import headrace as hr
from headrace.cli.main import main
from headrace.cli.target import load
from tests.streams.waiting import until

APPLICATION = """
import headrace as hr
from headrace import stores

LINES = hr.Topic("lines", value=str, partitions=2)
COUNTS = stores.key_value("counts", key=str, value=int)
MINUTES = stores.window("minutes", key=str, value=int)


def build():
    builder = hr.StreamsBuilder()
    words = builder.stream(LINES).flat_map_values(str.split, value=str).group_by(lambda key, word: word, key=str)
    words.count(store=COUNTS).to_stream().to("word-counts")
    words.windowed_by(hr.TimeWindows("1m", grace="1m")).count(store=MINUTES)
    return builder.build()
"""


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


Command = Callable[..., Ran]


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory; what is imported from there is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in os.environ:
        if name.startswith("HEADRACE_"):
            monkeypatch.delenv(name)
    yield tmp_path
    forget_modules(tmp_path)


def forget_modules(directory: Path) -> None:
    """Let what was imported from there be imported anew: a module of the next test may have the same name."""
    for name, module in sys.modules.copy().items():  # in one step: whatever is collected meanwhile may import
        if str(getattr(module, "__file__", None) or "").startswith(str(directory)):
            del sys.modules[name]


@pytest.fixture
def words(directory: Path) -> Path:
    """The application's module, `words.py`."""
    file = directory / "words.py"
    file.write_text(APPLICATION)
    return file


@pytest.fixture
def clean_logging() -> Iterator[None]:
    """Give back what a command changes in the logging of this process."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, logger in logging.root.manager.loggerDict.items():
        if name.startswith("headrace") and isinstance(logger, logging.Logger):
            logger.setLevel(logging.NOTSET)
            logger.filters.clear()


@pytest.fixture
def command(directory: Path, clean_logging: None, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command within this process."""

    def run(*arguments: str, stdin: str = "") -> Ran:
        out, err = io.TextIOWrapper(io.BytesIO()), io.TextIOWrapper(io.BytesIO())
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            try:
                main(arguments)
            except SystemExit as ended:
                code = ended.code if isinstance(ended.code, int) else 0
        forget_modules(directory)
        texts = []
        for stream in (out, err):
            stream.flush()
            stream.buffer.seek(0)
            texts.append(stream.buffer.read().decode())
        return Ran(code, *texts)

    return run


class Process:
    """A command in a process of its own, whose error stream can be waited for."""

    def __init__(self, directory: Path, arguments: Sequence[str]) -> None:
        environment = {name: text for name, text in os.environ.items() if not name.startswith("HEADRACE_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "headrace.cli", *arguments],
            cwd=directory,
            env=environment | {"PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.err = ""
        self._checked = 0

    def wait_for(self, text: str, seconds: float = 30.0) -> None:
        """Block until `text` came on the error stream, behind what was waited for before."""
        deadline = time.monotonic() + seconds
        while (found := self.err.find(text, self._checked)) < 0:
            left = deadline - time.monotonic()
            assert self.process.stderr is not None
            ready = select.select([self.process.stderr], [], [], max(0.0, left))[0]
            block = os.read(self.process.stderr.fileno(), 65536).decode() if ready else ""
            self.err += block
            if not block:
                pytest.fail(f"no {text!r} came; the error stream is:\n{self.err}")
        self._checked = found + len(text)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, seconds: float = 30.0) -> Ran:
        """Wait for the end."""
        out, err = self.process.communicate(timeout=seconds)
        self.err += err.decode()
        return Ran(self.process.returncode, out.decode(), self.err)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


@pytest.fixture
def start(directory: Path) -> Iterator[Callable[..., Process]]:
    """Start a command as a process; it is killed when the test ends."""
    started: list[Process] = []

    def begin(*arguments: str) -> Process:
        started.append(Process(directory, arguments))
        return started[-1]

    yield begin
    for each in started:
        each.close()


@pytest.fixture
def counted(command: Command, words: Path) -> Command:
    """Commands beside an application that has counted "b a b c" at 61 s."""
    command("topics", "create", "lines", "--partitions", "2", "--embedded", "words.db")
    command(
        "topics",
        "write",
        "lines",
        "--embedded",
        "words.db",
        stdin='{"value": "b a b c", "timestamp": 61000, "partition": 0}',
    )
    topology = load("words:build").topology
    with hr.Streams(
        topology, application_id="words", embedded_path="words.db", commit_interval_ms=10
    ) as streams:
        streams.wait_running("20s")
        until(lambda: streams.query("counts").get("c") == 1)
    return command
