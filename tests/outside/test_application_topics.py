"""Which topics an application has, as its topology, its coordinator or its members tell it."""

import headrace as hr
from headrace import stores
from headrace.base.ids import TaskId, TopicPartition
from headrace.group.application import InternalTopic, SubtopologyTopics
from headrace.group.members import Roles
from headrace.log.groups import DescribedGroup, DescribedMember
from headrace.outside.application_topics import (
    ApplicationTopics,
    topics_of_group,
    topics_of_members,
    topics_of_topology,
    with_tasks,
)


def test_a_topology_names_inputs_and_internal_topics_but_no_global_ones() -> None:
    builder = hr.StreamsBuilder()
    builder.global_table(hr.Topic("everywhere", value=str))
    stream = builder.stream(hr.Topic("lines", value=str))
    stream.group_by(lambda key, value: value, key=str).count(
        store=stores.key_value("words", key=str, value=int)
    )
    builder.stream(hr.Pattern("more-.*"), value=str).to("out")
    found = topics_of_topology(builder.build(), "shop", ["more-1", "more-2", "less"])
    assert found.inputs == {"lines", "more-1", "more-2"}
    assert found.internal == {"shop-words-repartition", "shop-words-changelog"}
    assert found.subtopology_of("shop-words-repartition") == 2  # the global one is 0
    assert found.subtopology_of("out") is None


def test_a_pattern_that_matches_nothing_yet_is_no_topic() -> None:
    builder = hr.StreamsBuilder()
    builder.stream(hr.Pattern("more-.*"), value=str).to("out")
    assert topics_of_topology(builder.build(), "shop", []).inputs == frozenset()


def test_a_streams_group_knows_the_topics_of_its_application() -> None:
    part = SubtopologyTopics(
        id=3,
        source_topics=frozenset({"lines"}),
        repartition_sources=(InternalTopic("shop-words-repartition"),),
        repartition_sinks=frozenset({"shop-other-repartition"}),
        changelogs=(InternalTopic("shop-counts-changelog"),),
    )
    found = topics_of_group(DescribedGroup(name="shop", kind="streams", state="Empty", subtopologies=(part,)))
    assert found.read == {3: {"lines", "shop-words-repartition"}}
    assert found.inputs == {"lines"}
    assert found.internal == {
        "shop-words-repartition",
        "shop-other-repartition",
        "shop-counts-changelog",
    }
    assert topics_of_group(None) == ApplicationTopics()


def test_what_members_read_and_run_tells_which_tasks_read_a_topic() -> None:
    def member(name: str, tasks: set[TaskId], partitions: set[TopicPartition]) -> DescribedMember:
        return DescribedMember(
            member_id=name, roles=Roles(frozenset(tasks)), partitions=tuple(sorted(partitions))
        )

    lines, words = "lines", "shop-words-repartition"
    one = member("one", {TaskId(0, 0), TaskId(1, 0)}, {TopicPartition(lines, 0), TopicPartition(words, 0)})
    other = member("other", {TaskId(0, 1)}, {TopicPartition(lines, 1)})
    group = DescribedGroup(name="shop", kind="classic", state="Stable", members=(one, other))
    # Partition 0 of the other topic may be either task's of its member, as far as anybody tells.
    assert topics_of_members(group).read == {0: {lines}}


def test_members_who_tell_no_tasks_have_those_of_which_they_read_partitions() -> None:
    topics = ApplicationTopics({0: frozenset({"lines"}), 1: frozenset({"shop-words-repartition"})})
    silent = DescribedMember(
        member_id="java", partitions=(TopicPartition("lines", 1), TopicPartition("shop-words-repartition", 0))
    )
    telling = DescribedMember(member_id="ours", roles=Roles(), partitions=(TopicPartition("lines", 0),))
    group = DescribedGroup(name="shop", kind="classic", state="Stable", members=(silent, telling))
    found = with_tasks(group, topics)
    assert [member.roles for member in found.members] == [
        Roles(frozenset({TaskId(0, 1), TaskId(1, 0)})),
        Roles(),
    ]
    assert with_tasks(group, ApplicationTopics()) == group
