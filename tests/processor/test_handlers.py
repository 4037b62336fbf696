"""Dead letters: the record as it was read, and what happened in headers that Kafka Streams names."""

import pytest

from headrace.processor.handlers import Failure, Reaction, dead_letter_record, log_and_continue


def failure(**changes: object) -> Failure:
    fields: dict[str, object] = {
        "stage": "process",
        "node": "KSTREAM-MAP-0000000001 (shop.py:41)",
        "task_id": "0_1",
        "topic": "orders",
        "partition": 1,
        "offset": 42,
        "timestamp": 7,
        "headers": (("own", b"1"),),
        "key": b"k",
        "value": b"v",
    }
    try:
        raise ValueError("no such item")
    except ValueError as error:
        return Failure(**{**fields, "error": error, **changes})  # type: ignore[arg-type]  # fields of their types


def test_dead_letter_is_the_record_as_it_was_read() -> None:
    record = dead_letter_record(failure())
    assert (record.key, record.value, record.timestamp) == (b"k", b"v", 7)


def test_dead_letter_tells_what_happened_behind_the_records_own_headers() -> None:
    headers = dead_letter_record(failure()).headers
    assert [name for name, _ in headers] == [
        "own",
        "__streams.errors.exception",
        "__streams.errors.message",
        "__streams.errors.stacktrace",
        "__streams.errors.topic",
        "__streams.errors.partition",
        "__streams.errors.offset",
        "__headrace.errors.node",
        "__headrace.errors.stage",
    ]
    found = dict(headers)
    stack = found.pop("__streams.errors.stacktrace")
    assert stack is not None and b"test_handlers.py" in stack
    assert found == {
        "own": b"1",
        "__streams.errors.exception": b"ValueError",
        "__streams.errors.message": b"no such item",
        "__streams.errors.topic": b"orders",
        "__streams.errors.partition": b"1",
        "__streams.errors.offset": b"42",
        "__headrace.errors.node": b"KSTREAM-MAP-0000000001 (shop.py:41)",
        "__headrace.errors.stage": b"process",
    }


def test_punctuation_has_no_record() -> None:
    record = dead_letter_record(failure(topic="", offset=-1, timestamp=-1, headers=(), key=None, value=None))
    assert (record.key, record.value, record.timestamp) == (None, None, 0)
    assert dict(record.headers)["__streams.errors.topic"] is None


def test_message_that_is_no_proper_text_is_written_nevertheless() -> None:
    headers = dead_letter_record(failure(error=OSError("\udcff"))).headers
    assert dict(headers)["__streams.errors.message"] == b"\\udcff"


class _UnspeakableError(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


def test_error_that_cannot_be_put_into_words_is_written_nevertheless() -> None:
    headers = dict(dead_letter_record(failure(error=_UnspeakableError())).headers)
    assert headers["__streams.errors.message"] == b"its text cannot be told, __str__ raises ValueError"
    assert headers["__streams.errors.exception"] == b"tests.processor.test_handlers._UnspeakableError"


def test_reactions_are_told_apart() -> None:
    assert [Reaction.resume.kind, Reaction.fail.kind, Reaction.retry.kind] == ["resume", "fail", "retry"]
    assert Reaction.dead_letter("dlq") == Reaction("dead_letter", "dlq")


def test_log_names_the_record_or_the_punctuation(caplog: pytest.LogCaptureFixture) -> None:
    log_and_continue(failure())
    log_and_continue(failure(topic="", offset=-1))
    assert caplog.messages == [
        "KSTREAM-MAP-0000000001 (shop.py:41) failed to process a record "
        "(task 0_1, topic orders, partition 1, offset 42)",
        "KSTREAM-MAP-0000000001 (shop.py:41) failed in a punctuation (task 0_1)",
    ]
