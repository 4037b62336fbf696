"""To which topics dead letters went is remembered beside the state, for whoever shows them."""

import logging
from pathlib import Path

import pytest

from headrace.engine.letter_topics import LetterTopics, remembered_letter_topics


def test_topics_are_remembered_by_who_comes_after(tmp_path: Path) -> None:
    first = LetterTopics(tmp_path)
    first.note("late")
    first.note("broken")
    first.note("late")
    assert remembered_letter_topics(tmp_path) == ["broken", "late"]
    LetterTopics(tmp_path).note("odd")
    assert remembered_letter_topics(tmp_path) == ["broken", "late", "odd"]


def test_workers_that_share_a_directory_have_a_file_each(tmp_path: Path) -> None:
    LetterTopics(tmp_path, 1).note("a")
    LetterTopics(tmp_path, 2).note("b")
    assert remembered_letter_topics(tmp_path) == ["a", "b"]


def test_a_handler_that_names_ever_new_topics_is_not_followed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    topics = LetterTopics(tmp_path)
    with caplog.at_level(logging.WARNING):
        for number in range(200):
            topics.note(f"topic-{number:03}")
    assert len(remembered_letter_topics(tmp_path)) == 100
    assert len(caplog.records) == 1


def test_what_is_no_topic_in_a_file_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "dead-letter-topics").write_text("good\nno topic at all\n../up\n")
    assert remembered_letter_topics(tmp_path) == ["good"]
    (tmp_path / "dead-letter-topics").write_bytes(b"\xff\xfe")
    assert remembered_letter_topics(tmp_path) == []


def test_a_disk_that_takes_nothing_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        LetterTopics(tmp_path / "missing").note("late")
    assert "cannot remember that topic 'late' has dead letters" in caplog.text
