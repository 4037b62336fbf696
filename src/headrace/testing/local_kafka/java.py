"""Java's own producer and consumer beside `LocalKafka`: they write what we read, and judge what we wrote."""

import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Literal

from headrace.base.errors import LogError

__all__ = ["Isolation", "JavaClients", "JavaRecord", "TransactionEnd"]

Isolation = Literal["read_committed", "read_uncommitted"]
TransactionEnd = Literal["commit", "abort", "open"]
_SOURCE = Path(__file__).with_suffix(".java")


@dataclass(frozen=True, slots=True)
class JavaRecord:
    """A record as Java's clients see it. To be written, it needs no offset; a partition of None is Java's choice.

    Attributes:
        timestamp: in ms since 1970; None lets the producer take the time.
    """

    key: bytes | None = None
    value: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    timestamp: int | None = None
    partition: int | None = None
    offset: int = -1


class JavaClients:
    """One Java process for all calls: starting one costs 2 s, a call some milliseconds. Not for several threads.

    `java` is the command up to the class, with the class path; the source is compiled as it is started, which needs a
    JDK rather than a JRE.
    """

    def __init__(self, java: Sequence[str], servers: str) -> None:
        self._command = [*java, str(_SOURCE), servers]
        self._process: subprocess.Popen[str] | None = None
        self._errors: IO[bytes] | None = None

    def consume(self, topic: str, isolation: Isolation, count: int, timeout: float) -> list[JavaRecord]:
        """Read a topic from its beginning; see `LocalKafka.consume_with_java`."""
        lines = self._ask([f"consume\t{_hex(topic.encode())}\t{isolation}\t{count}\t{int(timeout * 1000)}"])
        return [_record(line.split("\t")) for line in lines]

    def produce(
        self,
        topic: str,
        records: Iterable[JavaRecord],
        *,
        transactional_id: str | None,
        end: TransactionEnd,
        config: Mapping[str, str],
    ) -> list[JavaRecord]:
        """Write records; see `LocalKafka.produce_with_java`."""
        written = list(records)
        name = None if transactional_id is None else transactional_id.encode()
        properties = ",".join(f"{key}={value}" for key, value in sorted(config.items()))
        ask = f"produce\t{_hex(topic.encode())}\t{_hex(name)}\t{end}\t{_hex(properties.encode())}"
        answers = self._ask([ask, *(_line(record) for record in written), ""])
        found = [answer.split("\t") for answer in answers]
        return [
            replace(record, partition=int(partition), offset=int(offset))
            for record, (partition, offset) in zip(written, found, strict=True)
        ]

    def close(self) -> None:
        """End the process. A transaction that is open stays open, until the broker's time-out."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
        if self._errors is not None:
            self._errors.close()
            self._errors = None

    def _ask(self, lines: Sequence[str]) -> list[str]:
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        answers: list[str] = []
        try:
            process.stdin.write("\n".join(lines) + "\n")
            process.stdin.flush()
            while (line := process.stdout.readline().rstrip("\n")) not in ("", "ok") and line[:5] != "error":
                answers.append(line)
        except BrokenPipeError:
            line = ""
        if line == "":
            text = self._error_text()
            self.close()
            raise LogError(f"the local Kafka's Java clients ended: {text}")
        if line != "ok":
            asked, text = lines[0].split("\t")[0], bytes.fromhex(line.partition("\t")[2]).decode()
            raise LogError(f"the local Kafka's Java clients cannot {asked}: {text}")
        return answers

    def _running(self) -> "subprocess.Popen[str]":
        if self._process is None:
            self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - `close` does
            # It ends with us: its standard input ends then.
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                encoding="ascii",
                start_new_session=True,
            )
        return self._process

    def _error_text(self) -> str:
        if self._errors is None:
            return ""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")[-2000:].strip()


def _hex(data: bytes | None) -> str:
    return "-" if data is None else data.hex()


def _bytes(field: str) -> bytes | None:
    return None if field == "-" else bytes.fromhex(field)


def _line(record: JavaRecord) -> str:
    fields = [
        "-" if record.partition is None else str(record.partition),
        "-" if record.timestamp is None else str(record.timestamp),
        _hex(record.key),
        _hex(record.value),
    ]
    for name, value in record.headers:
        fields += [_hex(name.encode()), _hex(value)]
    return "\t".join(fields)


def _record(fields: list[str]) -> JavaRecord:
    partition, offset, timestamp, key, value, *headers = fields
    return JavaRecord(
        key=_bytes(key),
        value=_bytes(value),
        headers=tuple(
            (bytes.fromhex(name).decode(), _bytes(each)) for name, each in zip(headers[::2], headers[1::2])
        ),
        timestamp=int(timestamp),
        partition=int(partition),
        offset=int(offset),
    )
