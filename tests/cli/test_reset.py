"""`headrace reset` on the embedded log: an application begins anew, and a reset that is killed is finished."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

import headrace as hr
from headrace.base.errors import StateError
from headrace.base.ids import TopicPartition
from headrace.cli.target import load
from headrace.log.embedded import EmbeddedLog
from headrace.log.port import CommittedOffset
from tests.cli.conftest import Command
from tests.streams.waiting import until

LOG = ("--embedded", "words.db")
KILLED = Path(__file__).with_name("killed.py")

RESET = """\
reset of application words on words.db
partition  committed  set to
lines-0            1       0
lines-1            -       0
deleted: internal topics words-counts-changelog, words-counts-repartition, words-minutes-changelog, \
words-minutes-repartition
deleted: local state in .headrace/words
wrote what is to be done to .headrace/words.unfinished
deleted group words
deleted 4 internal topics
committed the offsets of 2 partitions
deleted local state in .headrace/words
done; where instances run on other machines, local state has to be deleted there, too
"""


def committed(group: str = "words") -> Mapping[TopicPartition, CommittedOffset]:
    log = EmbeddedLog.open("words.db")
    try:
        return log.groups.committed(group)
    finally:
        log.close()


def topics() -> set[str]:
    log = EmbeddedLog.open("words.db")
    try:
        return set(log.topics())
    finally:
        log.close()


def run(**expected: int) -> None:
    """Run the application until it has counted so much."""
    streams = hr.Streams(
        load("words:build").topology, application_id="words", embedded_path="words.db", commit_interval_ms=10
    )
    with streams:
        streams.wait_running("20s")
        until(lambda: dict(streams.query("counts").all()) == expected)


BEGUN_ANEW = {TopicPartition("lines", 0): CommittedOffset(0), TopicPartition("lines", 1): CommittedOffset(0)}


def test_an_application_that_was_reset_counts_everything_once_more(counted: Command) -> None:
    before = topics()
    ran = counted("reset", "words:build", *LOG)
    assert (ran.code, ran.out, ran.err) == (0, RESET, "")
    assert committed() == BEGUN_ANEW
    assert before - topics() == {
        "words-counts-changelog",
        "words-counts-repartition",
        "words-minutes-changelog",
        "words-minutes-repartition",
    }
    assert list(Path(".headrace/words").iterdir()) == [Path(".headrace/words/.lock")]
    assert not Path(".headrace/words.unfinished").exists()
    run(a=1, b=2, c=1)


def test_a_dry_run_says_what_would_be_done_and_does_nothing(counted: Command) -> None:
    had = (committed(), topics(), sorted(Path(".headrace").rglob("*")))
    ran = counted("reset", "words:build", "--dry-run", *LOG)
    said = RESET[: RESET.index("wrote")]
    assert (ran.code, ran.out) == (0, f"{said}nothing was done: it was a dry run\n")
    assert (committed(), topics(), sorted(Path(".headrace").rglob("*"))) == had


def test_without_its_topology_an_application_is_known_by_its_group_and_names(counted: Command) -> None:
    ran = counted("reset", "--application-id", "words", *LOG)
    assert ran.code == 0
    # Of the other partition, which is empty, nothing was committed but its beginning.
    assert ran.out == RESET
    run(a=1, b=2, c=1)


def test_offsets_of_topics_that_are_not_reset_are_kept(counted: Command) -> None:
    counted("topics", "create", "others", *LOG)
    log = EmbeddedLog.open("words.db")
    log.groups.commit("words", {TopicPartition("others", 0): CommittedOffset(0, "text")})
    log.close()
    ran = counted("reset", "words:build", "--to-latest", *LOG)
    assert "kept as they are: the offsets of others-0" in ran.lines
    assert committed() == {
        TopicPartition("lines", 0): CommittedOffset(1),
        TopicPartition("lines", 1): CommittedOffset(0),
        TopicPartition("others", 0): CommittedOffset(0, "text"),
    }


def test_only_the_topics_that_are_named_are_reset_and_deleted(counted: Command) -> None:
    had = committed()
    ran = counted(
        "reset", "words:build", "--input-topics", "word-counts", "--internal-topics", "words-counts-changelog",
        "--shift-by", "-1", *LOG,
    )  # fmt: skip
    assert ran.code == 0
    assert committed() == {**had, TopicPartition("word-counts", 0): CommittedOffset(2)}  # of 3, from the end
    assert "words-counts-changelog" not in topics()
    assert "words-minutes-changelog" in topics()


def test_topics_that_only_look_like_internal_ones_stay(counted: Command) -> None:
    for name in ("words-eu-counts-changelog", "words-former-changelog"):
        counted("topics", "create", name, *LOG)
    log = EmbeddedLog.open("words.db")
    log.groups.commit("words-eu", {TopicPartition("lines", 0): CommittedOffset(1)})
    log.close()
    ran = counted("reset", "words:build", "--dry-run", *LOG)
    assert [line for line in ran.lines if line.startswith("left")] == [
        "left as it is: words-eu-counts-changelog, which is named after application 'words-eu'",
        "left as it is: words-former-changelog, which the topology does not have; it goes with --internal-topics",
    ]
    ran = counted("reset", "--application-id", "words", "--dry-run", *LOG)
    (deleted,) = [line for line in ran.lines if line.startswith("deleted: internal")]
    assert "words-former-changelog" in deleted
    assert "words-eu-counts-changelog" not in deleted


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (
            ["--internal-topics", "lines"],
            2,
            "--internal-topics names 'lines', which is no internal topic of appl",
        ),
        (["--input-topics", "line"], 1, "there is no topic 'line'; nothing was changed"),
        (["--intermediate-topics", "line"], 1, "there is no topic 'line'; nothing was changed"),
        (["--to-latest", "--to-earliest"], 2, "--to-earliest and --to-latest contradict each other"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(
    counted: Command, arguments: list[str], code: int, said: str
) -> None:
    had = (committed(), topics())
    ran = counted("reset", "words:build", *arguments, *LOG)
    assert (ran.code, said in ran.err) == (code, True), ran.err
    assert (committed(), topics()) == had


def test_a_log_has_to_be_named_and_be_there(command: Command, words: Path) -> None:
    ran = command("reset", "words:build")
    assert (ran.code, "no log is named" in ran.err) == (2, True)
    ran = command("reset", "words:build", "--embedded", "none.db")
    assert (ran.code, "there is no embedded log 'none.db'" in ran.err) == (2, True)
    assert not Path("none.db").exists()
    ran = command("reset", "--embedded", "none.db")
    assert (ran.code, "no application is named" in ran.err) == (2, True)


def test_of_an_application_that_nobody_knows_the_inputs_have_to_be_named(counted: Command) -> None:
    ran = counted("reset", "--application-id", "sentences", *LOG)
    assert ran.code == 2
    assert "nothing tells what application 'sentences' reads" in ran.err


def test_an_application_that_runs_is_not_reset(counted: Command) -> None:
    topology = load("words:build").topology
    with hr.Streams(topology, application_id="words", embedded_path="words.db") as streams:
        streams.wait_running("20s")
        ran = counted("reset", "words:build", *LOG)
    assert (ran.code, "application 'words' is already running: process" in ran.err) == (1, True)
    assert committed()[TopicPartition("lines", 0)].offset == 1


#: Lines that are said before something is done.
_PLAN = RESET[: RESET.index("wrote")].count("\n")

#: What is left when the group is deleted; then it gets less, step by step.
LEFT = [
    "delete internal topics words-counts-changelog, words-counts-repartition, words-minutes-changelog, "
    "words-minutes-repartition",
    "commit the offsets of 2 of 2 partitions",
    "delete local state in .headrace/words",
]


@pytest.mark.process
@pytest.mark.parametrize("lines", range(_PLAN - 1, RESET.count("\n")))
def test_a_reset_that_was_killed_is_finished_by_the_next_one(counted: Command, lines: int) -> None:
    arguments = ["reset", "words:build", "--shift-by", "-1", *LOG]
    ran = subprocess.run(
        [sys.executable, KILLED, str(lines), *arguments], stdout=subprocess.PIPE, check=False, timeout=60
    )
    assert (ran.returncode, ran.stdout.count(b"\n")) == (-9, lines)
    file = Path(".headrace/words.unfinished")
    if file.exists():
        with pytest.raises(StateError, match="`headrace reset` was begun and has not ended"):
            hr.Streams(load("words:build").topology, application_id="words", embedded_path="words.db").start()
        ran_again = counted(*arguments)
        assert ran_again.lines[0] == f"going on with what {file} says: a reset was begun (--shift-by -1)"
        assert (
            ran_again.lines[1] == f"left to do: {'; '.join(LEFT[max(0, lines - _PLAN - 1) :]) or 'nothing'}"
        )
    else:
        # Nothing was done yet, or all of it: then the next one is another reset.
        ran_again = counted(*arguments)
    assert ran_again.code == 0
    assert committed() == BEGUN_ANEW
    run(a=1, b=2, c=1)


def test_what_was_asked_for_in_the_middle_of_another_reset_is_not_done_and_said(counted: Command) -> None:
    subprocess.run(
        [sys.executable, KILLED, str(_PLAN + 1), "reset", "words:build", *LOG], check=False, timeout=60
    )
    ran = counted("reset", "words:build", "--to-latest", *LOG)
    assert ran.code == 1
    assert "the reset that was begun before (--to-earliest) is done" in ran.err
    assert committed() == BEGUN_ANEW


def test_no_other_command_and_no_other_log_is_taken_up_by_what_was_begun(counted: Command) -> None:
    subprocess.run(
        [sys.executable, KILLED, str(_PLAN + 1), "reset", "words:build", *LOG], check=False, timeout=60
    )
    ran = counted("upgrade-topology", "words:build", *LOG)
    assert (ran.code, "`headrace reset` was begun on words.db" in ran.err) == (1, True)
    counted("topics", "create", "lines", "--embedded", "other.db")
    ran = counted("reset", "words:build", "--embedded", "other.db")
    assert (ran.code, "`headrace reset` was begun on words.db" in ran.err) == (1, True)


def test_a_file_of_what_was_begun_that_is_damaged_is_not_guessed_at(counted: Command) -> None:
    Path(".headrace/words.unfinished").write_text("{")
    ran = counted("reset", "words:build", *LOG)
    assert (ran.code, "words.unfinished: it is damaged" in ran.err) == (1, True)
