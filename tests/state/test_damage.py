"""Files of a database missing, cut, changed or old, and kills while it is dealt with: right, or restored in full.

Stores in memory have no files: what survives the process is their changelog.
"""

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.budget import examples, some
from tests.state.damage import Outcome, Starter

pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]

#: Images of the history: killed with all in tables of its first start and one log, with one family flushed, and so on
#: behind a second start; and stopped in good order.
FIRST_LOG, TWO_LOGS, KILLED, KILLED_BEHIND_A_FLUSH, STOPPED = 1, 2, 7, 10, 12

#: How many damages of an image the usual run tries, pairs of two of them, and steps to be killed at.
DAMAGES, PAIRS, STEPS = 30, 10, 20

#: Nothing is read of these.
UNREAD = ("LOCK", "LOG")  # and what begins so

#: Places at which logs and manifests are cut, evenly.
CUTS = 8


class History:
    """Images of one database over time, its changelogs, and what its stores held in the end."""

    def __init__(self, starter: Starter, folder: Path) -> None:
        starter.write_history(folder)
        self._starter = starter
        self._folder = folder
        #: Records of all changelogs.
        self.records = self.start(self.place({})).restored
        self.rows: dict[str, list[list[Any]]] = json.loads((folder / "rows").read_text())

    def files(self, image: int) -> dict[str, bytes]:
        """Return the files of an image."""
        found = sorted((self._folder / "images" / str(image)).iterdir())
        return {file.name: file.read_bytes() for file in found if not file.name.startswith(UNREAD)}

    def place(self, files: dict[str, bytes]) -> Path:
        """Make the folder of an application that has these files."""
        place = self._folder / "place"
        shutil.rmtree(place, ignore_errors=True)
        (place / "task").mkdir(parents=True)
        for name, content in files.items():
            (place / "task" / name).write_bytes(content)
        shutil.copy(self._folder / "log", place / "log")
        return place

    def start(self, place: Path, *, kill_at: int = -1) -> Outcome:
        """Start on files as they are."""
        return self._starter.start(place, kill_at=kill_at)


@pytest.fixture(scope="module")
def history() -> Iterator[History]:
    # In memory where there is such a place: nearly all the time goes into syncing files.
    memory = "/dev/shm"
    with TemporaryDirectory(dir=memory if os.path.isdir(memory) else None) as folder, Starter() as starter:
        yield History(starter, Path(folder))


Damage = tuple[str, bytes | None]  # a file's name and its content now, None where it is missing


def flipped(content: bytes, at: int) -> bytes:
    """Return the content with one bit changed."""
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def damages_of(history: History, image: int) -> list[Damage]:
    """Every file of an image missing, empty, cut, changed, or as it was; and every file that there was once."""
    damages: list[Damage] = []
    files = history.files(image)
    for name, content in files.items():
        cuts = CUTS if name.startswith("MANIFEST") or name.endswith(".log") else 2
        damages += [(name, None), (name, b"")]
        damages += [(name, flipped(content, len(content) * part // 4)) for part in range(4) if content]
        damages += [(name, content[: len(content) * cut // cuts]) for cut in range(1, cuts)]
    for older in range(image):
        damages += [(name, old) for name, old in history.files(older).items() if files.get(name) != old]
    return list(dict.fromkeys(damages))


def wrong(history: History, image: int, damages: tuple[Damage, ...]) -> str | None:
    """What is wrong after a start on damaged files, or None."""
    files = history.files(image)
    for name, content in damages:
        if content is None:
            files.pop(name, None)
        else:
            files[name] = content
    outcome = history.start(history.place(files))
    what = [(name, None if content is None else len(content)) for name, content in damages]
    if outcome.rows != history.rows:
        return f"{what} of image {image}: wrong rows"
    if outcome.restored == history.records and not outcome.warnings:
        return f"{what} of image {image}: nothing was said"
    return None


@pytest.mark.parametrize(
    "image",
    [FIRST_LOG, TWO_LOGS, KILLED, KILLED_BEHIND_A_FLUSH, STOPPED],
    ids=["first log", "two logs", "killed", "killed behind a flush", "stopped"],
)
def test_one_damaged_file_leads_to_the_right_rows(history: History, image: int) -> None:
    damages = damages_of(history, image)
    assert len(damages) > 50
    assert [found for damage in some(damages, DAMAGES) if (found := wrong(history, image, (damage,)))] == []


def test_two_damaged_files_lead_to_the_right_rows(history: History) -> None:
    chosen = random.Random(20_261_129)
    for image in (TWO_LOGS, KILLED_BEHIND_A_FLUSH):
        pairs = chosen.sample(list(combinations(damages_of(history, image), 2)), examples(PAIRS))
        assert [found for pair in pairs if (found := wrong(history, image, pair))] == []


def test_without_damage_only_the_gap_is_restored(history: History) -> None:
    outcome = history.start(history.place(history.files(KILLED)))
    assert (outcome.rows, outcome.restored, outcome.warnings) == (history.rows, 36, [])


def whole(files: dict[str, bytes]) -> None:
    """Nothing is damaged."""


def without_current(files: dict[str, bytes]) -> None:
    """RocksDB takes what is left for a new database."""
    del files["CURRENT"]


def with_a_hole(files: dict[str, bytes]) -> None:
    """What tables held is lost, what the log holds behind it is not."""
    manifest = next(name for name in files if name.startswith("MANIFEST"))
    files[manifest] = files[manifest][: len(files[manifest]) // 4]


@pytest.mark.parametrize("damage", [whole, without_current, with_a_hole], ids=lambda damage: damage.__name__)
def test_killed_at_any_step_the_next_start_has_the_right_rows(
    history: History, damage: Callable[[dict[str, bytes]], None]
) -> None:
    files = history.files(KILLED)
    damage(files)
    steps = history.start(history.place(files)).steps
    assert steps > 50
    chosen = random.Random(7)
    for step in some(
        range(1, steps + 1, 1 if damage is whole else 9), STEPS if damage is whole else STEPS // 4
    ):
        place = history.place(files)
        kills = [step] if damage is whole else [step + chosen.randrange(9), chosen.randrange(1, steps)]
        for kill_at in kills:
            history.start(place, kill_at=kill_at)
        outcome = history.start(place)
        assert outcome.rows == history.rows, (damage.__name__, kills)
