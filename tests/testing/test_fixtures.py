"""The plugin's fixtures in a test run of a user's own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

USERS_TEST = """
def test_of_a_user(local_kafka):
    local_kafka.create_topic("orders")
    assert list(local_kafka.view().topics) == ["orders"]


def test_without_kafka():
    pass
"""


def _run(directory: Path, environment: dict[str, str]) -> str:
    (directory / "test_user.py").write_text(USERS_TEST)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(directory),
        "test_user.py",
    ]
    ran = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    return ran.stdout


def test_a_users_test_is_skipped_with_a_loud_line_where_there_is_no_java(tmp_path: Path) -> None:
    environment = {name: text for name, text in os.environ.items() if name != "JAVA_HOME"}
    out = _run(tmp_path, environment | {"PATH": "/nowhere"})
    assert (
        "SKIPPED, everything that needs Kafka: a local Kafka needs Java 17 or newer: "
        "no `java` on PATH, and JAVA_HOME names none"
    ) in out.splitlines()
    assert "1 passed, 1 skipped" in out


@pytest.mark.broker
def test_a_users_test_has_a_broker(local_kafka_is_there: None, tmp_path: Path) -> None:
    assert "2 passed" in _run(tmp_path, dict(os.environ))
