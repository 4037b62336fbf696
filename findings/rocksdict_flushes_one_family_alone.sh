#!/usr/bin/env bash
# rocksdict 0.3.29: Rdict.flush() writes the default column family alone to a table, also with atomic_flush on, which is
# there so that families are never torn apart. close() flushes as well. Who keeps rows in one family and how far they go in
# the default one has, for a moment, the second on disk and the first in the write-ahead log only: if that log is lost, what
# is left claims rows that are gone.
# A handle of a family (or a batch that writes to it) also keeps the database open, and locked, after close().
# Guessed: one flush for all families, and a close that closes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check rocksdict==0.3.29
"$folder/venv/bin/python" - "$folder/database" <<'PYTHON'
import os
import sys

from rocksdict import Options, Rdict

path = sys.argv[1]


def options() -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    options.set_atomic_flush(True)
    return options


def opened() -> Rdict:
    return Rdict(path, options=options(), column_families={"rows": options()})


def tables() -> int:
    return sum(name.endswith(".sst") for name in os.listdir(path))


database = opened()
rows = database.get_column_family("rows")
rows[b"row"] = b"value"
database[b"position"] = b"1"
database.flush()
after_one = tables()
rows.flush()
after_both = tables()
print("tables after flush():", after_one, "after the family's own flush():", after_both)     # 1, 2
assert (after_one, after_both) == (1, 2)

handle = database.get_column_family_handle("rows")
del rows
database.close()
try:
    opened()
except Exception as error:
    print("with the handle held:", str(error)[:45])     # IO error: lock hold by current process
    assert "lock hold by current process" in str(error)
else:
    raise AssertionError("the handle does not hold the database any more")
del handle
opened().close()
print("without it: opened")
PYTHON
