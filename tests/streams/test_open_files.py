"""The limit of open files, as a start leaves it."""

import subprocess
import sys
from pathlib import Path

import pytest

resource = pytest.importorskip("resource")

START = """
import resource, sys
import headrace as hr
builder = hr.StreamsBuilder()
builder.stream(hr.Topic("in", value=str)).to("out")
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]), int(sys.argv[3])))
with hr.Streams(
    builder.build(), application_id="a", embedded_path=f"{sys.argv[1]}/log.db", state_dir=f"{sys.argv[1]}/state"
):
    print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.process
@pytest.mark.parametrize(
    ("soft", "hard", "then"), [(128, 640, "640 640\n"), (640, 640, "640 640\n")], ids=["below", "equal"]
)
def test_a_start_raises_the_soft_limit_to_the_hard_one(
    tmp_path: Path, soft: int, hard: int, then: str
) -> None:
    command = [sys.executable, "-c", START, str(tmp_path), str(soft), str(hard)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == then


STORES = """
import resource, sys
from headrace.base.errors import StateError
from headrace.state.rocksdb import RocksDatabase
from headrace.state.rocksdb_options import RocksMemory
memory = RocksMemory()
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
opened = []
try:
    for number in range(40):
        opened.append(RocksDatabase(f"{sys.argv[1]}/{number}", memory))
except StateError as error:
    print(type(error).__name__, error)
for database in opened:
    database.close()
RocksDatabase.open(f"{sys.argv[1]}/{len(opened)}", memory).close()
"""


@pytest.mark.process
def test_stores_that_find_no_more_files_to_open_say_so_and_can_be_opened_later(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STORES, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.startswith("StateError cannot open the stores at")
    assert "no more files can be opened" in done.stdout
    assert "raise the limit of open files" in done.stdout
