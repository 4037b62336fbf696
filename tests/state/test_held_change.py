"""What suppression holds back, as bytes: those of Kafka's formats 0 to 3, literally, and any others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.state.buffer.row import ENCODED
from headrace.state.held_change import HeldChange, decode_change, decode_older_change, encode_change

pytestmark = pytest.mark.campaign

OF_RECORD = ("app-store-changelog", 7, 999, (("v0", b"?"),))

#: Timestamp 1296, offset 7, topic "in", partition 0, no headers; prior null, old -1, new 25, time 5000.
UPDATE = bytes.fromhex(
    "0000000000000510 0000000000000007 00000002 696e 00000000 00000000"
    "ffffffff 00000008 ffffffffffffffff 00000008 0000000000000019 0000000000001388"
)


def held(
    *,
    prior: bytes | None = None,
    old: bytes | None = None,
    new: bytes | None = b"x",
    headers: tuple[tuple[str, bytes | None], ...] = (),
    topic: str | None = "in",
) -> HeldChange:
    return HeldChange(
        b"a", 5000, prior=prior, old=old, new=new, value=ENCODED, topic=topic, offset=7, timestamp=1296,
        headers=headers,
    )  # fmt: skip


def parts(change: HeldChange) -> tuple[object, ...]:
    return (
        change.time, change.prior, change.old, change.new,
        change.topic, change.offset, change.timestamp, tuple(change.headers),
    )  # fmt: skip


def test_format_3_is_context_prior_old_new_and_time() -> None:
    change = held(old=(-1).to_bytes(8, "big", signed=True), new=(25).to_bytes(8, "big"))
    assert encode_change(change, 0) == UPDATE
    assert parts(decode_change(b"a", UPDATE)) == parts(change)


def test_old_value_that_was_last_sent_on_is_written_once() -> None:
    written = encode_change(held(prior=b"old", old=b"old"), 0)
    assert written.endswith(bytes.fromhex("00000003 6f6c64 fffffffe 00000001 78 0000000000001388"))
    assert parts(decode_change(b"a", written)) == parts(held(prior=b"old", old=b"old"))


def test_headers_are_in_the_context() -> None:
    change = held(headers=(("h", b"v"), ("none", None)))
    written = encode_change(change, 3)
    assert bytes.fromhex("00000003 00000002 00000001 68 00000001 76 00000004 6e6f6e65 ffffffff") in written
    assert parts(decode_change(b"a", written)) == parts(change)


def test_update_of_a_punctuation_has_no_topic() -> None:
    change = held(topic=None)
    written = encode_change(change, 3)
    assert written[16:28] == bytes.fromhex("00000000 ffffffff 00000000")
    assert decode_change(b"a", written).topic is None


@pytest.mark.parametrize(
    ("change", "size_bytes"),
    [
        (held(), 32),
        (held(headers=(("hh", b"123"),)), 37),
        (held(prior=b"x", old=b"x", new=b"yy"), 34),
        (held(prior=b"x", old=b"zzz", new=b"yy"), 37),
        (held(new=None), 31),
        (held(headers=(("né𝄞", None),)), 36),
    ],
)
def test_size_is_kafkas_estimate(change: HeldChange, size_bytes: int) -> None:
    # The first three were seen in Kafka Streams 4.3.1.
    assert change.size_bytes == size_bytes


CONTEXT = "0000000000000510 0000000000000007 00000002 696e 00000000 00000000"
BOTH = "00000003 6f6c64 00000003 6e6577"


def test_format_0_has_the_place_of_its_own_record() -> None:
    data = bytes.fromhex("0000000000001388" + BOTH)
    change = decode_older_change(b"a", data, None, None, OF_RECORD)
    assert parts(change) == (5000, b"old", b"old", b"new", *OF_RECORD)


def test_formats_0_and_1_go_on_from_what_is_held_already() -> None:
    for version, data in (
        (None, "0000000000001388" + BOTH),
        (b"\x01", "0000000000001388" + CONTEXT + "0000000e" + BOTH),
    ):
        change = decode_older_change(b"a", bytes.fromhex(data), version, b"sent", OF_RECORD)
        assert (change.prior, change.old, change.new) == (b"sent", b"old", b"new")


def test_format_1_has_a_context() -> None:
    data = bytes.fromhex("0000000000001388" + CONTEXT + "0000000e" + BOTH)
    change = decode_older_change(b"a", data, b"\x01", None, OF_RECORD)
    assert parts(change) == (5000, b"old", b"old", b"new", "in", 7, 1296, ())


def test_format_2_has_the_prior_value_behind_the_others() -> None:
    data = bytes.fromhex(CONTEXT + "0000000e" + BOTH + "00000005 7072696f72" + "0000000000001388")
    change = decode_older_change(b"a", data, b"\x02", None, OF_RECORD)
    assert parts(change) == (5000, b"prior", b"old", b"new", "in", 7, 1296, ())


def test_format_3_that_says_it_is_2_is_read() -> None:
    # Kafka Streams 2.4.0, 2.4.1 and 2.5.0 have written that.
    change = decode_older_change(b"a", UPDATE, b"\x02", None, OF_RECORD)
    assert parts(change) == parts(decode_change(b"a", UPDATE))


def test_context_of_a_version_without_headers_is_read() -> None:
    data = UPDATE.replace(bytes.fromhex("696e 00000000 00000000"), bytes.fromhex("696e 00000000 ffffffff"))
    assert decode_change(b"a", data).headers == ()


def test_format_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="its format is 09"):
        decode_older_change(b"a", UPDATE, b"\x09", None, OF_RECORD)


@pytest.mark.parametrize("length", range(len(UPDATE)))
def test_update_that_is_cut_off_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match=r"follow|unpack_from|left"):
        decode_change(b"a", UPDATE[:length])


VALUES = st.none() | st.binary(max_size=12)
NAMES = st.text(max_size=4)


@given(
    VALUES, VALUES, VALUES,
    st.lists(st.tuples(NAMES, VALUES), max_size=3),
    st.none() | st.sampled_from(["in", "a.long-topic"]),
)  # fmt: skip
def test_any_update_comes_back(
    prior: bytes | None,
    old: bytes | None,
    new: bytes | None,
    headers: list[tuple[str, bytes | None]],
    topic: str | None,
) -> None:
    change = held(prior=prior, old=old, new=new, headers=tuple(headers), topic=topic)
    again = decode_change(b"a", encode_change(change, 1))
    assert parts(again) == parts(change)
    assert again.size_bytes == change.size_bytes


@given(st.binary(max_size=80), st.sampled_from([None, b"\x01", b"\x02", b"\x03", b""]))
def test_any_bytes_are_an_update_or_refused(data: bytes, version: bytes | None) -> None:
    try:
        if version == b"\x03":
            decode_change(b"a", data)
        else:
            decode_older_change(b"a", data, version, None, OF_RECORD)
    except ValueError:
        return
