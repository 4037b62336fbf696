"""The storage of the brokers of `LocalKafka`: formatted before they first start, and kept for the next start."""

import base64
import contextlib
import re
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path

from headrace.base.errors import ConfigError, LogError
from headrace.testing.local_kafka.jars import series_of
from headrace.testing.local_kafka.node import Node

__all__ = ["format_storage", "keeps_storage", "note_version"]

_FORMAT_SECONDS = 60.0
# Beside the brokers' folders: the version that formatted them, whose features the cluster has ever since.
_VERSION_FILE = "kafka-version"


def keeps_storage(folder: Path, brokers: int, version: str) -> bool:
    """Tell whether a folder keeps a cluster for so many brokers of this version to go on with.

    Raises:
        ConfigError: it keeps one of more or fewer brokers, or of a newer version, on which an older broker ends.
    """
    kept = len(list(folder.glob("broker-*/data/meta.properties")))
    if kept == 0:
        return False
    if kept != brokers:
        raise ConfigError(
            f"{str(folder)!r} keeps a local Kafka of brokers={kept}, not {brokers}: "
            f"start it with {kept}, or name another directory"
        )
    noted = folder / _VERSION_FILE
    made = noted.read_text().strip() if noted.exists() else version
    if series_of(version) < series_of(made):
        raise ConfigError(
            f"{str(folder)!r} keeps a local Kafka of version {made}, which {version} cannot read: "
            f"start it with {made} or newer, or name another directory"
        )
    return True


def note_version(folder: Path, version: str) -> None:
    """Keep for later starts which version has formatted the storage."""
    (folder / _VERSION_FILE).write_text(version + "\n")


def format_storage(
    java: Sequence[str], nodes: Sequence[Node], credentials: Sequence[str], template: Path | None = None
) -> None:
    """Format the storage of the first node, and copy it to the others: one start of Java for all.

    `java` is the command up to the class; `credentials` are further arguments of its StorageTool. `template` keeps a
    storage for the next start, of brokers without properties and credentials of their own: where it is there, it is
    copied. That spares a third of a broker's start, 1 s of 2.8 s of processor time.

    Raises:
        LogError: the tool fails.
    """
    first = nodes[0]
    if template is not None and template.is_dir():
        shutil.copytree(template, first.data, dirs_exist_ok=True)
    else:
        _run_tool(java, first, credentials)
        if template is not None:
            _keep(first.data, template)
    meta = (first.data / "meta.properties").read_text()
    cluster = _identity()
    for node in nodes:
        if node is not first:
            shutil.copytree(first.data, node.data, dirs_exist_ok=True)
        named = re.sub(r"cluster\.id=.*", f"cluster.id={cluster}", meta)
        named = re.sub(r"node\.id=\d+", f"node.id={node.number}", named)
        named = re.sub(r"directory\.id=.*", f"directory.id={_identity()}", named)
        (node.data / "meta.properties").write_text(named)


def _keep(data: Path, template: Path) -> None:
    # A cache that somebody else filled may not be ours to write; or another process is first.
    with contextlib.suppress(OSError), tempfile.TemporaryDirectory(dir=template.parent) as working:
        shutil.copytree(data, Path(working, "storage"))
        Path(working, "storage").rename(template)


def _run_tool(java: Sequence[str], node: Node, credentials: Sequence[str]) -> None:
    logging = f"-Dlog4j2.configurationFile={node.directory / 'log4j2.properties'}"
    command = [
        *java,
        logging,
        "kafka.tools.StorageTool",
        "format",
        "-t",
        _identity(),
        "-c",
        str(node.properties),
    ]
    asked = "cannot format the storage of the local Kafka"
    try:
        ran = subprocess.run(
            [*command, *credentials],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_FORMAT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise LogError(f"{asked}: it is not done after {_FORMAT_SECONDS:.0f} s") from None
    if ran.returncode != 0:
        raise LogError(f"{asked}: {(ran.stdout + ran.stderr)[-2000:].strip()}")


def _identity() -> str:
    """Make an id as Kafka writes them: 16 bytes in 22 letters."""
    # The first letter may not be a dash, which tools take for an option.
    return "A" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]
