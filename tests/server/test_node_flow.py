"""What goes through nodes that nobody counts, as far as it follows from what is counted."""

import headrace as hr
from headrace.server.node_flow import records_given

SOURCE, FILTER, TAXED, SINK = (
    "KSTREAM-SOURCE-0000000000",
    "KSTREAM-FILTER-0000000001",
    "KSTREAM-MAPVALUES-0000000002",
    "KSTREAM-SINK-0000000003",
)


def topology() -> hr.Topology:
    """A filter between what is read and what is written."""
    builder = hr.StreamsBuilder()
    orders = builder.stream(hr.Topic("orders", value=str)).filter(lambda key, value: value != "")
    orders.map_values(lambda value: value, value=str).to("taxed")
    return builder.build()


def test_what_a_source_has_read_goes_on_but_for_what_it_dropped() -> None:
    found = records_given(topology(), {SOURCE: 10}, dropped={SOURCE: 1}, written={})
    assert found == {SOURCE: 10, FILTER: 9}


def test_what_is_written_went_through_all_above_that_keep_records() -> None:
    found = records_given(topology(), {SOURCE: 10}, dropped={SOURCE: 1, TAXED: 2}, written={"taxed": 4})
    assert found == {SOURCE: 10, FILTER: 9, TAXED: 6, SINK: 4}


def test_what_is_counted_is_not_guessed() -> None:
    found = records_given(topology(), {SOURCE: 10, TAXED: 5}, dropped={}, written={"taxed": 4})
    assert found == {SOURCE: 10, FILTER: 10, TAXED: 5, SINK: 4}


def test_a_topic_that_two_sinks_write_tells_of_neither() -> None:
    builder = hr.StreamsBuilder()
    orders = builder.stream(hr.Topic("orders", value=str)).filter(lambda key, value: True)
    orders.to("all")
    orders.filter(lambda key, value: False).to("all")
    found = records_given(builder.build(), {SOURCE: 10}, dropped={}, written={"all": 12})
    assert found == {SOURCE: 10, FILTER: 10}


def test_branches_share_what_comes_and_a_merge_has_all_of_it() -> None:
    builder = hr.StreamsBuilder()
    left = builder.stream(hr.Topic("left", value=str))
    right = builder.stream(hr.Topic("right", value=str))
    merged = left.merge(right).peek(lambda key, value: None)
    for branch in merged.split().branch(lambda key, value: value == "a").default_branch().values():
        branch.map_values(str.upper, value=str).to("out")
    built = builder.build()
    sources = [name for name in built.nodes if "SOURCE" in name]
    found = records_given(built, dict(zip(sources, (3, 4))), dropped={}, written={})
    by_kind = {name.split("-")[1]: count for name, count in found.items()}
    assert (by_kind["MERGE"], by_kind["PEEK"], by_kind["BRANCH"]) == (7, 7, 7)
    assert "MAPVALUES" not in by_kind
