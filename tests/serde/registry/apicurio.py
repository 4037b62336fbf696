"""A real registry for the tests: Apicurio, which Maven brings and Java runs, with Confluent's interface.

It starts in 12 s on an idle core, listens on 127.0.0.1, keeps all in memory, and ends with the tests. It has no GUIDs,
and takes incompatible versions unless a subject is told not to.
"""

import http.client
import json
import os
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from headrace.testing.local_kafka.jars import find_java

__all__ = ["Apicurio"]

_VERSION = "2.6.13.Final"
_POM = f"""<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>headrace</groupId>
  <artifactId>registry</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>io.apicurio</groupId>
      <artifactId>apicurio-registry-app</artifactId>
      <version>{_VERSION}</version>
      <classifier>all</classifier>
      <type>tar.gz</type>
      <exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>
    </dependency>
  </dependencies>
</project>
"""

# A machine with two cores that does other things as well.
_START_SECONDS = 240.0


class Apicurio:
    """A registry that runs while it is entered."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        self._port = 0

    @staticmethod
    def unavailable() -> str | None:
        """Say why there can be none; None where there can."""
        if find_java() is None:
            return "a schema registry needs Java 17"
        if not _folder().is_dir() and shutil.which("mvn") is None:
            return "a schema registry needs Maven to fetch it once"
        return None

    @staticmethod
    def prepare() -> None:
        """Fetch it, once a machine: 140 MB."""
        folder = _folder()
        if folder.is_dir():
            return
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as working:
            pom = Path(working, "pom.xml")
            pom.write_text(_POM)
            subprocess.run(
                [
                    "mvn",
                    "-q",
                    "-B",
                    "-f",
                    pom,
                    "dependency:copy-dependencies",
                    f"-DoutputDirectory={working}/jars",
                ],
                check=True,
                stdin=subprocess.DEVNULL,
                capture_output=True,
            )
            (archive,) = Path(working, "jars").glob("*.tar.gz")
            with tarfile.open(archive) as packed:
                packed.extractall(Path(working, "app"), filter="data")
            if not folder.is_dir():
                Path(working, "app").rename(folder)

    @property
    def url(self) -> str:
        """Where it speaks as Confluent's does."""
        return f"http://127.0.0.1:{self._port}/apis/ccompat/v7"

    @property
    def native_url(self) -> str:
        """Where it speaks its own language."""
        return f"http://127.0.0.1:{self._port}/apis/registry/v2"

    def set_compatibility(self, subject: str, level: str) -> None:
        """Let a subject take compatible versions only."""
        self._ask("PUT", f"/apis/ccompat/v7/config/{subject}", json.dumps({"compatibility": level}))

    def __enter__(self) -> Self:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._output = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [
                str(find_java()), "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                "-Dquarkus.http.host=127.0.0.1", f"-Dquarkus.http.port={self._port}",
                "-jar", f"apicurio-registry-app-{_VERSION}-runner.jar",
            ],
            cwd=_folder(), stdin=subprocess.DEVNULL, stdout=self._output, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        try:
            self._wait()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._output is not None:
            self._output.close()

    def _wait(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self._ask("GET", "/apis/ccompat/v7/subjects")
                return
            except (OSError, http.client.HTTPException, AssertionError):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"Apicurio did not start:\n{self._said()}") from None
                time.sleep(0.25)  # there is nothing else to wait for: it does not say when it is there

    def _ask(self, method: str, path: str, body: str | None = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            found = answer.read()
            assert answer.status < 300, (answer.status, found)
            return json.loads(found) if found else None
        finally:
            connection.close()

    def _said(self) -> str:
        assert self._output is not None
        self._output.seek(0)
        return self._output.read().decode(errors="replace")[-3000:]


def _folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "headrace" / f"apicurio-{_VERSION}"
