"""This machine: where the state is to lie, the disk below it, versions, and the compiled codec."""

import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

from headrace.outside.doctor.finding import Finding, Severity

__all__ = ["codec_findings", "disk_findings", "room_findings", "version_findings"]

#: Below the first a store may fill it within minutes; below the second RocksDB cannot compact any more.
_WARN_BYTES, _WRONG_BYTES = 2 * 1024**3, 200 * 1024**2


def version_findings(version: str) -> Iterator[Finding]:
    """Say what runs."""
    yield Finding(Severity.FINE, "versions", f"headrace {version}, Python {platform.python_version()}")


def disk_findings(directory: Path, purpose: str) -> Iterator[Finding]:
    """Judge the directory of the state, or of a log: whether it can be written, and how much room there is."""
    existing = next((each for each in (directory, *directory.parents) if each.exists()), Path("/"))
    subject = f"{purpose} {directory}"
    if not os.access(existing, os.W_OK | os.X_OK):
        advice = f"let this user write {existing}, or name another directory"
        yield Finding(Severity.WRONG, subject, f"{existing} cannot be written", advice)
        return
    free = shutil.disk_usage(existing).free
    yield from room_findings(subject, free)


def room_findings(subject: str, free_bytes: int) -> Iterator[Finding]:
    """Judge how much room a disk has."""
    text = f"{free_bytes / 1024**3:.1f} GB are free"
    if free_bytes >= _WARN_BYTES:
        yield Finding(Severity.FINE, subject, text)
        return
    severity = Severity.WRONG if free_bytes < _WRONG_BYTES else Severity.WARNING
    yield Finding(severity, subject, text, "make room: an application on a full disk stops")


def codec_findings(*, is_used: bool) -> Iterator[Finding]:
    """Say whether the compiled codec is there; only where it is used does it matter that it is not."""
    from headrace.kafka.batch.codec import chosen

    if chosen.name == "native":
        yield Finding(Severity.FINE, "codec", "headrace-native reads and writes record batches of Kafka")
    else:
        text = "record batches of Kafka are read and written in Python, about twenty times slower"
        advice = "pip install --upgrade 'headrace[native]'"
        yield Finding(Severity.WARNING if is_used else Severity.NOTE, "codec", text, advice)
