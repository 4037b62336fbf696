"""What a configuration makes of a stream thread as a member of its application's group."""

from pathlib import Path

import pytest

import headrace as hr
from headrace.base.errors import ConfigError
from headrace.base.ids import TaskId
from headrace.group.application import GroupApplication, SubtopologyTopics
from headrace.group.leader import decide
from headrace.group.user_data import MemberWord
from headrace.log.membership import JoinOptions, Membership
from headrace.log.memory import MemoryLog
from headrace.streams.config import Config
from headrace.streams.joining import joiner
from tests.streams.conftest import words

TASKS = tuple(TaskId(0, partition) for partition in range(4))
APPLICATION = GroupApplication(
    (SubtopologyTopics(id=0, source_topics=frozenset({"in"}), is_stateful=True),), TASKS, {"in": 4}
)


class Asked(MemoryLog):
    """Keeps what members join with."""

    def join(self, group: str, application: GroupApplication, options: JoinOptions) -> Membership:
        self.options = options
        return super().join(group, application, options)


def joined(place: str, **properties: object) -> JoinOptions:
    config = Config(
        application_id="shop",
        num_standby_replicas=1,
        properties={"rack.aware.assignment.tags": "zone", **properties},
    )
    log = Asked()
    joiner(log, config, place, "", "1", {})(APPLICATION)
    return log.options


@pytest.mark.parametrize("zones", ["aabb", "abab", "abba"])
def test_standbys_are_in_another_zone_where_tags_say_which_one_an_instance_is_in(zones: str) -> None:
    members = {
        f"{number}": joined(f"{number}", **{"client.tag.zone": zone}) for number, zone in enumerate(zones)
    }
    told = {
        name: MemberWord(options.process_id, tags=options.client_tags) for name, options in members.items()
    }
    roles = {
        name: word.roles for name, word in decide(told, APPLICATION, members["0"].assignment).words.items()
    }
    for task in TASKS:
        (runs,) = (name for name in roles if task in roles[name].active)
        (follows,) = (name for name in roles if task in roles[name].standby)
        assert zones[int(runs)] != zones[int(follows)]


def test_tags_come_from_files_and_the_environment_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HEADRACE_CLIENT_TAG_ZONE", "b")
    file = tmp_path / "shop.toml"
    file.write_text('client.tag.zone = "a"\nclient.tag.rack = "7"\n')
    config = Config.load(file, application_id="shop")
    assert (config["client.tag.zone"], config["client_tag_rack"], config["client.tag.hall"]) == (
        "b",
        "7",
        None,
    )
    log = Asked()
    joiner(log, config, "here", "", "1", {})(APPLICATION)
    assert log.options.client_tags == {"zone": "b", "rack": "7"}
    assert [row[:3] for row in config.rows()][-2:] == [
        ("client.tag.rack", "7", f"file {file}"),
        ("client.tag.zone", "b", "environment HEADRACE_CLIENT_TAG_ZONE"),
    ]


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({"client.tag.": "a"}, "a tag needs a key of 1 to 20 characters"),
        ({f"client.tag.{'k' * 21}": "a"}, "a tag needs a key of 1 to 20 characters"),
        ({"client.tag.zone": "v" * 31}, "a tag's value has 1 to 30 characters"),
        ({"client.tag.zone": ""}, "a tag's value has 1 to 30 characters"),
        ({"rack.aware.assignment.tags": "a,b,c,d,e,f"}, "rack.aware.assignment.tags is 'a,b,c,d,e,f', but 5"),
        ({f"client.tag.{key}": "v" for key in "abcdef"}, "there are 6 tags, client.tag.{a,b,c,d,e,f}: 5 are"),
    ],
)
def test_tags_beyond_kafkas_limits_are_refused(properties: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        hr.Streams(words(), application_id="shop", embedded_path="shop.db", properties=properties)
    assert said in str(raised.value)


def test_as_much_as_kafka_allows_is_allowed() -> None:
    tags: dict[str, object] = {f"client.tag.{'k' * 19}{each}": "v" * 30 for each in "abcde"}
    assert len(joined("here", **tags).client_tags) == 5
