"""Formats the storage of the brokers of `LocalKafka`, before they start for the first time."""

import base64
import re
import shutil
import subprocess
import uuid
from collections.abc import Sequence

from headrace.base.errors import LogError
from headrace.testing.local_kafka.node import Node

__all__ = ["format_storage"]

_FORMAT_SECONDS = 60.0


def format_storage(java: Sequence[str], nodes: Sequence[Node], credentials: Sequence[str]) -> None:
    """Format the storage of the first broker, and copy it to the others: one start of Java for all.

    `java` is the command up to the class; `credentials` are further arguments of Kafka's StorageTool.

    Raises:
        LogError: the tool fails.
    """
    first = nodes[0]
    logging = f"-Dlog4j2.configurationFile={first.directory / 'log4j2.properties'}"
    command = [
        *java,
        logging,
        "kafka.tools.StorageTool",
        "format",
        "-t",
        _identity(),
        "-c",
        str(first.properties),
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
    meta = (first.data / "meta.properties").read_text()
    for node in nodes[1:]:
        shutil.copytree(first.data, node.data)
        named = re.sub(r"node\.id=\d+", f"node.id={node.number}", meta)
        named = re.sub(r"directory\.id=.*", f"directory.id={_identity()}", named)
        (node.data / "meta.properties").write_text(named)


def _identity() -> str:
    """Make an id as Kafka writes them: 16 bytes in 22 letters."""
    # The first letter may not be a dash, which tools take for an option.
    return "A" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]
