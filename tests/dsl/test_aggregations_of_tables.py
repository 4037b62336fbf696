"""Ready-made aggregations of tables against a plain recomputation over the rows that each group has."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headrace as hr
from headrace import agg
from headrace.testing import TopologyTestDriver

pytestmark = pytest.mark.filterwarnings("ignore")


@dataclass(frozen=True, order=True)
class Length:
    metres: float


@dataclass(frozen=True)
class Track:
    album: str
    plays: int | None
    length: Length


@dataclass(frozen=True)
class Album:
    n: int
    least: int | None
    most: int | None
    shortest: Length | None
    longest: Length | None
    favourites: list[Track]
    lengths: int


def length(track: Track) -> Length:
    return track.length


TRACKS, ALBUMS = hr.Topic("tracks", value=Track), hr.Topic("albums", value=Album)

ALBUM: agg.Aggregation[Track, Album] = agg.into(
    Album,
    n=agg.count(),
    least=agg.min(lambda track: track.plays),
    most=agg.max(lambda track: track.plays),
    shortest=agg.min(length),
    longest=agg.max(length),
    favourites=agg.top(2, by=lambda track: track.plays),
    lengths=agg.distinct(length, limit=99),
)


def topology() -> hr.Topology:
    builder = hr.StreamsBuilder()
    grouped = builder.table(TRACKS).group_by(lambda key, track: (track.album, track), key=str, value=Track)
    grouped.aggregate(ALBUM, store="kept").to_stream().to(ALBUMS)
    return builder.build()


def recomputed(tracks: list[Track]) -> Album:
    plays = [track.plays for track in tracks if track.plays is not None]
    lengths = [track.length for track in tracks]
    return Album(
        len(tracks),
        min(plays, default=None),
        max(plays, default=None),
        min(lengths, default=None),
        max(lengths, default=None),
        sorted((track for track in tracks if track.plays is not None), key=lambda track: -(track.plays or 0))[
            :2
        ],
        len(set(lengths)),
    )


tracks = st.builds(
    Track,
    st.sampled_from(["one", "two"]),
    st.one_of(st.none(), st.integers(-2, 2)),
    st.builds(Length, st.sampled_from([-0.5, 0.1, 0.25, 1e300])),
)
#: Rows that come, change, move to another group and go; a None in place of all is a restart.
changes = st.lists(
    st.one_of(st.none(), st.tuples(st.sampled_from("abcde"), st.one_of(st.none(), tracks))), max_size=30
)


def without_favourites(album: Album) -> tuple[Any, ...]:
    return (album.n, album.least, album.most, album.shortest, album.longest, album.lengths)


@pytest.mark.campaign
@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(changes)
def test_a_groups_result_is_that_of_the_rows_it_has(given: list[Any]) -> None:
    rows: dict[str, Track] = {}
    with TopologyTestDriver(topology()) as driver:
        for at, change in enumerate(given):
            if change is None:
                driver.restart()
                continue
            key, track = change
            driver.input(TRACKS).pipe(key, track, timestamp=at)
            rows.pop(key, None)
            if track is not None:
                rows[key] = track
            for name in ("one", "two"):
                expected = recomputed([track for track in rows.values() if track.album == name])
                found = driver.store("kept").get(name)
                if found is None:
                    assert not expected.n
                    continue
                assert without_favourites(found) == without_favourites(expected)
                # Which of equal ones come first is told by another test.
                assert [each.plays for each in found.favourites] == [
                    each.plays for each in expected.favourites
                ]
                assert all(each in rows.values() for each in found.favourites)


def test_a_group_whose_values_are_too_many_fails_the_record_and_keeps_the_others() -> None:
    builder = hr.StreamsBuilder()
    grouped = builder.table(TRACKS).group_by(lambda key, track: (track.album, track), key=str, value=Track)
    least: agg.Aggregation[Track, int] = agg.min(lambda track: track.plays, limit=2)
    grouped.aggregate(least, value=int, store="least").to_stream().to(hr.Topic("out", value=int))
    with TopologyTestDriver(
        builder.build(), processing_exception_handler=lambda failure: hr.Reaction.resume
    ) as driver:
        rows = driver.input(TRACKS)
        for at, (key, plays) in enumerate([("a", 5), ("b", 4), ("c", 3), ("b", None), ("c", 2)]):
            rows.pipe(key, None if plays is None else Track("one", plays, Length(1.0)), timestamp=at)
        # The row of c, which failed, is not taken out when it changes.
        assert [value for _, value in driver.output(hr.Topic("out", value=int)).read_pairs()] == [5, 4, 5, 2]
