"""Whose fault an error of a database is: the moment's, a record's, or the set-up's."""

import pytest
from sqlalchemy.exc import DataError, IntegrityError, OperationalError, ProgrammingError

from headrace.sql.judgement import Blame, blame_of, said


class SaidError(Exception):
    """What a driver raises, with PostgreSQL's code or SQLite's."""

    def __init__(self, sqlstate: str | None = None, sqlite_errorcode: int | None = None) -> None:
        super().__init__("no\nDETAIL:  secret")
        self.sqlstate = sqlstate
        if sqlite_errorcode is not None:
            self.sqlite_errorcode = sqlite_errorcode


@pytest.mark.parametrize(
    ("state", "blame"),
    [
        ("40001", Blame.MOMENT),  # serialization failure
        ("40P01", Blame.MOMENT),  # deadlock
        ("08006", Blame.MOMENT),  # the connection is gone
        ("57P01", Blame.MOMENT),  # an administrator has shut the server down
        ("53300", Blame.MOMENT),  # too many connections
        ("55P03", Blame.MOMENT),  # a lock is not available
        ("25006", Blame.MOMENT),  # the server is a standby now
        ("23505", Blame.RECORD),  # unique violation
        ("22003", Blame.RECORD),  # out of range
        ("P0001", Blame.RECORD),  # what a trigger raises
        ("42P01", Blame.SETUP),  # undefined table
        ("42501", Blame.SETUP),  # insufficient privilege
        ("XX000", Blame.SETUP),  # internal error
    ],
)
def test_state_of_postgresql_tells(state: str, blame: Blame) -> None:
    assert blame_of(OperationalError("INSERT", {}, SaidError(state))) is blame


@pytest.mark.parametrize(
    ("code", "blame"),
    [
        (5, Blame.MOMENT),  # busy
        (261, Blame.MOMENT),  # busy, and recovering
        (13, Blame.MOMENT),  # the disk is full
        (1555, Blame.RECORD),  # a primary key is there already
        (275, Blame.RECORD),  # a check
        (1, Blame.SETUP),  # no such table
        (8, Blame.SETUP),  # read-only
    ],
)
def test_code_of_sqlite_tells(code: int, blame: Blame) -> None:
    assert blame_of(OperationalError("INSERT", {}, SaidError(sqlite_errorcode=code))) is blame


def test_drivers_own_word_is_judged_by_its_class() -> None:
    assert blame_of(OperationalError("", {}, SaidError())) is Blame.MOMENT
    assert blame_of(IntegrityError("", {}, SaidError())) is Blame.RECORD
    assert blame_of(DataError("", {}, SaidError())) is Blame.RECORD
    assert blame_of(ProgrammingError("", {}, SaidError())) is Blame.RECORD
    assert blame_of(OverflowError("too large")) is Blame.RECORD
    assert blame_of(AttributeError("a mistake of ours")) is Blame.SETUP


def test_lost_connection_is_the_moments_fault_whatever_it_says() -> None:
    error = ProgrammingError("", {}, SaidError("42P01"), connection_invalidated=True)
    assert blame_of(error) is Blame.MOMENT


def test_values_are_not_repeated() -> None:
    assert said(IntegrityError("INSERT INTO t VALUES (?)", {"a": "secret"}, SaidError())) == "SaidError: no"
