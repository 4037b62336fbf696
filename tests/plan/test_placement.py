"""What places the keys of a store, before and after."""

import pytest

import headrace as hr
from headrace.plan.placement import Placement, placed_otherwise, placements

DEFAULT = Placement("Kafka's default partitioner")
READ = Placement("Kafka's default partitioner", "in")
FOREIGN = Placement("others", "in")
OWN = Placement("by_region()")


@pytest.mark.parametrize(
    ("old", "new", "is_moved"),
    [
        (READ, DEFAULT, False),
        (DEFAULT, READ, False),
        (READ, FOREIGN, False),  # what is declared of a topic changes nothing in it
        (READ, Placement("Kafka's default partitioner", "other"), False),
        (FOREIGN, DEFAULT, True),
        (FOREIGN, OWN, True),
        (FOREIGN, Placement("others", "other"), True),
        (OWN, OWN, False),
        (OWN, DEFAULT, True),
        (DEFAULT, OWN, True),
    ],
)
def test_rows_lie_elsewhere_where_something_else_places_keys(
    old: Placement, new: Placement, is_moved: bool
) -> None:
    assert bool(list(placed_otherwise([old], [new], 2))) == is_moved
    assert not list(placed_otherwise([old], [new], 1))


def test_what_is_not_known_of_before_says_nothing() -> None:
    assert not list(placed_otherwise([], [OWN], 2))


def test_the_nearest_topics_above_a_store_place_its_keys() -> None:
    def by_region(topic: str, key: str, value: str, partitions: int) -> int:
        return 0

    builder = hr.StreamsBuilder()
    orders = builder.stream(hr.Topic("orders", value=str, partitions=2, partitioned_by="other"))
    orders.group_by_key().count(store="orders")
    orders.repartition(partitioner=by_region, partitions=2, name="way").group_by_key().count(store="regions")
    orders.group_by(lambda key, value: value, key=str).count(store="values")
    topology = builder.build()
    found = {
        store: placements(
            topology, [name for name, node in topology.nodes.items() if store in getattr(node, "stores", ())]
        )
        for store in ("orders", "regions", "values")
    }
    assert found == {
        "orders": (Placement("others", "orders"),),
        "regions": (Placement("by_region()"),),
        "values": (DEFAULT,),
    }
