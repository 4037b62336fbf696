"""The statements that put rows into a table and delete them, on PostgreSQL and SQLite."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from sqlalchemy import Connection, Engine, Executable, Table, bindparam, inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import Insert as PostgresqlInsert
from sqlalchemy.dialects.sqlite import Insert as SqliteInsert

from headrace.base.errors import ConfigError
from headrace.sql.rows import Change

__all__ = ["Statements", "ensure_known_by", "last_of_each_key"]

#: Parameters of a deletion, whose names must not be those of columns.
_OLD = "headrace_old_"


class Statements:
    """Of one table. Rows replace those with equal `key_columns`; where there are none, they are appended."""

    def __init__(self, engine: Engine, table: Table, key_columns: Sequence[str]) -> None:
        self._table = table
        self._key_columns = tuple(key_columns)
        self._is_postgresql = engine.dialect.name == "postgresql"
        self._puts: dict[tuple[str, ...], Executable] = {}
        old = {name: bindparam(f"{_OLD}{name}", type_=table.columns[name].type) for name in key_columns}
        self._deletion = table.delete().where(*(table.columns[name] == value for name, value in old.items()))

    def apply(self, connection: Connection, changes: Iterable[Change]) -> None:
        """Make changes, in their order: neighbours of one kind are one call of the driver."""
        for (is_deletion, names), same in groupby(changes, _kind):
            if is_deletion:
                keys = [{f"{_OLD}{name}": value for name, value in each.row.items()} for each in same]
                connection.execute(self._deletion, keys)
            else:
                connection.execute(self._put(names), [dict(each.row) for each in same])

    def judge_at_once(self, connection: Connection) -> None:
        """Let constraints that are deferred to the commit be judged at each statement, in this transaction."""
        if self._is_postgresql:
            connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
        else:
            connection.exec_driver_sql("PRAGMA defer_foreign_keys = OFF")

    def _put(self, names: tuple[str, ...]) -> Executable:
        """Return the statement for rows with these columns. There are few kinds of rows."""
        found = self._puts.get(names)
        if found is None:
            found = self._puts[names] = self._made_put(names)
        return found

    def _made_put(self, names: tuple[str, ...]) -> Executable:
        statement: PostgresqlInsert | SqliteInsert
        statement = postgresql.insert(self._table) if self._is_postgresql else sqlite.insert(self._table)
        if not self._key_columns:
            return statement
        columns = self._table.columns
        known_by = [columns[name] for name in self._key_columns]
        others = [name for name in names if name not in self._key_columns]
        if not others:
            return statement.on_conflict_do_nothing(index_elements=known_by)
        return statement.on_conflict_do_update(
            index_elements=known_by,
            set_={columns[name].name: statement.excluded[columns[name].name] for name in others},
        )


def _kind(change: Change) -> tuple[bool, tuple[str, ...]]:
    return change.is_deletion, tuple(sorted(change.row))


def last_of_each_key(changes: Sequence[Change]) -> Sequence[Change]:
    """Return the last change of each key, in their order: what is left when all of them are made."""
    last = {change.identity: change for change in changes}
    if len(last) == len(changes):
        return changes
    return sorted(last.values(), key=_place)


def _place(change: Change) -> int:
    return change.place


def ensure_known_by(engine: Engine, table: Table, key_columns: Sequence[str]) -> None:
    """Accept columns that tell rows apart in the database itself.

    Raises:
        ConfigError: there is no such constraint, or a column is missing.
    """
    missing = [name for name in key_columns if name not in table.columns]
    if missing:
        raise ConfigError(
            f"{table.fullname!r} has no column {', '.join(map(repr, missing))} to know its rows by: its columns are "
            f"{', '.join(map(repr, table.columns.keys()))}"
        )
    wanted = {table.columns[name].name for name in key_columns}
    if not any(set(found) == wanted for found in _unique(engine, table)):
        raise ConfigError(
            f"cannot keep one row for each {', '.join(key_columns)} in {table.fullname!r}: the database has no unique "
            f"index on exactly that; make it the primary key, or CREATE UNIQUE INDEX … ON {table.fullname} "
            f"({', '.join(sorted(wanted))})"
        )


def _unique(engine: Engine, table: Table) -> Iterator[Sequence[str]]:
    found = inspect(engine)
    yield found.get_pk_constraint(table.name, table.schema)["constrained_columns"]
    for constraint in found.get_unique_constraints(table.name, table.schema):
        yield constraint["column_names"]
    for index in found.get_indexes(table.name, table.schema):
        if index["unique"] and not index.get("dialect_options", {}).get("postgresql_where"):
            yield [name for name in index["column_names"] if name is not None]
