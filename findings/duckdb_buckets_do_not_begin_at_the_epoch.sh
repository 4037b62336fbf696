#!/usr/bin/env bash
# DuckDB 2.0.1: time_bucket counts from 2000-01-03, a Monday. Windows of Kafka Streams and of headrace count from
# 1970-01-01, a Thursday. Hours and days agree; weeks, or any width that does not divide what lies between the two, do
# not. Who checks weekly windows with SQL compares other weeks, and every total differs.
# With the origin given as a third argument, both agree.
# Guessed: buckets are multiples of their width since the epoch.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1
"$folder/venv/bin/python" - <<'PYTHON'
import duckdb

WIDTHS = {"1 hour": 3_600, "90 minutes": 5_400, "1 day": 86_400, "7 hours": 25_200, "5 days": 432_000, "7 days": 604_800}
AT_S = 1_711_929_600    # 2024-04-01 00:00 UTC
agree, with_origin = {}, {}
for width, width_s in WIDTHS.items():
    ours = AT_S - AT_S % width_s
    (plain, fixed), = duckdb.sql(
        f"select epoch(time_bucket(interval '{width}', t)), epoch(time_bucket(interval '{width}', t, timestamp '1970-01-01')) "
        f"from (select make_timestamp({AT_S}::bigint * 1000000) as t)"
    ).fetchall()
    agree[width], with_origin[width] = plain == ours, fixed == ours
print("by themselves:", agree)
print("with origin:  ", with_origin)
assert agree == {"1 hour": True, "90 minutes": True, "1 day": True, "7 hours": False, "5 days": False, "7 days": False}
assert all(with_origin.values())
PYTHON
