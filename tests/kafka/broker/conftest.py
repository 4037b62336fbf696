"""What the tests on a broker share: applications that look at their topics all the time, and the command line."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest

import headrace as hr
from headrace.cli.main import main
from headrace.streams.config import Config
from headrace.testing import LocalKafka
from tests.cli.conftest import Command, Ran

Unique = Callable[[str], str]
Guarantee = Literal["exactly_once_v2", "at_least_once"]
NewStreams = Callable[..., hr.Streams]


@pytest.fixture
def new_streams(broker: LocalKafka, tmp_path: Path) -> Iterator[NewStreams]:
    """Make applications that look at the topics all the time."""
    made: list[hr.Streams] = []

    def make(topology: hr.Topology, name: str, guarantee: Guarantee = "exactly_once_v2") -> hr.Streams:
        config = Config(
            application_id=name,
            bootstrap_servers=broker.bootstrap_servers,
            state_dir=str(tmp_path),
            processing_guarantee=guarantee,
            commit_interval_ms=50,
            properties={"metadata.max.age.ms": 50},
        )
        made.append(hr.Streams(topology, config))
        return made[-1]

    yield make
    for streams in made:
        streams.close()


@pytest.fixture
def command(broker: LocalKafka, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command of `headrace` on the broker, within this process."""

    def run(*arguments: str) -> Ran:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--bootstrap-servers", broker.bootstrap_servers])
        told = capsys.readouterr()
        return Ran(int(ended.value.code or 0), told.out, told.err)

    return run
