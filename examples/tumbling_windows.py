"""Tumbling windows: how many requests each server had in each minute.

Shows: `windowed_by`, grace, and the retention of a window store.

A window takes the records whose own timestamp lies in it, whenever they arrive. Time goes on with the records, not with
the clock on the wall: *stream time* is the highest timestamp so far. A window of a minute with a grace of 30 seconds
takes late records until stream time is 90 seconds behind its start; later ones are dropped, with a warning.

A window store cannot keep windows for ever, as there is a new one each minute. It drops those that are older than its
retention, which is size and grace together unless it is declared longer: long enough for whoever wants to query it.

In: `requests`, the path as value, with the server's name as key.
Out: `requests-per-minute`, the count so far, with server and minute as key.

In one terminal, run the application until Ctrl-C:

    $ headrace dev examples/tumbling_windows.py

In another one, write requests and look at the results (`cut` leaves topic, partition, offset and time out):

    $ headrace topics write requests --app examples/tumbling_windows.py <<'END'
    {"key": "web-1", "value": "/", "timestamp": "2024-05-01T10:00:00Z"}
    {"key": "web-1", "value": "/help", "timestamp": "2024-05-01T10:00:59Z"}
    {"key": "web-1", "value": "/", "timestamp": "2024-05-01T10:01:10Z"}
    {"key": "web-1", "value": "/late", "timestamp": "2024-05-01T10:00:30Z"}
    {"key": "web-1", "value": "/", "timestamp": "2024-05-01T10:01:30Z"}
    {"key": "web-1", "value": "/too-late", "timestamp": "2024-05-01T10:00:40Z"}
    END
    wrote 6 records to requests
    $ headrace topics read requests-per-minute --app examples/tumbling_windows.py | cut -d, -f5-8
    "key":{"key":"web-1","start":1714557600000,"end":1714557660000},"value":3
    "key":{"key":"web-1","start":1714557660000,"end":1714557720000},"value":2
    $ headrace stores get requests-of-the-last-hour web-1 --start 1714557600000 --app examples/tumbling_windows.py
    {"key":"web-1","start":1714557600000,"end":1714557660000,"value":3}
"""

import headrace as hr
from headrace import stores

REQUESTS = hr.Topic("requests", value=str)
PER_MINUTE = hr.Topic("requests-per-minute", key=hr.time_windowed(str, "1m"), value=int)
LAST_HOUR = stores.window("requests-of-the-last-hour", key=str, value=int, retention="1h")

builder = hr.StreamsBuilder()
(
    builder.stream(REQUESTS)
    .group_by_key()
    .windowed_by(hr.TimeWindows("1m", grace="30s"))
    .count(store=LAST_HOUR)
    .to_stream()
    .to(PER_MINUTE)
)
topology = builder.build()
