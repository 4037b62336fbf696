"""One broker of `LocalKafka`: its folder, its ports, its process under a guard."""

import contextlib
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from headrace.testing.local_kafka import guard

__all__ = ["Node", "end_of_log"]

_LOGGING = """rootLogger.level=INFO
rootLogger.appenderRef.console.ref=CONSOLE
appender.console.type=Console
appender.console.name=CONSOLE
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=[%d] %p %m (%c{1})%n
# Each prints all the properties there are, 1,400 lines a start.
logger.config.name=org.apache.kafka.common.config.AbstractConfig
logger.config.level=WARN
logger.kafka.name=kafka.server.KafkaConfig
logger.kafka.level=WARN
logger.clients.name=org.apache.kafka.clients
logger.clients.level=WARN
"""
# A broker that was told to stop hands over its partitions first; alone in its quorum it would wait for its controller.
_STOP_SECONDS = 20.0

_ERROR_LINES, _LAST_LINES = 8, 8
_ERROR = re.compile(r"\] (ERROR|FATAL) |^Caused by: |^\S+(Exception|Error): ")


class Node:
    """One broker or controller, or both in one. Its `number` is its node id.

    Attributes:
        client_port: where clients connect, with the security that was asked for.
        internal_port: where brokers and Java's tools connect, without any.
        controller_port: the quorum's.
        killed_at: when it was last ended as by a crash, on the monotonic clock.
    """

    def __init__(
        self,
        number: int,
        directory: Path,
        *,
        ports: tuple[int, int, int],
        is_broker: bool = True,
        is_controller: bool = True,
    ) -> None:
        self.number = number
        self.is_broker, self.is_controller = is_broker, is_controller
        self.directory = directory
        self.client_port, self.internal_port, self.controller_port = ports
        self._guard: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self.killed_at = -math.inf

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def properties(self) -> Path:
        return self.directory / "server.properties"

    @property
    def log(self) -> Path:
        return self.directory / "broker.log"

    @property
    def pid(self) -> int | None:
        """The broker's own process id; None while it does not run."""
        return self._pid if self.is_running else None

    @property
    def is_running(self) -> bool:
        return self._guard is not None and self._guard.poll() is None

    def write_properties(self, properties: Mapping[str, str]) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        # Java reads a backslash as the start of an escape.
        lines = [f"{name}={value}".replace("\\", "\\\\") for name, value in properties.items()]
        self.properties.write_text("\n".join(lines) + "\n")
        # Passwords stand in it.
        self.properties.chmod(0o600)
        (self.directory / "log4j2.properties").write_text(_LOGGING)

    def start(self, java: list[str]) -> None:
        """Start the process; `java` is the command up to the class. The log is continued."""
        logging = f"-Dlog4j2.configurationFile={self.directory / 'log4j2.properties'}"
        broker = [*java, logging, "kafka.Kafka", str(self.properties)]
        with open(self.log, "ab") as log:
            # A session of its own: Ctrl-C in a terminal is for the parent, which stops its brokers in order.
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", guard.__file__, *broker],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert self._guard.stdout is not None
        self._pid = int(self._guard.stdout.readline() or 0)

    def ask_to_stop(self) -> None:
        """Let it shut down in order; `wait` says when it has."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process as a crash would, and wait for that."""
        self._signal(signal.SIGKILL)
        self.wait()
        self.killed_at = time.monotonic()

    def wait(self) -> None:
        """Wait for the end of the process; after 20 s it is killed. Nothing happens where none runs."""
        if self._guard is None:
            return
        try:
            self._guard.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._guard.wait()
        for pipe in (self._guard.stdin, self._guard.stdout):
            if pipe is not None:
                pipe.close()
        self._guard = None

    def log_text(self) -> str:
        """What it has written since it was first started here."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _signal(self, number: signal.Signals) -> None:
        # Invariant: the guard has not ended, so that the pid is still the broker's.
        if self.is_running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, number)


def end_of_log(text: str) -> str:
    """Shorten a broker's log to its first errors, which name the cause, and its last lines."""
    lines = text.splitlines()
    last = lines[-_LAST_LINES:]
    errors = [line for line in lines[:-_LAST_LINES] if _ERROR.search(line)]
    return "\n".join([*errors[:_ERROR_LINES], *last])
