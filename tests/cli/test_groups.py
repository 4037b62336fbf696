"""`headrace groups` on the embedded log, where nobody is in a group; with members, see tests/kafka/broker."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command


@pytest.fixture
def log(command: Command, directory: Path) -> tuple[str, ...]:
    """A log on which an application has processed two of three records."""
    from headrace.base.ids import TopicPartition
    from headrace.log.embedded import EmbeddedLog
    from headrace.log.port import CommittedOffset

    given = ("--embedded", "shop.db")
    assert command("topics", "create", "lines", "--partitions", "2", *given).code == 0
    lines = "".join(f'{{"key": null, "value": "{each}", "partition": 0}}\n' for each in "abc")
    assert command("topics", "write", "lines", *given, stdin=lines).code == 0
    made = EmbeddedLog.open(directory / "shop.db")
    made.groups.commit("shop", {TopicPartition("lines", 0): CommittedOffset(2)})
    made.close()
    return given


def test_groups_are_listed(command: Command, log: tuple[str, ...]) -> None:
    assert command("groups", "list", *log).lines == [
        "group  protocol  state  members",
        "shop   -         Empty        0",
    ]
    (line,) = command("groups", "list", "--json", *log).lines
    assert json.loads(line) == {"group": "shop", "protocol": "", "state": "Empty", "members": 0}


def test_a_group_is_described_with_what_is_left_for_it(command: Command, log: tuple[str, ...]) -> None:
    ran = command("groups", "describe", "shop", *log)
    assert (ran.code, ran.lines) == (
        0,
        [
            "group shop: Empty, 0 members",
            "",
            "task  partition  committed  end  lag  member",
            "-     lines-0            2    3    1  -",
            "",
            "which task reads a partition is told by --app MODULE:NAME, where it is not shown",
        ],
    )


def test_an_application_tells_whose_partitions_they_are_and_which_it_has_not_begun(
    command: Command, log: tuple[str, ...], words: Path
) -> None:
    found = json.loads(command("groups", "describe", "shop", "--app", "words:build", "--json", *log).out)
    assert [(each["task"], each["committed"], each["lag"]) for each in found["partitions"]] == [
        ("0_0", 2, 1),
        ("0_1", None, 0),
    ]
    assert found["tasks"][0] == {"task": "0_0", "active": [], "standby": [], "warmup": [], "lag": 1}


def test_the_group_of_an_application_need_not_be_named(command: Command, log: tuple[str, ...]) -> None:
    assert command("groups", "describe", "--application-id", "shop", *log).lines[0].startswith("group shop")
    ran = command("groups", "describe", *log)
    assert (ran.code, "give GROUP, --app MODULE:NAME or --application-id ID" in ran.err) == (2, True)


def test_a_group_or_a_member_that_is_not_there_is_said(command: Command, log: tuple[str, ...]) -> None:
    ran = command("groups", "describe", "shops", *log)
    assert (ran.code, ran.err) == (
        1,
        "headrace: there is no group 'shops'; `headrace groups list --all` has those there are\n",
    )
    ran = command("groups", "remove", "shop", "somebody", *log)
    assert (ran.code, ran.err) == (
        1,
        "headrace: group 'shop' has no member 'somebody'; in it is nobody\n",
    )
