"""What has become of the topics since a plan was made with them."""

import pytest

import headrace as hr
from headrace.base.errors import UnknownTopicError
from headrace.plan.change import changes, is_own_internal


def named() -> hr.Topology:
    builder = hr.StreamsBuilder()
    builder.stream("in").to("out")
    return builder.build()


def matched() -> hr.Topology:
    builder = hr.StreamsBuilder()
    builder.stream(hr.Pattern("in.*")).to("out")
    return builder.build()


def found(topology: hr.Topology, existing: dict[str, int], *, read: dict[str, int]) -> tuple[str, ...]:
    return changes(topology, read=read, written={"out": 2}, existing=existing, application_id="app")


def test_topics_that_are_as_they_were_change_nothing() -> None:
    assert found(named(), {"in": 2, "out": 2, "other": 7}, read={"in": 2}) == ()


def test_partitions_added_to_a_source_are_a_change() -> None:
    assert found(named(), {"in": 4, "out": 2}, read={"in": 2}) == ("topic 'in' has 4 partitions, and had 2",)


def test_partitions_added_to_a_sink_are_a_change() -> None:
    assert found(named(), {"in": 2, "out": 3}, read={"in": 2}) == ("topic 'out' has 3 partitions, and had 2",)


@pytest.mark.parametrize(
    "topic",
    [
        "app-s-changelog",
        "app-by-repartition",
        "app-j-subscription-registration-topic",
        "app-j-subscription-response-topic",
        "app-KTABLE-FK-JOIN-SUBSCRIPTION-REGISTRATION-0000000006-topic",
        "app-KTABLE-FK-JOIN-SUBSCRIPTION-RESPONSE-0000000014-topic",
    ],
)
def test_internal_topics_are_the_applications_own(topic: str) -> None:
    assert is_own_internal(topic, "app")
    assert not is_own_internal(topic, "other")


def test_topic_of_a_user_is_not_internal() -> None:
    assert not is_own_internal("app-orders-topic", "app")


def test_topic_that_newly_matches_a_pattern_is_a_change() -> None:
    (told,) = found(matched(), {"in-1": 2, "in-2": 2, "out": 2}, read={"in-1": 2})
    assert told.startswith("topic 'in-2' is new, and matches the pattern of KSTREAM-SOURCE-0000000000 (")


def test_topic_of_a_pattern_that_is_gone_is_a_change() -> None:
    (told,) = found(matched(), {"in-1": 2, "out": 2}, read={"in-1": 2, "in-2": 1})
    assert told == "topic 'in-2' is gone, which a pattern matched"


def test_sink_that_is_gone_is_left_to_the_writer() -> None:
    assert found(named(), {"in": 2}, read={"in": 2}) == ()


def test_source_that_is_gone_ends_the_application_with_the_place_and_a_way_on() -> None:
    with pytest.raises(UnknownTopicError) as caught:
        found(named(), {"out": 2}, read={"in": 2})
    text = str(caught.value)
    assert text.startswith("topic 'in' (read by KSTREAM-SOURCE-0000000000, ")
    assert text.endswith(
        "was deleted while the application ran; what was not read of it is lost. To go on, create it again with as "
        "many partitions, then start the application"
    )


def test_internal_topics_of_the_application_match_no_pattern() -> None:
    builder = hr.StreamsBuilder()
    builder.stream(hr.Pattern(".*")).to("out")
    existing = {"in": 1, "out": 2, "app-s-changelog": 1, "app-by-repartition": 1}
    told = changes(
        builder.build(), read={"in": 1, "out": 2}, written={"out": 2}, existing=existing, application_id="app"
    )
    assert told == ()
