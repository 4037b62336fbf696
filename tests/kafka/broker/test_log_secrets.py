"""No password is in any log, whatever is asked for."""

from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.testing import LocalKafka
from tests.cli.conftest import Process

pytestmark = pytest.mark.broker

EVERYTHING = ("--log-level", "debug", "--log-format", "json")


@pytest.mark.process
def test_the_log_of_all_there_is_has_no_password(
    secured: LocalKafka, tmp_path: Path, unique: Callable[[str], str]
) -> None:
    application = unique("secret")
    (tmp_path / "app.py").write_text(
        "import headrace as hr\nbuilder = hr.StreamsBuilder()\nbuilder.stream('nothing').to('nowhere')\n"
    )
    properties = secured.client_properties_of("alice")
    assert any("alice-secret" in text for text in properties.values())
    given = [word for name, text in properties.items() for word in ("--set", f"{name}={text}")]
    process = Process(
        tmp_path,
        [
            "run",
            "app.py:builder",
            "--application-id",
            application,
            *given,
            "--log-level",
            "debug",
            "--log-format",
            "json",
        ],
    )
    try:
        ran = process.end()  # it may not read the topic
    finally:
        process.close()
    assert ran.code == 1
    assert '"level":"DEBUG"' in ran.err
    assert "alice-secret" not in ran.err + ran.out
