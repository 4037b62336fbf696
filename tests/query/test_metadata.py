"""Which instance has what: from what a group tells of its endpoints to hosts, stores and the place of a key."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

import headrace as hr
from headrace import stores
from headrace.base.errors import ProductionError
from headrace.base.ids import TopicPartition
from headrace.base.murmur2 import partition_for
from headrace.engine.task_places import PlannedTasks
from headrace.group.membership import EndpointTasks
from headrace.plan.plan import make_plan
from headrace.query.metadata import KeyQueryMetadata, key_metadata, streams_metadata

COUNTS = stores.key_value("counts", key=str, value=int)
PRICES = stores.key_value("prices", key=str, value=str)
Endpoints = Mapping[tuple[str, int], EndpointTasks]
ONE, OTHER = hr.HostInfo("one", 1), hr.HostInfo("other", 2)


def counting(**how: Any) -> hr.Topology:
    """Reads `in`, whose records it counts by their values, in `app-by-repartition`."""
    builder = hr.StreamsBuilder()
    by = builder.stream(hr.Topic("in", value=str)).select_key(lambda key, value: value, key=str)
    by.repartition(name="by", **how).group_by_key().count(store=COUNTS).to_stream().to("out")
    builder.global_table(hr.Topic("prices", value=str), store=PRICES)
    return builder.build()


def planned(topology: hr.Topology, partitions: int = 4) -> PlannedTasks:
    plan = make_plan(topology, dict.fromkeys(("in", "more", "prices", "out"), partitions), "app")
    return PlannedTasks(topology, plan.partitions)


def split(topic: str, partitions: int = 4) -> Endpoints:
    """Each partition is with one of two instances, and followed by the other."""

    def half(first: int) -> Mapping[str, Sequence[int]]:
        return {topic: range(first, partitions, 2)}

    return {ONE: EndpointTasks(half(0), half(1)), OTHER: EndpointTasks(half(1), half(0))}


def find(
    topology: hr.Topology, key: object, topic: str, store: str = "counts", **how: Any
) -> KeyQueryMetadata:
    return key_metadata(planned(topology), split(topic), "app", store, key, how.get("partitioner"))


def test_an_instance_has_the_stores_of_its_tasks_and_the_global_ones() -> None:
    endpoints: Endpoints = {
        ONE: EndpointTasks({"in": [0, 1]}),
        OTHER: EndpointTasks({"app-by-repartition": [0]}, {"in": [2]}),
    }
    one, other = streams_metadata(planned(counting()), endpoints, "app")
    assert (one.host_info, other.host_info) == (ONE, OTHER)
    assert one.state_store_names == {"prices"}
    assert one.topic_partitions == {TopicPartition("in", 0), TopicPartition("in", 1)}
    assert other.state_store_names == {"counts", "prices"}
    assert other.standby_topic_partitions == {TopicPartition("in", 2)}
    assert other.standby_state_store_names == frozenset()


def test_a_follower_has_the_stores_of_what_it_follows_as_standby_ones() -> None:
    endpoints: Endpoints = {ONE: EndpointTasks({}, {"app-by-repartition": [3]})}
    (one,) = streams_metadata(planned(counting()), endpoints, "app")
    assert one.standby_state_store_names == {"counts"}
    assert one.state_store_names == {"prices"}


@pytest.mark.parametrize("key", ["ann", "bob", "cid", "dan"])
def test_a_key_is_with_whoever_runs_the_partition_that_its_bytes_lead_to(key: str) -> None:
    partition = partition_for(key.encode(), 4)
    has, follows = (ONE, OTHER) if partition % 2 == 0 else (OTHER, ONE)
    assert find(counting(), key, "app-by-repartition") == KeyQueryMetadata(
        has, frozenset({follows}), partition
    )


def test_a_partitioner_of_the_repartition_topic_says_where_a_key_is() -> None:
    topology = counting(partitioner=lambda topic, key, value, partitions: len(key) % partitions)
    assert find(topology, "three", "app-by-repartition").partition == 1
    assert find(topology, "th", "app-by-repartition").partition == 2


def test_a_partitioner_that_leaves_it_open_leaves_it_to_the_key() -> None:
    topology = counting(partitioner=lambda topic, key, value, partitions: None)
    assert find(topology, "ann", "app-by-repartition").partition == partition_for(b"ann", 4)


def test_a_partitioner_may_be_given_with_the_question_and_has_no_value() -> None:
    asked: list[object] = []

    def third(*given: object) -> int:
        asked.append(given)
        return 3

    assert find(counting(), "ann", "app-by-repartition", partitioner=third).partition == 3
    assert asked == [("app-by-repartition", "ann", None, 4)]


def test_a_partitioner_that_sends_a_key_to_several_partitions_tells_no_place() -> None:
    topology = counting(partitioner=lambda topic, key, value, partitions: [0, 2])
    with pytest.raises(hr.TopologyError, match="to 2 partitions"):
        find(topology, "ann", "app-by-repartition")


def test_a_partitioner_that_names_no_partition_of_the_topic_is_refused() -> None:
    with pytest.raises(ProductionError, match="partitions 0 to 3"):
        find(counting(), "ann", "app-by-repartition", partitioner=lambda *given: 4)


def test_keys_that_others_place_need_a_partitioner_in_the_question() -> None:
    builder = hr.StreamsBuilder()
    builder.table(hr.Topic("in", value=str, partitioned_by="other"), store="counts")
    topology = builder.build()
    with pytest.raises(hr.TopologyError, match=r"others place the keys of topic 'in'.*partitioner="):
        find(topology, "ann", "in")
    assert find(topology, "ann", "in", partitioner=lambda *given: 2).partition == 2


def test_a_windowed_store_is_asked_for_the_key_without_its_window() -> None:
    builder = hr.StreamsBuilder()
    windowed = (
        builder.stream(hr.Topic("in", value=str)).group_by_key().windowed_by(hr.TimeWindows("1m", grace="0s"))
    )
    windowed.count(store=stores.window("counts", key=str, value=int))
    assert find(builder.build(), "ann", "in").partition == partition_for(b"ann", 4)


def test_a_windowed_key_is_placed_without_its_window() -> None:
    builder = hr.StreamsBuilder()
    windowed = (
        builder.stream(hr.Topic("in", value=str)).group_by_key().windowed_by(hr.TimeWindows("1m", grace="0s"))
    )
    minutes = windowed.count(store=stores.window("minutes", key=str, value=int))
    minutes.to_stream().repartition(name="by").to_table(store="counts")
    key = hr.Windowed("ann", hr.Window(0, 60_000))
    assert find(builder.build(), key, "app-by-repartition").partition == partition_for(b"ann", 4)


def test_a_row_of_a_join_by_foreign_key_is_where_its_own_key_is() -> None:
    builder = hr.StreamsBuilder()
    orders = builder.table(hr.Topic("in", value=str))
    orders.join(
        builder.table(hr.Topic("more", value=str)),
        lambda order, customer: order + customer,
        on=lambda order: order,
        store=stores.key_value("counts", key=str, value=str),
    )
    assert find(builder.build(), "ann", "in").partition == partition_for(b"ann", 4)


def test_each_instance_has_all_of_a_global_store() -> None:
    assert find(counting(), "ann", "in", "prices") == KeyQueryMetadata(ONE, frozenset(), -1)


def test_a_key_that_nobody_has_is_an_error_that_names_application_server() -> None:
    for store in ("counts", "prices"):
        with pytest.raises(hr.StoreUnavailableError, match=r"application\.server"):
            key_metadata(planned(counting()), {}, "app", store, "ann", None)


def test_a_key_of_another_type_is_refused() -> None:
    with pytest.raises(hr.SerializationError):
        find(counting(), 7, "app-by-repartition")
    with pytest.raises(hr.TopologyError, match="None"):
        find(counting(), None, "app-by-repartition")
