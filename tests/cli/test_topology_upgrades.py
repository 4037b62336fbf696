"""`headrace topology lock` and `diff`, `run --locked`, and `topics orphans`."""

import json
from pathlib import Path

import pytest

import headrace as hr
from headrace.cli.blueprint_file import ensure_safe
from headrace.cli.target import load
from tests.cli.conftest import APPLICATION, Command

LOG = ("--embedded", "words.db")
#: What is to go on with the state of `words:build`.
LATER = ("later:build", "--application-id", "words")
RENAMED = APPLICATION.replace('"counts"', '"totals"')
LONGER = APPLICATION.replace('TimeWindows("1m"', 'TimeWindows("2m"')
OTHERS = "words-counts-changelog", "words-counts-repartition"


def test_a_lock_file_has_what_outlives_a_deployment(command: Command, words: Path) -> None:
    ran = command("topology", "lock", "words:build")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == "wrote words.topology.lock: 2 stores\n"
    held = json.loads(Path("words.topology.lock").read_text())["topology"]
    assert held["application_id"] == "words"
    minutes = held["stores"]["minutes"]
    assert (minutes["kind"], minutes["value"]["serde"], minutes["topic"]) == (
        "window",
        "int64",
        "minutes-changelog",
    )
    assert {name: topic["partitions"] for name, topic in held["topics"].items()} == {
        "counts-changelog": 2,
        "counts-repartition": 2,
        "lines": 2,
        "minutes-changelog": 2,
        "minutes-repartition": 2,
        "word-counts": None,
    }


def test_a_lock_file_is_the_same_the_second_time(command: Command, words: Path) -> None:
    command("topology", "lock", "words:build")
    before = Path("words.topology.lock").read_text()
    ran = command("topology", "lock", "words:build")
    assert ran.err == "nothing has changed in words.topology.lock: 2 stores\n"
    assert Path("words.topology.lock").read_text() == before


def test_a_builder_can_be_locked_and_compared(command: Command, directory: Path) -> None:
    later('import headrace as hr\nbuilder = hr.StreamsBuilder()\nbuilder.stream("lines").to("out")\n')
    target = ("later:builder", "--application-id", "words")
    assert command("topology", "lock", *target).code == 0
    assert command("topology", "diff", *target).lines == ["nothing has changed"]


def test_names_that_nobody_has_chosen_are_told(command: Command, words: Path) -> None:
    later(APPLICATION.replace("store=COUNTS", ""))
    ran = command("topology", "lock", *LATER)
    assert "names that nobody has chosen" in ran.err
    generated = json.loads(Path("words.topology.lock").read_text())["generated"]
    assert generated == [
        "KSTREAM-AGGREGATE-STATE-STORE-0000000003",
        "KSTREAM-AGGREGATE-STATE-STORE-0000000003-changelog",
        "KSTREAM-AGGREGATE-STATE-STORE-0000000003-repartition",
    ]
    assert ran.err.splitlines()[-1].endswith(", ".join(generated))


@pytest.mark.parametrize(
    ("source", "code", "last"),
    [
        (APPLICATION, 0, "nothing has changed"),
        (APPLICATION.replace("key=str, value=int)", "key=str, value=int, caching=False)"), 0, "in all: safe"),
        (RENAMED, 3, "in all: rebuilds this store"),
        (LONGER, 4, "in all: needs a new application id"),
    ],
)
def test_the_exit_code_says_what_a_change_costs(
    command: Command, words: Path, source: str, code: int, last: str
) -> None:
    command("topology", "lock", "words:build")
    later(source)
    ran = command("topology", "diff", *LATER)
    assert (ran.code, ran.lines[-1], ran.err) == (code, last, "")


def test_each_change_is_a_line(command: Command, words: Path) -> None:
    command("topology", "lock", "words:build")
    later(LONGER)
    rows = [json.loads(line) for line in command("topology", "diff", *LATER, "--json").lines]
    assert [(row["verdict"], row["subject"]) for row in rows] == [("new_application", "store 'minutes'")]


def test_partitions_are_compared_with_what_they_were_taken_from(command: Command, words: Path) -> None:
    command("topics", "create", "lines", "--partitions", "6", *LOG)
    for where in ((), LOG):
        command("topology", "lock", "words:build", *where)
        held = json.loads(Path("words.topology.lock").read_text())["topology"]
        assert held["topics"]["counts-changelog"]["partitions"] == (6 if where else 2)
        ensure_safe(load("words:build").topology, "words")
        for other in ((), LOG):
            assert command("topology", "diff", "words:build", *other).lines == ["nothing has changed"]


def test_partitions_that_a_repartition_says_are_compared_with_those_on_a_log(
    command: Command, directory: Path
) -> None:
    command("topics", "create", "lines", "--partitions", "6", *LOG)
    source = "import headrace as hr\nbuilder = hr.StreamsBuilder()\nlines = builder.stream('lines').repartition({})\n"
    source += "lines.group_by_key().count(store='counts')\n"
    target = ("later:builder", "--application-id", "words")
    later(source.format("name='way'"))
    assert command("topology", "lock", *target, *LOG).code == 0
    assert command("topology", "diff", *target).code == 0
    later(source.format("name='way', partitions=4"))
    assert "has 4 partitions, and had 6" in command("topology", "diff", *target).out


def test_a_comparison_without_a_lock_file_says_how_to_get_one(command: Command, words: Path) -> None:
    later(APPLICATION)
    ran = command("topology", "diff", *LATER)
    assert (ran.code, ran.out) == (2, "")
    assert "there is no lock file words.topology.lock: write it with `headrace topology lock" in ran.err


def test_a_file_that_is_no_lock_file_is_told(command: Command, words: Path) -> None:
    later(APPLICATION)
    ran = command("topology", "diff", *LATER, "--against", "later.py")
    assert ran.code == 2
    assert "later.py is no lock file" in ran.err


def test_the_log_alone_tells_which_stores_it_has_no_changelog_for(counted: Command) -> None:
    later(RENAMED)
    ran = counted("topology", "diff", *LATER, *LOG)
    assert ran.code == 3
    assert ran.lines == [
        "orphans this topic: topic 'words-counts-changelog' no store or repartition of this topology has it",
        "orphans this topic: topic 'words-counts-repartition' no store or repartition of this topology has it",
        "rebuilds this store: store 'totals' has no changelog here: it begins with records from now on",
        "in all: rebuilds this store",
    ]


def test_what_a_lock_file_and_a_log_both_tell_is_told_once(counted: Command) -> None:
    counted("topology", "lock", "words:build", *LOG)
    later(RENAMED)
    rows = [json.loads(line) for line in counted("topology", "diff", *LATER, *LOG, "--json").lines]
    subjects = [row["subject"] for row in rows if row["subject"] != "nodes"]
    assert sorted(subjects) == sorted(set(subjects))
    assert "topic 'words-counts-changelog'" in subjects


def test_the_log_alone_tells_a_store_of_another_kind(counted: Command) -> None:
    later(APPLICATION.replace('"counts"', '"minutes"').replace('.window("minutes"', '.window("hours"'))
    ran = counted("topology", "diff", *LATER, *LOG)
    assert ran.code == 4
    assert (
        "topic 'words-minutes-changelog' is that of another kind of store (cleanup.policy=compact,delete)"
        in ran.out
    )


def test_a_log_that_has_not_seen_the_application_has_nothing_to_lose(command: Command, words: Path) -> None:
    later(APPLICATION)
    command("topics", "create", "lines", "--partitions", "2", *LOG)
    ran = command("topology", "diff", *LATER, *LOG)
    assert (ran.code, ran.lines) == (0, ["nothing has changed"])


def test_a_run_refuses_what_is_not_the_locked_topology(counted: Command) -> None:
    counted("topology", "lock", "words:build")
    later(RENAMED)
    ran = counted("run", *LATER, "--locked", *LOG)
    assert ran.code == 2
    assert ran.err.startswith(
        "headrace: cannot run with --locked: the topology is not the one in words.topology.lock."
    )
    assert "store 'totals' was 'counts' by all that is known" in ran.err


def test_a_run_takes_the_locked_topology(command: Command, words: Path) -> None:
    command("topology", "lock", "words:build")
    ensure_safe(load("words:build").topology, "words")


def test_orphans_are_listed_and_nothing_is_done(counted: Command) -> None:
    later(RENAMED)
    ran = counted("topics", "orphans", *LATER, *LOG)
    assert (ran.code, ran.lines) == (
        0,
        [
            "topic                     partitions  offsets  not processed  in the lock file",
            "words-counts-changelog             2        3              0  no",
            "words-counts-repartition           2        4              0  no",
        ],
    )
    assert set(OTHERS) <= topics(counted)


def test_orphans_of_the_lock_file_are_deleted_where_that_is_asked_for(counted: Command) -> None:
    counted("topology", "lock", "words:build")
    later(RENAMED)
    before = topics(counted)
    ran = counted("topics", "orphans", *LATER, "--yes", *LOG)
    assert (ran.code, ran.err) == (0, "deleted words-counts-changelog, words-counts-repartition\n")
    assert before - topics(counted) == set(OTHERS)
    assert counted("topics", "orphans", *LATER, *LOG).out == "there are none\n"


def test_a_topic_that_may_be_of_an_application_which_no_group_tells_of_stays(counted: Command) -> None:
    counted("topology", "lock", "words:build")
    later(RENAMED)
    counted("topics", "create", "words-eu-totals-changelog", *LOG)
    ran = counted("topics", "orphans", *LATER, "--yes", *LOG)
    stays, deleted = ran.err.splitlines()
    assert stays.startswith("left as it is: words-eu-totals-changelog, which no lock file has")
    assert deleted == "deleted words-counts-changelog, words-counts-repartition"
    assert "words-eu-totals-changelog" in topics(counted)


def test_an_orphan_that_is_named_is_deleted_alone(counted: Command) -> None:
    later(RENAMED)
    ran = counted("topics", "orphans", *LATER, "--yes", "--topic", OTHERS[0], *LOG)
    assert (ran.code, ran.err) == (0, f"deleted {OTHERS[0]}\n")
    assert OTHERS[1] in topics(counted)


def test_a_topic_that_is_no_orphan_is_not_deleted_by_name(counted: Command) -> None:
    later(RENAMED)
    ran = counted("topics", "orphans", *LATER, "--yes", "--topic", "lines", *LOG)
    assert (ran.code, ran.err) == (2, "headrace: lines is no orphan of application 'words'\n")
    assert "lines" in topics(counted)


def test_a_lock_file_of_another_application_tells_nothing_of_orphans(counted: Command) -> None:
    counted("topology", "lock", "words:build", "--application-id", "words-eu", "--file", "eu.lock")
    later(RENAMED)
    ran = counted("topics", "orphans", *LATER, "--yes", "--against", "eu.lock", *LOG)
    assert (ran.code, ran.err) == (2, "headrace: eu.lock is of application 'words-eu', not of 'words'\n")


def test_a_question_that_is_not_answered_deletes_nothing(counted: Command) -> None:
    counted("topology", "lock", "words:build")
    later(RENAMED)
    ran = counted("topics", "orphans", *LATER, "--delete", *LOG)
    assert ran.code == 130
    assert set(OTHERS) <= topics(counted)


def test_orphans_of_an_application_that_runs_stay(counted: Command) -> None:
    counted("topology", "lock", "words:build")
    running = load("words:build").topology
    later(RENAMED)
    with hr.Streams(running, application_id="words", embedded_path="words.db") as streams:
        streams.wait_running("20s")
        ran = counted("topics", "orphans", *LATER, "--yes", *LOG)
    assert ran.code == 1
    assert set(OTHERS) <= topics(counted)


def test_topics_of_an_application_with_a_longer_id_are_no_orphans(counted: Command) -> None:
    later(APPLICATION)
    topology = load("words:build").topology
    with hr.Streams(
        topology, application_id="words-2", embedded_path="words.db", commit_interval_ms=10
    ) as streams:
        streams.wait_running("20s")
    ran = counted("topics", "orphans", *LATER, *LOG)
    assert ran.out == "there are none\n"
    assert "left as it is: words-2-counts-changelog, which is named after application 'words-2'" in ran.err


def later(source: str) -> None:
    Path("later.py").write_text(source)


def topics(command: Command) -> set[str]:
    return {json.loads(line)["topic"] for line in command("topics", "list", "--json", *LOG).lines}
