"""What the record batch codec costs: µs a record of 110 bytes, as JSON lines, for each implementation there is.

Run it with `.venv/bin/python benchmarks/codec.py`. One thread; the best of many runs, since others share the machine.
"""

import json
import time
from collections.abc import Callable
from functools import partial

from headrace.kafka.batch.codec import Codec, load

#: One produce batch below Kafka's limit of 1 MB, at 119 bytes a record on the wire.
RECORDS = 6000
BYTES_MAX = 1_000_000
SECONDS = 1.0


def microseconds(run: Callable[[], object]) -> float:
    """Return the best time of a run, by record, over about a second."""
    best = float("inf")
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return round(best / RECORDS * 1e6, 4)


def lines(codec: Codec) -> None:
    keys: list[bytes | None] = [b"%010d" % (index * 7919 % 100_000) for index in range(RECORDS)]
    values: list[bytes | None] = [
        (b'{"id": %d, "customer": "c%d", "amount": 12.5, "note": "' % (index, index % 977)).ljust(98, b".")
        + b'"}'
        for index in range(RECORDS)
    ]
    timestamps = [1_700_000_000_000 + index for index in range(RECORDS)]
    headers = [()] * RECORDS
    for compression in ("none", "gzip", "snappy", "lz4", "zstd"):

        def encode(compression: str = compression) -> bytes:
            batch, end = codec.encode_batch(
                keys, values, timestamps, headers, 0, BYTES_MAX, compression=compression
            )
            assert end == RECORDS
            return batch

        batch = encode()
        assert codec.decode(batch, 0).values == values
        line = {
            "codec": codec.name,
            "compression": compression,
            "batch_bytes": len(batch),
            "encode_us": microseconds(encode),
            "decode_us": microseconds(partial(codec.decode, batch, 0)),
        }
        print(json.dumps(line), flush=True)
    partitions_us = microseconds(lambda: codec.partitions(keys, 12))
    print(json.dumps({"codec": codec.name, "partitions_us": partitions_us}), flush=True)


def main() -> None:
    for name in ("native", "python"):
        try:
            codec = load(name)
        except ImportError:
            print(json.dumps({"codec": name, "skipped": "headrace-native is not installed: make native"}))
        else:
            lines(codec)


if __name__ == "__main__":
    main()
