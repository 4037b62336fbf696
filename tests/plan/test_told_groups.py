"""The order of co-partitioned topics, as Java's hash sets have it; what is expected was printed by Java."""

import pytest

from headrace.plan.told_groups import java_hash, told_groups


@pytest.mark.parametrize(
    ("text", "expected"), [("", 0), ("hello", 99162322), ("polygenelubricants", 0x80000000), ("𝄞", 1772394)]
)
def test_texts_have_javas_hashes(text: str, expected: int) -> None:
    assert java_hash(text) == expected


def told(*sources: str) -> list[list[str]]:
    """Groups where each source reads the topic of its own name."""
    return [list(group) for group in told_groups([names.split() for names in sources], lambda name: [name])]


def test_a_source_that_is_not_there_has_no_topics() -> None:
    topics = {"one": ["a", "b"], "two": ["c"]}
    assert told_groups([["one", "gone"], ["two"]], lambda name: topics.get(name, [])) == (("a", "b"), ("c",))


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (
            ["topic-11 topic-12 topic-2", "topic-0 topic-12 topic-4 topic-7"],
            [["topic-7", "topic-0", "topic-2", "topic-11", "topic-4", "topic-12"]],
        ),
        (["topic-11", "topic-7 topic-8", "topic-3"], [["topic-7", "topic-8"], ["topic-3"], ["topic-11"]]),
        (
            [
                "topic-10 topic-3 topic-7 topic-8",
                "topic-0 topic-13 topic-5 topic-8",
                "topic-0 topic-1 topic-3",
                "topic-0 topic-10 topic-11 topic-12 topic-2",
                "topic-1 topic-10 topic-13 topic-5",
            ],
            [
                [
                    *("topic-13", "topic-7", "topic-8", "topic-0", "topic-1", "topic-2", "topic-10"),
                    *("topic-3", "topic-11", "topic-5", "topic-12"),
                ]
            ],
        ),
    ],
)
def test_groups_and_topics_are_in_the_order_of_javas_sets(
    sources: list[str], expected: list[list[str]]
) -> None:
    assert told(*sources) == expected
