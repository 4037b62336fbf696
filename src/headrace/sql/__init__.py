"""Out to a database, once: rows of a topic's records, and how far they are, in one transaction of the database.

It needs the extra `sql`, and the driver of your database: `pip install 'headrace[sql]' 'psycopg[binary]'`.
"""

try:
    from headrace.sql.rows import ReadRecord
    from headrace.sql.sink import Sink
except ModuleNotFoundError as error:
    if error.name != "sqlalchemy":
        raise
    raise ImportError(
        "headrace.sql needs sqlalchemy, which is not installed: pip install 'headrace[sql]'"
    ) from error

__all__ = ["ReadRecord", "Sink"]
