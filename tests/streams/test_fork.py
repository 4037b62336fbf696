"""A process that forks while an application runs: the child has nothing of it, and the parent notices nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

# Run as a module of its own, so that spawn and forkserver can import it.
PROGRAM = """
import gc, multiprocessing, os, pickle, sys, time
import headrace as hr
from headrace import stores
from headrace.base.columns import Columns
from headrace.base.errors import HeadraceError
from headrace.base.ids import TopicPartition
from headrace.log.embedded import EmbeddedLog
from headrace.log.port import TopicSpec

COUNTS = stores.key_value("counts", key=str, value=int)
FOLDER = sys.argv[1] if len(sys.argv) > 1 else ""


def make(name, engine=None):
    builder = hr.StreamsBuilder()
    store = stores.key_value("counts", key=str, value=int, engine=engine)
    builder.stream("lines", value=str).group_by_key().count(store=store)
    return hr.Streams(
        builder.build(), application_id=name, state_dir=f"{FOLDER}/{name}-state",
        embedded_path=f"{FOLDER}/{name}.db", commit_interval_ms=20,
    )


def feed(name):
    log = EmbeddedLog.open(f"{FOLDER}/{name}.db")
    log.create_topics([TopicSpec("lines", 1)])
    writer = log.writer("test")
    columns = Columns()
    columns.append(b"a", b"x", 0, ())
    writer.append("lines", 0, columns)
    writer.commit({})
    writer.close()
    log.close()


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def said(do):
    try:
        return do()
    except HeadraceError as error:
        return type(error).__name__


def attempts(streams):
    return [
        streams.state,
        *(said(do) for do in (
            lambda: streams.query("counts").get("a"), streams.wait, streams.wait_running, streams.start,
            streams.pause, streams.clean_up, streams.status, streams.close,
        )),
    ]


def own(name, engine, into):
    streams = make(name, engine)
    try:
        with streams:
            streams.wait_running("20s")
        into.put((name, streams.state))
    except HeadraceError as error:
        into.put((name, str(error)))
"""


def _run(folder: Path, main: str) -> str:
    file = folder / "program.py"
    file.write_text(
        PROGRAM + "\nif __name__ == '__main__':\n" + "".join(f"    {line}\n" for line in main.splitlines())
    )
    ran = subprocess.run(
        [sys.executable, str(file), str(folder)], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_child_says_that_it_runs_nothing_and_the_parent_goes_on(tmp_path: Path) -> None:
    main = """
with make("shop") as streams:
    streams.wait_running("20s")
    feed("shop")
    until(lambda: streams.query("counts").get("a") == 1)
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    child = context.Process(target=lambda: answers.put(attempts(streams)))
    child.start()
    print(*answers.get())
    child.join()
    feed("shop")
    until(lambda: streams.query("counts").get("a") == 2)
    print(streams.state)
"""
    assert _run(tmp_path, main).splitlines() == [
        "not_running StateError StateError StateError StateError StateError StateError None None",
        "running",
    ]


def test_child_that_lives_on_does_not_keep_the_application_from_starting_again(tmp_path: Path) -> None:
    main = """
streams = make("shop")
streams.start()
streams.wait_running("20s")
child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,), daemon=True)
child.start()
streams.close()
with make("shop") as again:
    again.wait_running("20s")
    print(again.state)
child.kill()
"""
    assert _run(tmp_path, main) == "running\n"


def test_child_that_leaves_the_block_and_ends_as_programs_do_disturbs_nobody(tmp_path: Path) -> None:
    """It closes its copy, lets go of it, and takes the interpreter down, with RocksDB and SQLite inside."""
    main = """
sys.stdout.reconfigure(line_buffering=True)
with make("shop") as streams:
    streams.wait_running("20s")
    child = os.fork()
    if child:
        print(os.waitpid(child, 0)[1])
        feed("shop")
        until(lambda: streams.query("counts").get("a") == 1)
del streams
gc.collect()
print("end" if child else "end of the child")
"""
    assert _run(tmp_path, main).splitlines() == ["end of the child", "0", "end"]


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_child_that_is_no_fork_of_it_runs_applications_of_its_own(tmp_path: Path, method: str) -> None:
    main = f"""
with make("shop") as streams:
    streams.wait_running("20s")
    context = multiprocessing.get_context("{method}")
    queue = context.SimpleQueue()
    child = context.Process(target=own, args=("cafe", None, queue))
    sys.argv[1:] = [FOLDER]
    child.start()
    print(*queue.get())
    child.join()
    try:
        pickle.dumps(streams)
    except TypeError as error:
        print(error)
"""
    assert _run(tmp_path, main).splitlines() == [
        "cafe not_running",
        "a Streams cannot be copied or sent to another process: make it there ('shop')",
    ]


def test_forked_child_runs_its_own_application_in_memory_but_is_told_of_rocksdb(tmp_path: Path) -> None:
    main = """
with make("shop") as streams:
    streams.wait_running("20s")
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    for name, engine in (("cafe", "memory"), ("mill", "rocksdb")):
        child = context.Process(target=own, args=(name, engine, queue))
        child.start()
        print(*queue.get())
        child.join()
"""
    first, second = _run(tmp_path, main).splitlines()
    assert first == "cafe not_running"
    assert "cannot open stores in process" in second
    assert "RocksDB does not work across a fork" in second


def test_forked_child_leaves_a_log_alone_that_its_parent_has_open(tmp_path: Path) -> None:
    main = """
def write(into):
    try:
        feed("shop")
        into.put("written")
    except HeadraceError as error:
        into.put(str(error))

feed("shop")
with make("shop") as streams:
    streams.wait_running("20s")
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    for _ in range(2):
        child = context.Process(target=write, args=(queue,))
        child.start()
        print(queue.get())
        child.join()
        streams.close()
"""
    first, second = _run(tmp_path, main).splitlines()
    assert "the process that it was forked from had it open" in first
    assert second == "written"


def test_application_made_before_the_fork_starts_in_the_child(tmp_path: Path) -> None:
    """As servers do that load the program first, and fork their workers then."""
    main = """
streams = make("shop")
child = os.fork()
if child:
    print(os.waitpid(child, 0)[1], streams.state)
else:
    with streams:
        streams.wait_running("20s")
"""
    assert _run(tmp_path, main) == "0 created\n"


@pytest.mark.parametrize("then", ["pass", "sys.exit()", "raise ValueError"])
def test_child_that_a_function_forked_ends_where_it_comes_back_to_the_worker(
    tmp_path: Path, then: str
) -> None:
    """Both sides would write the outputs of the transaction, and the one that closed first would end the other's."""
    main = f"""
children = []

def fork(value):
    if not children:
        children.append(os.fork())
        if not children[0]:
            {then}
    return value

builder = hr.StreamsBuilder()
builder.stream("lines", value=str).map_values(fork, value=str).to("copies")
with hr.Streams(
    builder.build(), application_id="shop", state_dir=f"{{FOLDER}}/state", embedded_path=f"{{FOLDER}}/shop.db",
    commit_interval_ms=20,
) as streams:
    streams.wait_running("20s")
    feed("shop")
    until(lambda: children)
    print(os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]))
    feed("shop")
    until(lambda: streams.status().records == 2)
log = EmbeddedLog.open(f"{{FOLDER}}/shop.db")
print(log.end_offsets([TopicPartition("copies", 0)])[TopicPartition("copies", 0)])
log.close()
"""
    assert _run(tmp_path, main).splitlines() == ["1", "2"]
