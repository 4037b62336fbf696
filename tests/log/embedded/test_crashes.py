"""What is left of the embedded log after processes were killed, power was lost, and writers met."""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.base.ids import TopicPartition
from headrace.log.embedded import EmbeddedLog
from headrace.log.port import CommittedOffset
from tests.log.embedded.writing_process import KEYS
from tests.log.records import columns_of, create, read

pytestmark = pytest.mark.campaign

ROOT = Path(__file__).parents[3]
A0 = TopicPartition("a", 0)


def start_writing(path: Path, count: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.log.embedded.writing_process", str(path), str(count)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)


def check_whole(path: Path, *, acknowledged: int) -> int:
    """Check that exactly the first so many transactions are there, at least those acknowledged; return how many."""
    log = EmbeddedLog.open(path)
    try:
        committed = log.committed("g", [A0])
        done = committed[A0].offset if committed else 0
        assert done >= acknowledged
        expected = [b"%d" % n for n in range(done) for _ in range(n % 7 + 1)]
        assert [value for _, value in read(log, "a")] == expected
        assert [value for _, value in read(log, "b")] == expected
        table = {value.split()[0] for _, value in read(log, "c") if value is not None}
        latest = {b"%d" % n for n in range(max(0, done - KEYS), done)}
        assert latest <= table
        assert log.end_offsets([TopicPartition("c", 0)])[TopicPartition("c", 0)] == done
        return done
    finally:
        log.close()


@pytest.mark.process
def test_killed_writer_leaves_whole_transactions_only(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = EmbeddedLog.open(path)
    for topic in ("a", "b"):
        create(log, topic)
    create(log, "c", cleanup_policy="compact")
    log.close()
    chance = random.Random(20)
    done = 0
    for _ in range(20):
        process = start_writing(path, 1_000_000)
        assert process.stdout is not None
        wanted = chance.randrange(1, 12)
        read_ = len(process.stdout.read(wanted))
        # It is somewhere within the next transactions, or in compaction; a few spins make the place vary more.
        for _ in range(chance.randrange(30_000)):
            pass
        process.kill()
        read_ += len(process.stdout.read())
        process.stdout.close()
        process.wait()
        done = check_whole(path, acknowledged=done + read_)
    assert done >= 20


@pytest.mark.process
def test_two_processes_may_append_to_the_same_topic(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = EmbeddedLog.open(path)
    create(log, "a")
    program = (
        "import sys\n"
        "from headrace.log.embedded import EmbeddedLog\n"
        "from tests.log.records import columns_of, write\n"
        "log = EmbeddedLog.open(sys.argv[1])\n"
        "for n in range(100):\n"
        "    write(log, 'a', columns_of([(b'k', (sys.argv[2] + '-%d' % n).encode())] * 3))\n"
    )
    names = ("x", "y")
    processes = [
        subprocess.Popen([sys.executable, "-c", program, str(path), name], cwd=ROOT) for name in names
    ]
    assert [process.wait() for process in processes] == [0, 0]
    found = read(log, "a")
    log.close()
    assert [offset for offset, _ in found] == list(range(600))
    values = [value for _, value in found]
    # Three at a time: no transaction was torn apart by the other process.
    assert values[0::3] == values[1::3] == values[2::3]
    for name in names:
        own = [value for value in values[0::3] if value is not None and value.startswith(name.encode())]
        assert own == [f"{name}-{n}".encode() for n in range(100)]


@pytest.mark.process
def test_commit_of_another_process_reaches_a_waiting_reader(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = EmbeddedLog.open(path)
    create(log, "a")
    reader = log.reader()
    reader.assign({A0: 0})
    program = (
        "import sys\n"
        "from headrace.log.embedded import EmbeddedLog\n"
        "from tests.log.records import numbered, write\n"
        "write(EmbeddedLog.open(sys.argv[1]), 'a', numbered(1))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(path)], cwd=ROOT)
    chunks = reader.poll(60_000)
    assert process.wait() == 0
    log.close()
    assert [chunk.values for chunk in chunks] == [[b"v0"]]


@pytest.mark.parametrize("tail", ["lost", "garbage"])
def test_power_loss_takes_nothing_that_was_committed(tmp_path: Path, tail: str) -> None:
    path = tmp_path / "log.db"
    log = EmbeddedLog.open(path)
    for topic in ("a", "b"):
        create(log, topic)
    create(log, "c", cleanup_policy="compact")
    writer = log.writer("g")
    synced_bytes = [wal_of(path).stat().st_size]
    for n in range(30):
        columns = columns_of([(b"%d" % n, b"%d" % n)] * (n % 7 + 1))
        writer.append("a", 0, columns)
        writer.append("b", 0, columns)
        writer.append("c", 0, columns_of([(b"%d" % (n % KEYS), b"%d" % n)]))
        writer.commit({A0: CommittedOffset(n + 1)})
        synced_bytes.append(wal_of(path).stat().st_size)
    database, wal = path.read_bytes(), wal_of(path).read_bytes()
    log.close()
    assert synced_bytes[-1] == len(wal)

    chance = random.Random(4)
    cuts = [*synced_bytes, *(chance.randrange(synced_bytes[0], len(wal)) for _ in range(60))]
    for number, cut in enumerate(cuts):
        damaged = tmp_path / str(number) / "log.db"
        damaged.parent.mkdir()
        damaged.write_bytes(database)
        rest = chance.randbytes(len(wal) - cut) if tail == "garbage" else b""
        wal_of(damaged).write_bytes(wal[:cut] + rest)
        # What the file had when a commit returned had been fsynced by it.
        acknowledged = sum(size <= cut for size in synced_bytes) - 1
        assert check_whole(damaged, acknowledged=acknowledged) == acknowledged
        shutil.rmtree(damaged.parent)


def test_commits_are_fsynced(tmp_path: Path) -> None:
    log = EmbeddedLog.open(tmp_path / "log.db")
    connection = log.writer("g")._connection
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    log.close()


def test_commit_failing_halfway_leaves_nothing(tmp_path: Path) -> None:
    log = EmbeddedLog.open(tmp_path / "log.db")
    create(log, "a")
    writer = log.writer("g")
    writer.append("a", 0, columns_of([(b"k", b"v")]))
    interfering = sqlite3.connect(tmp_path / "log.db", isolation_level=None)
    interfering.execute(
        "CREATE TRIGGER halfway BEFORE INSERT ON committed_offsets BEGIN SELECT raise(ABORT, 'halfway'); END"
    )
    with pytest.raises(Exception, match="halfway"):
        writer.commit({A0: CommittedOffset(1)})
    interfering.execute("DROP TRIGGER halfway")
    interfering.close()
    assert read(log, "a") == []
    writer.abort()
    writer.append("a", 0, columns_of([(b"k", b"w")]))
    writer.commit({A0: CommittedOffset(1)})
    assert read(log, "a") == [(0, b"w")]
    log.close()


def test_idle_reader_does_not_make_the_write_ahead_log_grow(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = EmbeddedLog.open(path)
    create(log, "a")
    reader = log.reader()
    reader.assign({A0: 0})
    writer = log.writer("g")
    sizes: list[int] = []
    for _ in range(40):
        writer.append("a", 0, columns_of([(b"k", os.urandom(1 << 20))] * 2))
        writer.commit({})
        reader.poll(0)
        sizes.append(wal_of(path).stat().st_size)
    log.close()
    assert max(sizes) < 24 << 20


def wal_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")
