"""Memory over time: windows come and expire, rows are replaced, and what a process holds stays where it is."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from headrace.state.rocksdb import RocksDatabase
from headrace.state.rocksdb_options import RocksMemory

#: 600 commits of 400 updates in each of two stores, 4 s of stream time each: 40 times the retention in all. Seeded, so
#: that each run is the same.
CODE = """
import random, sys
from pathlib import Path
from headrace.state.port import StorePosition
from headrace.state.rocksdb_options import RocksMemory
from tests.state.stores import Stores, store_spec

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

chosen = random.Random(20261129)
stores = Stores(
    store_spec("w", "window", engine="rocksdb", caching=True, retention_ms=60_000),
    store_spec("s", engine="rocksdb"),
    path=Path(sys.argv[1]) / "task",
)
seen = []
for commit in range(600):
    for number in range(400):
        key = b"user%d" % chosen.randrange(5_000)
        time = commit * 4_000 + number * 10
        stores["w"].put(key, time - time % 1_000, number, time, ())
        stores["s"].put(key, number, time, ())
    stores.state.flush()
    for columns in stores.columns.values():
        columns.clear()
    stores.state.commit({name: StorePosition(commit, "id") for name in ("w", "s")})
    stores.forwarded.clear()
    seen.append(resident_mb())
print(max(seen[120:]) / seen[119])
"""


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_flat_after_the_first_fifth_of_a_run(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=110,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert float(done.stdout) < 1.10


def test_write_buffers_and_blocks_have_one_bound(tmp_path: Path) -> None:
    memory = RocksMemory(8 << 20)
    database = RocksDatabase(tmp_path / "task", memory)
    for number in range(300):
        database.write([("s", {b"%03d %04d" % (number, row): b"x" * 700 for row in range(300)})], {})
        database.family("s").get(b"%03d %04d" % (number // 2, number))
        # 60 MB are written. What is being flushed in the background counts until a slow disk has taken it.
        assert memory.used_bytes < 30 << 20
    sum(1 for _ in database.family("s").scan(None, None))
    assert memory.used_bytes > 1 << 20
    deadline = time.monotonic() + 20
    while memory.used_bytes >= 9 << 20:  # what is flushed in the background
        assert time.monotonic() < deadline
        time.sleep(0.05)
    database.close()
