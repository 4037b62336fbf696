"""A PostgreSQL server of the tests' own: Debian's package, or the one whose programs POSTGRES_BIN names.

It listens on loopback alone, keeps its files in a directory that goes with it, and ends with its parent.
"""

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["LocalPostgres"]

_PR_SET_PDEATHSIG = 1
_START_SECONDS = 60.0


class LocalPostgres:
    """A context that runs a server.

    Attributes:
        port: of 127.0.0.1; the user is `postgres`, and needs no password.
    """

    def __init__(self) -> None:
        self.port = 0
        self._folder = Path()
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        self._programs = self._data = Path()
        self._user: str | None = None

    @staticmethod
    def unavailable() -> str | None:
        """Say why there can be none here; None where there can."""
        if _programs() is None:
            return (
                "no PostgreSQL is installed (Debian: apt-get install postgresql), and POSTGRES_BIN names none"
            )
        if os.geteuid() == 0 and _other_user() is None:
            return "PostgreSQL does not run as root, and there is no user postgres or nobody to run it as"
        return None

    def __enter__(self) -> Self:
        programs, user = _programs(), _other_user() if os.geteuid() == 0 else None
        assert programs is not None
        self._folder = Path(tempfile.mkdtemp(prefix="headrace-postgres-"))
        if user is not None:
            shutil.chown(self._folder, user)
        data = self._folder / "data"
        subprocess.run(
            [
                programs / "initdb",
                "-D",
                data,
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--no-locale",
                "-N",
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            user=user,
            cwd=self._folder,
        )
        self._programs, self._user, self._data = programs, user, data
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.start()
        return self

    def start(self) -> None:
        """Start the server, again if it was stopped, and wait until it answers."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self._folder),
            "fsync": "off",  # whoever is killed here, the machine is not
            "wal_level": "logical",
            "max_connections": "50",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, *options],
                stdout=log,
                stderr=log,
                user=self._user,
                cwd=self._folder,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - nothing else would end it where the tests are killed
            )
        ready: list[str | Path] = [
            self._programs / "pg_isready",
            "-q",
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
        ]
        deadline = time.monotonic() + _START_SECONDS
        while subprocess.run(ready, check=False).returncode != 0:
            assert self._process.poll() is None and time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def stop(self, *, at_once: bool = False) -> None:
        """End the server: connections are closed, or, `at_once`, as if it were killed."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT if at_once else signal.SIGINT)
        self._process.wait(60)

    def log(self) -> str:
        """What the server has said."""
        return (self._folder / "server.log").read_text(errors="replace")[-4000:]

    def make_database(self) -> str:
        """Make an empty database, and return its address."""
        self._databases += 1
        name = f"test_{self._databases}"
        self.say("postgres", f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{name}"

    def say(self, database: str, statement: str) -> str:
        """Execute a statement by psql, and return what that prints."""
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d", database]
        done = subprocess.run(
            [str(self._programs / "psql"), "-qAtX", "-v", "ON_ERROR_STOP=1", *where, "-c", statement],
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop(at_once=True)
        shutil.rmtree(self._folder, ignore_errors=True)


def _programs() -> Path | None:
    named = os.environ.get("POSTGRES_BIN")
    if named:
        return Path(named)
    found = shutil.which("postgres")
    if found is not None:
        return Path(found).resolve().parent
    installed = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3])
    )
    return installed[-1].parent if installed else None


def _other_user() -> str | None:
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    return None


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)
