"""The codec and Kafka's own classes: batches that Java wrote, and ours as Java reads them.

`batches.json` is what `tests/kafka/java/run write` printed, with Kafka 4.3.1 and 4.4.0 on JDK 17.
"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from headrace.base.records import NO_HEADERS, Headers
from headrace.kafka.batch.codec import Codec, Decoded, load
from tests.kafka.batch.codecs import native

_HERE = Path(__file__).parent
_JAVA: dict[str, str] = json.loads((_HERE / "batches.json").read_text())
BATCHES = {name: bytes.fromhex(batch) for name, batch in _JAVA.items()}
# The exit code of `tests/java_class_path`.
_MAVEN_FAILED = 75
COMPRESSIONS = ["none", "gzip", "snappy", "lz4", "zstd"]
TIME = 1_700_000_000_000

KEYS: list[bytes | None] = [b"k1", None, b"k3", b"", b"k5"]
VALUES: list[bytes | None] = [b"v1", b"v2", None, b"", b"x" * 300]
TIMESTAMPS = [TIME, TIME + 5, TIME - 3, TIME + 100_000, TIME + 1]
HEADERS: list[Headers] = [
    NO_HEADERS,
    NO_HEADERS,
    (("a", b"1"), ("b", None), ("é", b"")),
    NO_HEADERS,
    NO_HEADERS,
]
FEW = Decoded(range(5), TIMESTAMPS, KEYS, VALUES, HEADERS, 5, len(BATCHES["few-none"]) - 61)

MANY_KEYS: list[bytes | None] = [b"key-%d" % (index % 100) for index in range(1500)]
MANY_VALUES: list[bytes | None] = [b"value-%d" % (index % 7) + b"-" * 90 for index in range(1500)]
MANY_TIMESTAMPS = [TIME + index // 100 for index in range(1500)]


@pytest.fixture(params=["native", "python"])
def codec(request: pytest.FixtureRequest) -> Codec:
    return native() if request.param == "native" else load("python")


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_batch_of_java_is_decoded(codec: Codec, compression: str) -> None:
    assert codec.decode(BATCHES[f"few-{compression}"], 0) == FEW


@pytest.mark.parametrize("name", ["many-gzip", "many-snappy", "many-lz4", "many-zstd", "lz4-level-12"])
def test_compressed_blocks_of_java_are_decoded(codec: Codec, name: str) -> None:
    decoded = codec.decode(BATCHES[name], 0)
    assert (decoded.keys, decoded.values) == (MANY_KEYS, MANY_VALUES)
    assert decoded.timestamps == MANY_TIMESTAMPS


def test_an_uncompressed_batch_is_byte_for_byte_that_of_java(codec: Codec) -> None:
    batch, end = codec.encode_batch(KEYS, VALUES, TIMESTAMPS, HEADERS, 0, 1_000_000)
    assert (batch, end) == (BATCHES["few-none"], 5)


def test_a_transactional_batch_is_byte_for_byte_that_of_java(codec: Codec) -> None:
    batch, _ = codec.encode_batch(
        KEYS,
        VALUES,
        TIMESTAMPS,
        HEADERS,
        0,
        1_000_000,
        producer_id=4711,
        producer_epoch=3,
        base_sequence=42,
        is_transactional=True,
    )
    assert batch == BATCHES["transactional"]


@pytest.mark.parametrize(
    ("compression", "frame_bytes"), [("gzip", 10), ("snappy", 16), ("lz4", 7), ("zstd", 4)]
)
def test_a_compressed_batch_has_the_frame_of_java(codec: Codec, compression: str, frame_bytes: int) -> None:
    batch, _ = codec.encode_batch(KEYS, VALUES, TIMESTAMPS, HEADERS, 0, 1_000_000, compression=compression)
    theirs = BATCHES[f"few-{compression}"]
    assert batch[21 : 61 + frame_bytes] == theirs[21 : 61 + frame_bytes]


def test_the_time_of_appending_is_every_record_s_timestamp(codec: Codec) -> None:
    decoded = codec.decode(BATCHES["log-append-time"], 500)
    assert decoded.timestamps == [TIME + 99_999] * 5
    assert decoded.offsets == range(500, 505)


def test_aborted_records_and_markers_are_left_out(codec: Codec) -> None:
    decoded = codec.decode(BATCHES["transactions"], 0, [(1, 0)])
    assert decoded.values == [b"committed", b"committed the second time"]
    assert (decoded.offsets, decoded.position) == ([2, 6], 8)


def test_uncommitted_reading_leaves_out_markers_alone(codec: Codec) -> None:
    decoded = codec.decode(BATCHES["transactions"], 0)
    assert (decoded.offsets, decoded.position) == ([0, 1, 2, 3, 6], 8)


def test_an_aborted_transaction_that_began_before_the_fetch_is_left_out(codec: Codec) -> None:
    data = BATCHES["transactions"]
    begin = data.index(b"aborted after the other") - 80
    third = next(at for at in range(begin, len(data)) if data[at : at + 8] == (3).to_bytes(8, "big"))
    decoded = codec.decode(data[third:], 3, [(1, 0)])
    assert (decoded.offsets, decoded.position) == (range(6, 7), 8)


def test_records_before_the_fetch_offset_are_left_out(codec: Codec) -> None:
    decoded = codec.decode(BATCHES["few-zstd"], 3)
    assert decoded == Decoded(range(3, 5), TIMESTAMPS[3:], KEYS[3:], VALUES[3:], None, 5, 320)


def test_a_fetch_behind_everything_moves_no_position_back(codec: Codec) -> None:
    assert codec.decode(BATCHES["few-none"], 9) == Decoded(range(9, 9), [], [], [], None, 9, 0)


@pytest.mark.process
@pytest.mark.timeout(600)
def test_java_reads_what_is_encoded(codec: Codec) -> None:
    for tool in ("java", "javac", "mvn"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    few = (KEYS, VALUES, TIMESTAMPS, HEADERS)
    many = (MANY_KEYS, MANY_VALUES, MANY_TIMESTAMPS, [NO_HEADERS] * 1500)
    batches = []
    for compression in COMPRESSIONS:
        for columns in (few, many):
            keys, values, timestamps, headers = columns
            batch, _ = codec.encode_batch(
                keys, values, timestamps, headers, 0, 1_000_000, compression=compression
            )
            batches.append((batch, columns))
    lines = "".join(batch.hex() + "\n" for batch, _ in batches)
    run = _HERE / "run"
    done = subprocess.run([run, "read"], input=lines, capture_output=True, text=True, check=False)
    if done.returncode == _MAVEN_FAILED:
        pytest.skip(f"Maven cannot fetch kafka-clients: {done.stderr.strip()[:200]}")
    assert done.returncode == 0, done.stderr
    for line, (_, columns) in zip(done.stdout.splitlines(), batches, strict=True):
        assert json.loads(line) == [list(row) for row in _as_java_prints(columns)]


def _as_java_prints(columns: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    keys, values, timestamps, headers = columns
    return [
        (
            offset,
            timestamps[offset],
            None if keys[offset] is None else keys[offset].hex(),
            None if values[offset] is None else values[offset].hex(),
            [
                [name.encode().hex(), None if value is None else value.hex()]
                for name, value in headers[offset]
            ],
        )
        for offset in range(len(keys))
    ]
