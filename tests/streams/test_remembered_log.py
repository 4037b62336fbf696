"""An embedded log that is lost while local state, or a lock, shows that there was one."""

import shutil
from pathlib import Path

import pytest

from headrace.base.errors import LogError
from headrace.streams.remembered_log import RememberedLog
from tests.streams.conftest import Shop


def run_once(shop: Shop) -> None:
    with shop.streams() as streams:
        streams.wait_running("20s")


def lose(log: Path) -> None:
    for file in log.parent.glob(f"{log.name}*"):
        file.unlink()


def test_lost_log_is_not_begun_anew_beside_its_state(shop: Shop) -> None:
    run_once(shop)
    lose(shop.log_file)
    with pytest.raises(
        LogError, match=r"the application has run on it: its state is in .*delete that directory and"
    ):
        shop.streams().start()
    assert not shop.log_file.exists()


def test_log_is_begun_anew_once_the_state_is_deleted_too(shop: Shop) -> None:
    run_once(shop)
    shop.streams().clean_up()
    lose(shop.log_file)
    run_once(shop)


def test_lock_beside_a_lost_log_shows_that_there_was_one(shop: Shop) -> None:
    run_once(shop)
    shop.streams().clean_up()
    shop.log_file.unlink()
    with pytest.raises(LogError, match=r"shop.db-words.lock beside it is: it was lost or moved"):
        shop.streams().start()
    lose(shop.log_file)
    run_once(shop)


def test_another_log_may_be_begun_beside_old_state(shop: Shop, tmp_path: Path) -> None:
    run_once(shop)
    record = RememberedLog(shop.directory / "state" / "words")
    record.check(tmp_path / "another.db")
    shutil.rmtree(shop.directory / "state")
    record.check(shop.log_file)
