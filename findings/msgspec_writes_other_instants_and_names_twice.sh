#!/usr/bin/env bash
# msgspec 0.22.0 cuts the seconds off an offset from UTC: 1880-01-01T12:00 in New York is at -04:56:02, and is written as
# -04:56, which is another instant. Zones had such offsets until 1937; dates of birth and of old contracts carry them.
# A dictionary with the keys 1 and "1" is written with the name "1" twice: one of the two is lost on reading.
# Neither is an error when it is written. Guessed: an error, or UTC; and a refusal of names that are the same.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check msgspec==0.22.0 tzdata==2026.1
"$folder/venv/bin/python" - <<'PYTHON'
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

born = datetime(1880, 1, 1, 12, tzinfo=ZoneInfo("America/New_York"))
read = msgspec.json.decode(msgspec.json.encode(born), type=datetime)
print(born, "is read as", read, "which is", born.timestamp() - read.timestamp(), "s off")
assert born.timestamp() - read.timestamp() == 2.0

written = msgspec.json.encode({1: "first", "1": "second"})
print(written.decode(), "is read as", msgspec.json.decode(written, type=dict[int | str, str]))
assert written == b'{"1":"first","1":"second"}'
assert msgspec.json.decode(written, type=dict[int | str, str]) == {"1": "second"}
PYTHON
