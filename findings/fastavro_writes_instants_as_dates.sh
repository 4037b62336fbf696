#!/usr/bin/env bash
# fastavro 1.13.1 takes the first branch of a union that a value could be turned into, also with strict=True. A datetime is
# a date in Python, so that of [date, timestamp-micros] it is written as a date, and its time is lost; of [double, long] an
# int is written as a double, and comes back as another number from 2**53 on. Nothing is raised.
# Guessed: the branch of the value's own class, since both are there.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check fastavro==1.13.1
"$folder/venv/bin/python" - <<'PYTHON'
from datetime import date, datetime, timezone
from io import BytesIO

import fastavro


def there_and_back(schema, value):
    parsed, stream = fastavro.parse_schema(schema), BytesIO()
    fastavro.schemaless_writer(stream, parsed, value, strict=True)
    stream.seek(0)
    return fastavro.schemaless_reader(stream, parsed, None)


times = [{"type": "int", "logicalType": "date"}, {"type": "long", "logicalType": "timestamp-micros"}]
instant = there_and_back(times, datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc))
number = there_and_back(["double", "long"], 2**53 + 1)
print("2026-01-02T03:04:05Z ->", repr(instant))    # datetime.date(2026, 1, 2)
print(2**53 + 1, "->", repr(number))               # 9007199254740992.0
assert type(instant) is date and instant == date(2026, 1, 2)
assert number == 9007199254740992.0 and int(number) != 2**53 + 1
PYTHON
