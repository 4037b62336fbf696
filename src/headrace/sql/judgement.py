"""What an error of a database is about: the moment, one record, or the set-up. Decides what happens next."""

from enum import Enum

from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    StatementError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from headrace.base.errors import HeadraceError
from headrace.base.wording import wording

__all__ = ["Blame", "Later", "blame_of", "said"]


class Later(HeadraceError):  # noqa: N818 - nothing is wrong that time does not mend
    """What is to be done cannot be done now, and is tried again. Says what is waited for."""


class Blame(Enum):
    """Whose fault an error is.

    The moment's: the same is tried again, for as long as it takes. A record's: the handler decides about it. The
    set-up's: nothing will go right until somebody changes the table, the rights, or the code.
    """

    MOMENT = "moment"
    RECORD = "record"
    SETUP = "setup"


#: Classes of SQLSTATE: connections, transactions that were rolled back, resources, an operator, a server that stops.
#: Source: PostgreSQL's appendix "Error Codes".
_MOMENTS = ("08", "40", "53", "57", "58")
#: A lock that was waited for, an object in use, a session that was idle for too long, and a server that became a
#: standby: it is another one's turn.
_MOMENT_STATES = frozenset({"55P03", "55006", "25P02", "25P03", "25P04", "25006"})
#: Data, integrity, a view's check, a trigger's own word, two rows of one statement in each other's way.
_RECORDS = ("21", "22", "23", "44", "P0")

#: Primary result codes. Source: https://www.sqlite.org/rescode.html
_SQLITE_MOMENTS = frozenset({5, 6, 13})  # busy, locked, the disk is full
_SQLITE_RECORDS = frozenset(
    {18, 19, 20, 25}
)  # too big, a constraint, mismatched types, a parameter out of range


def blame_of(error: Exception) -> Blame:
    """Say what an error is about that came up while rows were written."""
    if isinstance(error, PoolTimeoutError):
        return Blame.MOMENT
    if not isinstance(error, DBAPIError):
        # Of SQLAlchemy a value that a column's type does not take; of a driver, an int that is too large.
        of_a_value = isinstance(error, StatementError | TypeError | ValueError | OverflowError)
        return Blame.RECORD if of_a_value else Blame.SETUP
    if error.connection_invalidated:
        return Blame.MOMENT
    state = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
    if isinstance(state, str):
        return _of_state(state)
    number = getattr(error.orig, "sqlite_errorcode", None)
    if isinstance(number, int):
        return _of_sqlite(number & 0xFF)  # the rest of an extended code says more of the same
    return _of_class(error)


def _of_state(state: str) -> Blame:
    if state in _MOMENT_STATES or state.startswith(_MOMENTS):
        return Blame.MOMENT
    return Blame.RECORD if state.startswith(_RECORDS) else Blame.SETUP


def _of_sqlite(code: int) -> Blame:
    if code in _SQLITE_MOMENTS:
        return Blame.MOMENT
    return Blame.RECORD if code in _SQLITE_RECORDS else Blame.SETUP


def _of_class(error: DBAPIError) -> Blame:
    """Judge what the driver itself has raised, which has no code: by its class, as PEP 249 has them."""
    if isinstance(error, IntegrityError | DataError):
        return Blame.RECORD
    if isinstance(error, OperationalError | InterfaceError):
        return Blame.MOMENT  # no connection, above all
    if isinstance(error, ProgrammingError):
        return Blame.RECORD  # a value that it cannot adapt: a database's own word would have a code
    return Blame.SETUP


def said(error: BaseException) -> str:
    """Return what a database has said, in one line, without the statement and its values, which may be confidential."""
    cause = error.orig if isinstance(error, DBAPIError) else None
    return wording(cause or error).partition("\n")[0]
