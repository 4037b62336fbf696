"""What a group is told of an application: topics, what they belong to, and tasks."""

from datetime import timedelta

import headrace as hr
from headrace import stores
from headrace.base.ids import TaskId, TopicPartition
from headrace.group.application import GroupApplication, InternalTopic
from headrace.group.members import TaskFacts
from headrace.plan.group_application import group_application
from headrace.plan.plan import make_plan


def described(builder: hr.StreamsBuilder, **existing: int) -> GroupApplication:
    topology = builder.build()
    return group_application(topology, make_plan(topology, existing, "app"), "app")


REPARTITION = {
    "cleanup.policy": "delete",
    "segment.bytes": "52428800",
    "retention.ms": "-1",
    "message.timestamp.type": "CreateTime",
}
CHANGELOG = {"cleanup.policy": "compact", "message.timestamp.type": "CreateTime"}


def rekeyed_count(partitions: int | None = None) -> hr.StreamsBuilder:
    builder = hr.StreamsBuilder()
    stream = builder.stream("in").select_key(lambda k, v: v, key=bytes)
    stream.repartition(name="by", partitions=partitions).group_by_key().count(store="counts")
    return builder


def test_a_repartition_topic_is_written_by_one_part_and_read_by_another() -> None:
    first, second = described(rekeyed_count(), **{"in": 3}).subtopologies
    assert (first.id, second.id) == (0, 1)
    assert first.source_topics == {"in"}
    assert first.repartition_sinks == {"app-by-repartition"}
    assert (first.changelogs, first.is_stateful) == ((), False)
    assert second.source_topics == frozenset()
    assert second.repartition_sources == (InternalTopic("app-by-repartition", REPARTITION),)
    assert second.changelogs == (InternalTopic("app-counts-changelog", CHANGELOG),)
    assert second.is_stateful
    # A repartition topic that is read alone is in no group with itself.
    assert second.copartition_groups == ()


def test_a_partition_count_that_was_asked_for_is_told() -> None:
    second = described(rekeyed_count(5), **{"in": 3}).subtopologies[1]
    assert second.repartition_sources[0].partitions == 5


def test_topics_that_are_joined_belong_together() -> None:
    builder = hr.StreamsBuilder()
    stream = builder.stream("clicks").repartition(name="by")
    stream.join(builder.table("users"), lambda a, b: a, value=bytes, name="J").to("out")
    joins = described(builder, clicks=2, users=2).subtopologies[1]
    assert joins.copartition_groups == (("app-by-repartition", "users"),)
    assert joins.topics_read == {"app-by-repartition", "users"}


def test_a_changelog_of_windows_has_their_retention() -> None:
    builder = hr.StreamsBuilder()
    windows = hr.TimeWindows(timedelta(minutes=1), grace=timedelta(0))
    builder.stream("in").group_by_key().windowed_by(windows).count(store="windows")
    (topic,) = described(builder, **{"in": 1}).subtopologies[0].changelogs
    assert topic.config["cleanup.policy"] == "compact,delete"
    assert int(topic.config["retention.ms"]) > 86_400_000


def test_a_global_table_is_no_part_of_it() -> None:
    builder = hr.StreamsBuilder()
    table = builder.global_table(hr.Topic("all", value=bytes), store="all")
    builder.stream("in").join(table, lambda a, b: a, on=lambda k, v: k, value=bytes).to("out")
    application = described(builder, **{"in": 2, "all": 7})
    assert [each.source_topics for each in application.subtopologies] == [frozenset({"in"})]
    assert application.partitions == {"in": 2}


def test_a_store_without_a_changelog_makes_no_task_stateful() -> None:
    builder = hr.StreamsBuilder()
    store = stores.key_value("counts", key=str, value=int, logging=False)
    builder.stream("in").group_by_key().count(store=store)
    assert not described(builder, **{"in": 1}).subtopologies[0].is_stateful


def test_tasks_know_their_inputs_and_whether_they_have_state() -> None:
    builder = rekeyed_count()
    builder.stream("a").merge(builder.stream("b")).to("out")
    application = described(builder, **{"in": 2, "a": 1, "b": 2})
    stateful = {task for task, facts in application.facts().items() if facts == TaskFacts(True)}
    assert stateful == {TaskId(1, 0), TaskId(1, 1)}
    assert list(application.inputs(TaskId(1, 1))) == [TopicPartition("app-by-repartition", 1)]
    assert list(application.inputs(TaskId(2, 0))) == [TopicPartition("a", 0), TopicPartition("b", 0)]
    assert list(application.inputs(TaskId(2, 1))) == [TopicPartition("b", 1)]
    assert application.source_topics == {"in", "a", "b"}
