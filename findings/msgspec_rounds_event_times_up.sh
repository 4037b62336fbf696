#!/usr/bin/env bash
# msgspec 0.22.0 rounds a time with more than six decimals to the nearest microsecond; datetime.fromisoformat and
# pydantic 2.13.4 cut it off. Java and .NET write seven and nine decimals: of the last instant of a month, msgspec makes
# the first of the next, and a record that takes its event time from there falls into another window.
# Guessed: 23:59:59.999999, as the standard library says.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check msgspec==0.22.0 pydantic==2.13.4
"$folder/venv/bin/python" - <<'PYTHON'
from datetime import datetime

import msgspec
import pydantic


class Event(pydantic.BaseModel):
    at: datetime


text = "2024-03-31T23:59:59.9999999Z"
by_msgspec = msgspec.json.decode(f'"{text}"', type=datetime)
by_pydantic = Event.model_validate_json(f'{{"at": "{text}"}}').at
by_python = datetime.fromisoformat(text)
print("msgspec  ", by_msgspec)     # 2024-04-01 00:00:00+00:00
print("pydantic ", by_pydantic)    # 2024-03-31 23:59:59.999999+00:00
print("datetime ", by_python)      # 2024-03-31 23:59:59.999999+00:00
assert by_msgspec.isoformat() == "2024-04-01T00:00:00+00:00"
assert by_pydantic == by_python and by_python.isoformat() == "2024-03-31T23:59:59.999999+00:00"
PYTHON
