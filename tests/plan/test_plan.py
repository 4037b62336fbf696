"""From partition counts to tasks and internal topics."""

import pytest

import headrace as hr
from headrace import stores
from headrace.base.ids import TaskId
from headrace.log.port import TopicSpec
from headrace.plan.plan import make_plan


def rekeyed_count(partitions: int | None = None) -> hr.Topology:
    builder = hr.StreamsBuilder()
    stream = builder.stream("in").select_key(lambda k, v: v, key=bytes)
    stream.repartition(name="by", partitions=partitions).group_by_key().count(store="counts")
    return builder.build()


def join(partitions: int | None = None) -> hr.Topology:
    builder = hr.StreamsBuilder()
    stream = builder.stream("clicks")
    if partitions is not None:
        stream = stream.repartition(name="by", partitions=partitions)
    stream.join(builder.table("users"), lambda a, b: a, value=bytes, name="J").to("out")
    return builder.build()


def test_tasks_are_as_many_as_the_largest_topic_has_partitions() -> None:
    builder = hr.StreamsBuilder()
    builder.stream("a").merge(builder.stream("b")).to("out")
    plan = make_plan(builder.build(), {"a": 2, "b": 3}, "app")
    assert plan.tasks == (TaskId(0, 0), TaskId(0, 1), TaskId(0, 2))


def test_repartition_topic_takes_the_upstream_count() -> None:
    plan = make_plan(rekeyed_count(), {"in": 3}, "app")
    assert [(topic.name, topic.partitions) for topic in plan.internal_topics] == [
        ("app-by-repartition", 3),
        ("app-counts-changelog", 3),
    ]


def test_repartition_topic_takes_its_own_count() -> None:
    plan = make_plan(rekeyed_count(partitions=5), {"in": 3}, "app")
    assert plan.partitions == {
        "in": 3,
        "app-by-repartition": 5,
        "app-counts-changelog": 5,
    }
    assert len(plan.tasks) == 8


def test_repartition_topics_have_kafkas_properties() -> None:
    plan = make_plan(rekeyed_count(), {"in": 1}, "app")
    assert plan.internal_topics[0] == TopicSpec(
        "app-by-repartition",
        1,
        {
            "cleanup.policy": "delete",
            "segment.bytes": "52428800",
            "retention.ms": "-1",
            "message.timestamp.type": "CreateTime",
        },
    )


def test_changelogs_are_compacted() -> None:
    plan = make_plan(rekeyed_count(), {"in": 1}, "app")
    assert dict(plan.internal_topics[1].config) == {
        "cleanup.policy": "compact",
        "message.timestamp.type": "CreateTime",
    }


def test_windowed_changelog_keeps_a_day_longer_than_the_store() -> None:
    builder = hr.StreamsBuilder()
    windows = hr.TimeWindows("5m", grace="0s")
    builder.stream("in").group_by_key().windowed_by(windows).count(store="counts")
    plan = make_plan(builder.build(), {"in": 1}, "app")
    assert dict(plan.internal_topics[0].config) == {
        "cleanup.policy": "compact,delete",
        "retention.ms": "86700000",
        "message.timestamp.type": "CreateTime",
    }


def test_windowed_changelog_keeps_as_much_longer_as_is_asked_for() -> None:
    builder = hr.StreamsBuilder()
    windows = hr.TimeWindows("5m", grace="0s")
    builder.stream("in").group_by_key().windowed_by(windows).count(store="counts")
    (changelog,) = make_plan(
        builder.build(), {"in": 1}, "app", window_additional_retention_ms=1_000
    ).internal_topics
    assert changelog.config["retention.ms"] == "301000"


def test_changelog_takes_the_users_properties() -> None:
    builder = hr.StreamsBuilder()
    store = stores.key_value("counts", key=str, value=int, logging={"min.insync.replicas": "2"})
    builder.stream("in").group_by_key().count(store=store)
    plan = make_plan(builder.build(), {"in": 1}, "app")
    assert plan.internal_topics[0].config["min.insync.replicas"] == "2"


def test_store_without_logging_has_no_changelog() -> None:
    builder = hr.StreamsBuilder()
    builder.stream("in").group_by_key().count(
        store=stores.key_value("counts", key=str, value=int, logging=False)
    )
    assert make_plan(builder.build(), {"in": 1}, "app").internal_topics == ()


def test_table_restored_from_its_topic_has_no_changelog() -> None:
    builder = hr.StreamsBuilder(optimize="all")
    builder.table("in", store="S")
    assert make_plan(builder.build(), {"in": 1}, "app").internal_topics == ()


def test_joined_topics_of_unequal_counts_are_refused() -> None:
    with pytest.raises(hr.TopologyError) as caught:
        make_plan(join(), {"clicks": 6, "users": 4}, "app")
    assert str(caught.value) == (
        "cannot join 'clicks' (6 partitions, read by KSTREAM-SOURCE-0000000000 at test_plan.py:21) with 'users' (4, "
        "read by KSTREAM-SOURCE-0000000002 at test_plan.py:24): co-partitioned topics need equal counts; call "
        "repartition() on one of them, a table by to_stream().repartition(...).to_table()"
    )


def test_generated_repartition_takes_the_count_of_what_it_is_joined_with() -> None:
    builder = hr.StreamsBuilder()
    stream = builder.stream("clicks").select_key(lambda k, v: v, key=bytes)
    table = builder.table("users", key=bytes)
    stream.join(table, lambda a, b: a, value=bytes, name="J").to("out")
    plan = make_plan(builder.build(), {"clicks": 6, "users": 4}, "app")
    assert plan.partitions["app-J-repartition"] == 4


def test_repartition_with_another_count_than_what_it_is_joined_with_is_refused() -> None:
    with pytest.raises(hr.TopologyError, match=r"change the partitions= of repartition\(\) there"):
        make_plan(join(partitions=5), {"clicks": 6, "users": 4}, "app")


def test_missing_topics_are_listed_with_their_readers() -> None:
    with pytest.raises(hr.UnknownTopicError) as caught:
        make_plan(join(), {}, "app")
    assert str(caught.value) == (
        "there is no topic 'clicks' (read by KSTREAM-SOURCE-0000000000, test_plan.py:21), 'users' (read by "
        "KSTREAM-SOURCE-0000000002, test_plan.py:24); create it before the application starts"
    )


def test_repartitions_after_each_other_take_the_count_of_the_first_source() -> None:
    builder = hr.StreamsBuilder()
    builder.stream("in").repartition(name="one").repartition(name="two").to("out")
    plan = make_plan(builder.build(), {"in": 7}, "app")
    assert plan.partitions == {"in": 7, "app-one-repartition": 7, "app-two-repartition": 7}


def test_pattern_reads_what_matches_and_nobody_else_reads() -> None:
    builder = hr.StreamsBuilder()
    builder.stream(hr.Pattern("a.*")).to("out")
    builder.stream("a1").to("other")
    topology = builder.build().with_topics(["a1", "a2", "a3", "b"])
    plan = make_plan(topology, {"a1": 1, "a2": 2, "a3": 1, "b": 9}, "app")
    assert plan.tasks == (TaskId(0, 0), TaskId(0, 1), TaskId(1, 0))


def test_changelog_whose_name_is_too_long_is_told_with_its_store() -> None:
    with pytest.raises(
        hr.TopologyError, match=r"the changelog of store 'counts' cannot be made: .* at most 249 are possible"
    ):
        make_plan(rekeyed_count(), {"in": 1}, "a" * 233)


def test_repartition_topic_whose_name_is_too_long_is_told() -> None:
    builder = hr.StreamsBuilder()
    builder.stream("in").repartition(name="by", partitions=1).to("out")
    with pytest.raises(
        hr.TopologyError, match=r"the repartition topic 'by-repartition' cannot be made: .* at most 249"
    ):
        make_plan(builder.build(), {"in": 1}, "a" * 235)
