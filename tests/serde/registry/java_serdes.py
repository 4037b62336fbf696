"""Java's serdes beside ours: Apicurio's, of Maven Central, told to write Confluent's format.

Confluent's own are in a repository of Confluent's alone. Apicurio's Protobuf writes the indexes of a message from 3.1
on, so that it is a program of its own, beside Avro and JSON of the registry's version.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from headrace.testing.local_kafka.jars import find_java

__all__ = ["JAVA_PROTOBUF", "JAVA_SERDES", "JavaError", "JavaProgram", "JavaSerdes"]

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class JavaProgram:
    """A class of Java, in a folder with its pom."""

    main: str
    folder: str
    cached_as: str

    def class_path(self) -> str:
        """Compile the program, and fetch what it needs, once."""
        script, folder = _HERE.parents[1] / "java_class_path", _HERE / self.folder
        sources = [folder / f"{self.main}.java", _HERE / "Requests.java"]
        command: list[str | Path] = [script, self.cached_as, folder / "pom.xml", *sources]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


JAVA_SERDES = JavaProgram("RegistrySerdes", "java", "registry-serdes")
JAVA_PROTOBUF = JavaProgram("RegistryProtobuf", "java_protobuf", "registry-protobuf")


class JavaError(Exception):
    """What Java says."""


class JavaSerdes:
    """One Java process for all calls, while it is entered."""

    def __init__(self, program: JavaProgram, url: str) -> None:
        self._program = program
        self._url = url

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
                self._program.class_path(),
                self._program.main,
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
