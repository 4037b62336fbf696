"""The database of a sink, as it is found: engine, table, and the columns that tell rows apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, Engine, MetaData, Table, create_engine
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, NoSuchTableError

from headrace.base.errors import ConfigError
from headrace.sql.statements import ensure_known_by

__all__ = ["Found", "Mode", "ensure_supported", "find", "made_engine"]

Mode = Literal["upsert", "append"]

#: Those whose statements and errors are known here, and tested.
_DIALECTS = ("postgresql", "sqlite")


@dataclass(frozen=True, slots=True)
class Found:
    """A table that is there. `key_columns` are empty where rows are appended."""

    table: Table
    key_columns: tuple[str, ...]


def made_engine(url: str) -> Engine:
    """Return an engine for one thread that writes.

    Raises:
        ConfigError: the address is none, or its driver is not installed.
    """
    try:
        return create_engine(url, hide_parameters=True)
    except (ArgumentError, NoSuchModuleError) as error:
        raise ConfigError(
            f"the address of the database is none: {error}; write postgresql+psycopg://user:password@host/name, or "
            "sqlite:///file.db"
        ) from None
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the driver of the database, {error.name}, is not installed: pip install 'psycopg[binary]' for "
            "postgresql+psycopg://…"
        ) from error


def ensure_supported(engine: Engine) -> None:
    """Accept a database that a sink knows.

    Raises:
        ConfigError: it is another one.
    """
    if engine.dialect.name not in _DIALECTS:
        raise ConfigError(
            f"a sink writes to PostgreSQL and to SQLite, and cannot write to {engine.dialect.name}: errors and upserts "
            "are another matter there"
        )


def find(engine: Engine, table: str | Table, mode: Mode, key_columns: Sequence[str] | None) -> Found:
    """Look at the table and at what tells its rows apart. Blocks; raises what SQLAlchemy raises, too.

    Raises:
        ConfigError: the table is not there, has nothing that tells rows apart, or nothing is ever rolled back here.
    """
    with engine.connect() as connection:
        if connection.get_isolation_level() == "AUTOCOMMIT":
            raise ConfigError(
                "the engine commits each statement by itself (isolation_level='AUTOCOMMIT'): rows and their position "
                "would not be one transaction; make it without"
            )
        found = table if isinstance(table, Table) else _reflected(connection, table)
    if mode == "append":
        return Found(found, ())
    columns = tuple(key_columns or (column.key for column in found.primary_key.columns))
    if not columns:
        raise ConfigError(
            f"{found.fullname!r} has no primary key: name the columns that tell rows apart with key_columns=, or "
            "append with mode='append'"
        )
    ensure_known_by(engine, found, columns)
    return Found(found, columns)


def _reflected(connection: Connection, name: str) -> Table:
    schema, _, table = name.rpartition(".")
    try:
        return Table(table, MetaData(), schema=schema or None, autoload_with=connection)
    except NoSuchTableError:
        raise ConfigError(
            f"there is no table {name!r} at {connection.engine.url.render_as_string()}: create it first; a sink makes "
            "no table but that of its positions"
        ) from None
