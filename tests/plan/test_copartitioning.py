"""Where one repartition topic serves several joins: all that meets it needs one partition count."""

from typing import Literal

import pytest

import headrace as hr
from headrace.plan.plan import make_plan

IN = hr.Topic("in", key=str, value=str)
USERS, SHOPS = hr.Topic("users", key=str, value=str), hr.Topic("shops", key=str, value=str)
REFUSED = r"^cannot join 'shops' \(8 partitions.* with 'users' \(4, "


@pytest.mark.parametrize("optimize", ["none", "all"])
def test_joins_of_a_rekeyed_stream_with_topics_of_unequal_counts_are_refused(
    optimize: Literal["none", "all"],
) -> None:
    builder = hr.StreamsBuilder(optimize=optimize)
    rekeyed = builder.stream(IN).select_key(lambda key, value: value, key=str)
    for table in (USERS, SHOPS):
        rekeyed.join(builder.table(table), lambda one, two: one, value=str).to(f"out-{table.name}")
    topology = builder.build()
    assert len(topology.repartition_topics) == 1
    with pytest.raises(hr.TopologyError, match=REFUSED):
        make_plan(topology, {"in": 2, "users": 4, "shops": 8}, "app")
    plan = make_plan(topology, {"in": 2, "users": 4, "shops": 4}, "app")
    assert {topic.partitions for topic in plan.internal_topics} == {4}


def test_joins_of_tables_of_one_group_with_topics_of_unequal_counts_are_refused() -> None:
    builder = hr.StreamsBuilder()
    grouped = builder.stream(IN).group_by(lambda key, value: value, key=str, name="by")
    for table in (USERS, SHOPS):
        counts = grouped.count()
        counts.join(builder.table(table), lambda one, two: two, value=str).to_stream().to(f"out-{table.name}")
    topology = builder.build()
    assert len(topology.repartition_topics) == 1
    with pytest.raises(hr.TopologyError, match=REFUSED):
        make_plan(topology, {"in": 2, "users": 4, "shops": 8}, "app")
