"""Ctrl-C in `headrace dev` at any moment, typed at a real terminal.

Twelve random moments; DEV_INTERRUPTS=50 takes more, DEV_INTERRUPTS_SEED others.
"""

import contextlib
import os
import pty
import random
import re
import select
import signal
import sys
import time
from pathlib import Path

import pytest

from headrace.base.columns import Columns
from headrace.base.ids import TopicPartition
from headrace.log.embedded.log import EmbeddedLog
from headrace.log.port import TopicSpec

pytestmark = [pytest.mark.process, pytest.mark.timeout(900)]

APPLICATION = """
import sys
import headrace as hr

print("loading", file=sys.stderr, flush=True)
builder = hr.StreamsBuilder()
builder.stream(hr.Topic("lines", value=str)).group_by_key().count(store=hr.stores.key_value("n", key=str, value=int))
builder.stream(hr.Topic("again", value=str)).to(hr.Topic("out", value=str))
topology = builder.build()
"""

#: How long after which sign the key is pressed, at most (seconds).
MOMENTS = {"import": 0.4, "start": 1.5, "running": 0.5, "reload": 2.0, "broken": 0.5, "mended": 1.5}

_COMPLAINT = re.compile(rb"Traceback|Exception ignored|KeyboardInterrupt")


class Terminal:
    """`headrace dev` at a terminal of its own."""

    def __init__(self, directory: Path) -> None:
        self.shown = b""
        self._seen = 0
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.chdir(directory)
            os.environ["TERM"] = "xterm"
            # Who runs the tests in the background of a shell has it ignored.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            with contextlib.suppress(OSError):
                os.execv(sys.executable, [sys.executable, "-m", "headrace.cli", "dev", "app:topology"])
            os._exit(1)

    def wait_for(self, text: bytes) -> None:
        """Read until a text comes, behind what was waited for before."""
        deadline = time.monotonic() + 30
        while (found := self.shown.find(text, self._seen)) < 0:
            assert time.monotonic() < deadline, (text, self.shown)
            self.read(0.1)
        self._seen = found + len(text)

    def read(self, seconds: float) -> bool:
        """Read what comes within a time; False where the other side is closed."""
        if select.select([self.descriptor], [], [], seconds)[0]:
            try:
                self.shown += os.read(self.descriptor, 65536)
            except OSError:  # so Linux tells that nobody has the terminal any more
                return False
        return True

    def read_for(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and self.read(left):
            pass

    def press_ctrl_c(self) -> None:
        os.write(self.descriptor, b"\x03")

    def end(self) -> int:
        """Wait for the end; return its code, negative where a signal did it."""
        deadline = time.monotonic() + 30
        while self.read(0.05):
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.read_for(0.05)
                return os.waitstatus_to_exitcode(status)
            assert time.monotonic() < deadline, self.shown
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)
        os.close(self.descriptor)


def _write(directory: Path, text: str) -> None:
    log = EmbeddedLog.open(directory / ".headrace" / "app.db")
    log.create_topics([TopicSpec("lines", 1), TopicSpec("again", 1)])
    writer = log.writer("test")
    for topic in ("lines", "again"):
        columns = Columns()
        columns.append(b"a", text.encode(), 0, ())
        writer.append(topic, 0, columns)
    writer.commit({})
    writer.close()
    log.close()


def _read(directory: Path) -> list[str]:
    log = EmbeddedLog.open(directory / ".headrace" / "app.db")
    if "out" not in log.topics():
        log.close()
        return []
    place = TopicPartition("out", 0)
    reader, end = log.reader(), log.end_offsets([place])[place]
    reader.assign({place: 0})
    found: list[str] = []
    while reader.position(place) < end:
        found += [(value or b"").decode() for chunk in reader.poll(100) for value in chunk.values]
    reader.close()
    log.close()
    return found


def _go_to(terminal: Terminal, file: Path, kind: str) -> None:
    """Bring the command to where its moment begins."""
    if kind == "import":
        return
    terminal.wait_for(b"loading")
    if kind == "start":
        return
    terminal.wait_for(b"running: ")
    if kind in ("broken", "mended"):
        file.write_text("this is no Python\n")
        terminal.wait_for(b"waiting for a change")
    if kind in ("reload", "mended"):
        file.write_text(APPLICATION + f"# {time.monotonic_ns()}\n")


def test_ctrl_c_at_any_moment_stops_and_loses_nothing(tmp_path: Path) -> None:
    chance = random.Random(int(os.environ.get("DEV_INTERRUPTS_SEED", "1")))
    count = int(os.environ.get("DEV_INTERRUPTS", "12"))
    file = tmp_path / "app.py"
    (tmp_path / ".headrace").mkdir()
    written = []
    for number in range(count):
        kind = list(MOMENTS)[number % len(MOMENTS)]
        seconds = chance.uniform(0, MOMENTS[kind])
        told = f"moment {number}: {kind} and {seconds:.3f} s"
        file.write_text(APPLICATION)
        written.append(f"line {number}")
        _write(tmp_path, written[-1])
        terminal = Terminal(tmp_path)
        try:
            _go_to(terminal, file, kind)
            terminal.read_for(seconds)
            terminal.press_ctrl_c()
            code = terminal.end()
            shown = terminal.shown
            # Before Python has read the first line of ours, it is Python's own to answer.
            was_pythons_own = kind == "import" and b"loading" not in shown
            assert code in (0, 130) or was_pythons_own, (told, code, shown)
            assert was_pythons_own or not _COMPLAINT.search(shown), (told, shown)
            assert shown.rfind(b"\x1b[?25l") <= shown.rfind(b"\x1b[?25h"), (told, shown)
            with pytest.raises(ProcessLookupError):
                os.killpg(terminal.pid, 0)
        finally:
            terminal.close()
    file.write_text(APPLICATION)
    terminal = Terminal(tmp_path)
    try:
        terminal.wait_for(b"running: ")
        deadline = time.monotonic() + 30
        while len(_read(tmp_path)) < len(written):
            assert time.monotonic() < deadline, terminal.shown
            terminal.read(0.05)
        terminal.press_ctrl_c()
        assert terminal.end() == 0
    finally:
        terminal.close()
    assert _read(tmp_path) == written


def test_second_ctrl_c_abandons_and_the_cursor_comes_back(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import time\n"
        "import headrace as hr\n"
        "builder = hr.StreamsBuilder()\n"
        'builder.stream("lines", value=str).foreach(lambda key, line: (print("stuck"), time.sleep(60)))\n'
        "topology = builder.build()\n"
    )
    (tmp_path / ".headrace").mkdir()
    _write(tmp_path, "x")
    terminal = Terminal(tmp_path)
    try:
        terminal.wait_for(b"stuck")
        terminal.press_ctrl_c()
        terminal.wait_for(b"stopping")
        terminal.press_ctrl_c()
        assert terminal.end() == 130
        assert b"\x1b[?25l" in terminal.shown
        assert terminal.shown.rfind(b"\x1b[?25l") < terminal.shown.rfind(b"\x1b[?25h")
        assert terminal.shown.endswith(b"abandoned\r\n")
    finally:
        terminal.close()
