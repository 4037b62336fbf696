#!/usr/bin/env bash
# polars 2.1.0: windows of "7d" begin on Thursdays, as those of Kafka Streams and headrace, windows of "1w" on Mondays;
# "14d" and "2w" differ in the same way. All other widths count from 1970-01-01, so a check of hourly and daily windows
# passes, and the weekly one compares other weeks.
# Guessed: a week is another word for seven days.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0
"$folder/venv/bin/python" - <<'PYTHON'
import polars

DAY_MS = 86_400_000
WIDTHS_MS = {"7h": 25_200_000, "36h": 129_600_000, "7d": 7 * DAY_MS, "168h": 7 * DAY_MS, "1w": 7 * DAY_MS, "2w": 14 * DAY_MS}
AT_MS = 1_767_351_600_000    # 2026-01-02 11:00 UTC, a Friday
times = polars.DataFrame({"at": [AT_MS]}).with_columns(polars.from_epoch("at", time_unit="ms"))
starts = {}
for width in WIDTHS_MS:
    (start,) = times.group_by_dynamic("at", every=width).agg(polars.len()).select(polars.col("at").dt.epoch("ms"))["at"]
    starts[width] = start
print("windows begin at:", starts)
agree = {width: starts[width] == AT_MS - AT_MS % width_ms for width, width_ms in WIDTHS_MS.items()}
assert agree == {"7h": True, "36h": True, "7d": True, "168h": True, "1w": False, "2w": False}, agree
assert starts["7d"] - starts["1w"] == 3 * DAY_MS
PYTHON
