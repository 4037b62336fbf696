"""Java's serdes beside ours: Apicurio's, of Maven Central, told to write Confluent's format.

Confluent's own are in a repository of Confluent's alone. Apicurio's Protobuf has a format of its own behind the id,
with the name of the message in the place of its indexes, so that it is not among these.
"""

import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from headrace.testing.local_kafka.jars import find_java

__all__ = ["JavaError", "JavaSerdes"]

_HERE = Path(__file__).parent


class JavaError(Exception):
    """What Java says."""


class JavaSerdes:
    """One Java process for all calls, while it is entered."""

    def __init__(self, url: str) -> None:
        self._url = url

    @staticmethod
    def class_path() -> str:
        """Compile the program, and fetch what it needs, once."""
        script, pom = _HERE.parents[1] / "java_class_path", _HERE / "java" / "pom.xml"
        command = [str(script), "registry-serdes", str(pom), str(_HERE / "java" / "RegistrySerdes.java")]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def ask(self, verb: str, topic: str, *fields: str | bytes) -> bytes:
        """Ask for one thing.

        Raises:
            JavaError: Java refuses.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        said = [topic, *fields]
        line = "\t".join([verb, *((each.encode() if isinstance(each, str) else each).hex() for each in said)])
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        kind, _, found = self._process.stdout.readline().strip().partition("\t")
        if kind != "ok":
            raise JavaError(bytes.fromhex(found).decode())
        return bytes.fromhex(found)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [
                str(find_java()),
                "-XX:TieredStopAtLevel=1",
                "-cp",
                self.class_path(),
                "RegistrySerdes",
                self._url,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="ascii",
            start_new_session=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()
