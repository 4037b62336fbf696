"""Files of sorted rows that a database takes in whole, for stores that are built from nothing.

RocksDB syncs such a file and notes it in its manifest before it is there, all or nothing, and not by its log. Beside
the rows goes a second file with the store's next link (`rocksdb_marks`), in the same note: so a file that is lost later
is missed as a batch would be. The default family hears of the link with the next batch only. A store that is cut off in
between has no position, and is emptied when it is opened again.
"""

import os
import time
from collections.abc import Callable
from typing import Any

from headrace.state.rocksdb_family import RocksFamily
from headrace.state.rocksdb_options import RocksMemory, store_options

__all__ = ["remove_leftovers", "take_in"]

#: Within the database's directory, from where RocksDB renames them.
_ROWS_FILE, _LINK_FILE = "restored.rows", "restored.link"

#: RocksDB takes any number of files in, and delays writes and reads for it later. Where it slows down writes by itself.
_UNSORTED_FILES_MAX = 20
_WAIT_SECONDS = 0.002
_SECONDS_MAX = 120.0


def remove_leftovers(path: str) -> None:
    """Delete the files that a process has left that was killed before RocksDB had taken them in."""
    for name in (_ROWS_FILE, _LINK_FILE):
        file = os.path.join(path, name)
        if os.path.exists(file):
            os.remove(file)


def take_in(
    rocksdict: Any, path: str, family: RocksFamily, memory: RocksMemory, write: Callable[[str], None]
) -> None:
    """Let `write` write a file of rows, and take it in with the store's next link."""
    waited = 0.0
    while family.unsorted_files() > _UNSORTED_FILES_MAX and waited < _SECONDS_MAX:
        time.sleep(_WAIT_SECONDS)
        waited += _WAIT_SECONDS
    rows_file, link_file = (os.path.join(path, name) for name in (_ROWS_FILE, _LINK_FILE))
    write(rows_file)
    mark = family.guard
    writer = rocksdict.SstFileWriter(store_options(rocksdict, memory, family.store))
    writer.open(link_file)
    if mark.link:
        del writer[mark.linked(mark.link)]
    writer[mark.linked(mark.link + 1)] = b""
    writer.finish()
    options = rocksdict.IngestExternalFileOptions()
    options.set_move_files(True)
    family.ingest([rows_file, link_file], options)
    mark.link += 1
