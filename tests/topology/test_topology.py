"""A topology as a whole: made by hand, grouped, drawn, and what it refuses."""

import re

import pytest

import headrace as hr
from headrace import stores
from headrace.topology.description import java_hash_order


class Pass(hr.Processor[str, bytes, str, bytes]):
    pass


class Counting(hr.Processor[str, bytes, str, bytes]):
    stores = (stores.key_value("seen", key=str, value=int),)


def test_nodes_that_share_a_store_run_together() -> None:
    store = stores.key_value("shared", key=str, value=str)
    topology = (
        hr.Topology()
        .add_source("s1", "a")
        .add_source("s2", "b")
        .add_processor("p1", Pass, "s1")
        .add_processor("p2", Pass, "s2")
        .add_state_store(store, "p1", "p2")
    )
    assert [subtopology.nodes for subtopology in topology.subtopologies] == [("s1", "s2", "p1", "p2")]


def test_subtopologies_are_numbered_by_their_first_node() -> None:
    topology = (
        hr.Topology()
        .add_source("s1", "a")
        .add_source("s2", "b")
        .add_sink("k2", "y", "s2")
        .add_sink("k1", "x", "s1")
    )
    assert [subtopology.nodes for subtopology in topology.subtopologies] == [("s1", "k1"), ("s2", "k2")]


def test_processors_own_stores_are_added_and_connected() -> None:
    topology = hr.Topology().add_source("s", "a").add_processor("p", Counting, "s")
    assert [spec.name for spec in topology.subtopologies[0].stores] == ["seen"]


def test_store_class_attribute_is_shared_by_two_processors() -> None:
    topology = (
        hr.Topology().add_source("s", "a").add_processor("p", Counting, "s").add_processor("q", Counting, "s")
    )
    assert list(topology.stores) == ["seen"]


def test_parent_that_is_not_there_is_refused() -> None:
    with pytest.raises(hr.TopologyError, match=r"names 'nobody' as a parent, which was not added before it"):
        hr.Topology().add_source("s", "a").add_sink("k", "x", "nobody")


def test_sink_has_no_children() -> None:
    with pytest.raises(hr.TopologyError, match="sinks have no children"):
        hr.Topology().add_source("s", "a").add_sink("k", "x", "s").add_sink("l", "y", "k")


def test_topic_is_read_by_one_source() -> None:
    with pytest.raises(hr.TopologyError, match=r"s2 .* reads topic 'a', which s1 .* reads already"):
        hr.Topology().add_source("s1", "a").add_source("s2", "a")


def test_store_without_serdes_is_refused() -> None:
    with pytest.raises(hr.TopologyError, match="needs the serde of its value: write value=str"):
        hr.Topology().add_state_store(stores.key_value("s", key=str))


def test_topology_without_source_cannot_run() -> None:
    with pytest.raises(hr.TopologyError, match="reads no topic"):
        hr.Topology().validate()


def test_partitions_are_declared_once() -> None:
    with pytest.raises(hr.TopologyError, match="with 4 partitions here and with 2 elsewhere"):
        hr.Topology().add_source("s", hr.Topic("a", partitions=2)).add_sink(
            "k", hr.Topic("a", partitions=4), "s"
        )


def test_internal_topics_get_the_application_id() -> None:
    builder = hr.StreamsBuilder()
    builder.stream("in").repartition(name="by").to("out")
    topology = builder.build()
    assert topology.decorate("by-repartition", "app") == "app-by-repartition"
    assert topology.decorate("in", "app") == "in"


def test_pattern_without_a_match_is_refused() -> None:
    builder = hr.StreamsBuilder()
    builder.stream(hr.Pattern("a.*")).to("out")
    with pytest.raises(hr.TopologyError, match=r"no topic matches the pattern 'a.\*' \(there are: b\)"):
        builder.build().with_topics(["b"])


def test_topic_of_two_patterns_is_refused() -> None:
    builder = hr.StreamsBuilder()
    builder.stream(hr.Pattern("a.*")).to("out")
    builder.stream(hr.Pattern(".*1")).to("out2")
    with pytest.raises(hr.TopologyError, match="a topic can be read by one source only"):
        builder.build().with_topics(["a1", "a2", "b1"])


def test_resolving_patterns_leaves_the_topology_as_it_was() -> None:
    builder = hr.StreamsBuilder()
    builder.stream(hr.Pattern("a.*")).to("out")
    topology = builder.build()
    assert topology.with_topics(["a1"]).subtopologies[0].source_topics == ("a1",)
    assert topology.subtopologies[0].source_topics == ()


def test_mermaid_graph_has_topics_nodes_and_stores() -> None:
    topology = (
        hr.Topology().add_source("src", "in").add_processor("p", Counting, "src").add_sink("snk", "out", "p")
    )
    assert topology.to_mermaid() == (
        "flowchart TD\n"
        '  subgraph sub0["Sub-topology 0"]\n'
        '    n0["src<br/>test_topology.py:121"]\n'
        '    n1["p<br/>Counting<br/>test_topology.py:121"]\n'
        '    n3["snk<br/>test_topology.py:121"]\n'
        '    s4[("seen")]\n'
        "  end\n"
        '  t2(["in"])\n'
        '  t5(["out"])\n'
        "  n0 --> n1\n"
        "  t2 --> n0\n"
        "  n1 --> n3\n"
        "  n1 --- s4\n"
        "  n3 --> t5\n"
    )


def dear(key: str, value: bytes) -> bool:
    return len(value) > 10


def test_mermaid_boxes_name_the_users_functions_and_their_lines() -> None:
    builder = hr.StreamsBuilder()
    stream = builder.stream("in").filter(dear).map_values(lambda value: value.upper(), value=bytes)
    stream.map_values(bytes.lower, value=bytes).process(Counting, key=str, value=bytes, name="mine").to("out")
    stream.group_by_key().aggregate(dict, lambda k, v, total: total, value=hr.json(object), store="totals")
    assert re.findall(r'n\d+\["(.*)"\]', builder.build().to_mermaid()) == [
        "KSTREAM-SOURCE-0000000000<br/>test_topology.py:147",
        "KSTREAM-FILTER-0000000001<br/>dear()<br/>test_topology.py:147",
        "KSTREAM-MAPVALUES-0000000002<br/>lambda<br/>test_topology.py:147",
        "KSTREAM-MAPVALUES-0000000003<br/>bytes.lower()<br/>test_topology.py:148",
        "mine<br/>Counting<br/>test_topology.py:148",
        "KSTREAM-SINK-0000000004<br/>test_topology.py:148",
        "KSTREAM-AGGREGATE-0000000005<br/>lambda<br/>test_topology.py:149",
    ]


def test_dictionary_holds_what_json_can_hold() -> None:
    topology = hr.Topology().add_source("src", "in").add_sink("snk", "out", "src")
    assert topology.to_dict() == {
        "subtopologies": [
            {
                "id": 0,
                "is_global": False,
                "nodes": [
                    {
                        "name": "src",
                        "declared": "test_topology.py:162",
                        "kind": "source",
                        "topics": ["in"],
                        "pattern": None,
                        "parents": [],
                        "children": ["snk"],
                    },
                    {
                        "name": "snk",
                        "declared": "test_topology.py:162",
                        "kind": "sink",
                        "topic": "out",
                        "parents": ["src"],
                        "children": [],
                    },
                ],
                "stores": [],
            }
        ]
    }


def test_names_come_in_javas_hash_order() -> None:
    assert java_hash_order(["alpha", "beta", "topic-1", "topic-2", "zeta"]) == [
        "zeta",
        "alpha",
        "topic-1",
        "topic-2",
        "beta",
    ]


def test_stores_that_do_not_say_where_they_live_live_where_the_topology_says() -> None:
    topology = hr.Topology(engine="memory").add_source("s", "a").add_processor("p", Counting, "s")
    assert topology.stores["seen"].engine == "memory"
    with pytest.raises(hr.TopologyError, match="'rocksdb' or 'memory' is wanted"):
        hr.Topology(engine="disk")  # type: ignore[arg-type]  # the mistake under test
