#!/usr/bin/env bash
# psycopg 3.3.9, PostgreSQL 15: executemany sends its statements as a pipeline. A client that stops in the midst of it
# (a machine that sleeps, a process that is paused, an iterator that waits) is "active" for the server, so that
# idle_in_transaction_session_timeout does not end it, and all of its locks stay for as long as it is stopped. One that
# stops after the same statement by execute is ended in time. Who relies on the time-out to take over from a paused
# process waits without end.
# Guessed: whoever has a transaction open and says nothing is idle in it, and is ended.
# Needs PostgreSQL (Debian: apt-get install postgresql).
set -euo pipefail
bin=${POSTGRES_BIN:-$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)}
folder=$(mktemp -d)
as=()
if [ "$(id -u)" = 0 ]; then chown postgres "$folder"; as=(setpriv --reuid postgres --regid postgres --clear-groups); fi
cd "$folder"
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "psycopg[binary]==3.3.9"
"${as[@]}" "$bin/initdb" -D "$folder/data" -U postgres -A trust >"$folder/initdb.log"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"${as[@]}" "$bin/pg_ctl" -D "$folder/data" -w -l "$folder/data/log" start \
    -o "-p $port -k $folder -c listen_addresses=127.0.0.1 -c idle_in_transaction_session_timeout=1s" >"$folder/start.log"
trap '"${as[@]}" "$bin/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null; cd /; rm -rf "$folder"' EXIT
"$folder/venv/bin/python" - "postgresql://postgres@127.0.0.1:$port/postgres" <<'PYTHON'
import os
import signal
import subprocess
import sys
import time

import psycopg

CLIENT = """
import os, signal, sys, psycopg
how, address = sys.argv[1:]
def rows():
    for number in range(1000):
        if number == 500:
            os.kill(os.getpid(), signal.SIGSTOP)
        yield (number,)
with psycopg.connect(address) as connection:
    cursor = connection.cursor()
    if how == "executemany":
        cursor.executemany("INSERT INTO numbers VALUES (%s)", rows())
    else:
        for row in rows():
            cursor.execute("INSERT INTO numbers VALUES (%s)", row)
"""
address = sys.argv[1]
found = {}
with psycopg.connect(address, autocommit=True) as look:
    look.execute("CREATE TABLE numbers (n int)")
    for how in ("execute", "executemany"):
        client = subprocess.Popen([sys.executable, "-c", CLIENT, how, address], stderr=subprocess.DEVNULL)
        os.waitpid(client.pid, os.WUNTRACED)
        time.sleep(4)  # four times the time-out
        found[how] = look.execute(
            "SELECT state FROM pg_stat_activity WHERE query LIKE 'INSERT%%' AND pid <> pg_backend_pid()"
        ).fetchall()
        client.send_signal(signal.SIGKILL)
        print(f"{how}: after 4 s with a time-out of 1 s, its session is {found[how] or 'gone'}")
assert found == {"execute": [], "executemany": [("active",)]}
PYTHON
