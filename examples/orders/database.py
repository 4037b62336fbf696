"""The shop's database: orders and products, the outbox that tells of them, and what is to be done about orders.

The outbox is what makes *written* and *told* one thing: an event is a row of the very transaction that it tells of.
It is a database of PostgreSQL or SQLite.
"""

from dataclasses import asdict
from uuid import uuid4

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError

from examples.orders.events import OrderPlaced, ProductPriced

__all__ = ["approvals", "open_database", "order_of", "outbox", "place", "price", "shipments"]

#: A lock of the database's, by a number that nobody else has.
_TABLES = 0x0DE25

metadata = MetaData()
orders = Table(
    "orders",
    metadata,
    Column("id", String, primary_key=True),
    Column("customer", String, nullable=False),
    Column("product", String, nullable=False),
    Column("quantity", Integer, nullable=False),
)
products = Table(
    "products",
    metadata,
    Column("name", String, primary_key=True),
    Column("price", BigInteger, nullable=False),
)
#: Its columns are those that Debezium's event router looks for; the number is there for `relay`, and orders events.
outbox = Table(
    "outbox",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("aggregatetype", String, nullable=False),
    Column("aggregateid", String, nullable=False),
    Column("type", String, nullable=False),
    Column("payload", JSON().with_variant(JSONB(), "postgresql"), nullable=False),
)


def _deliveries(name: str) -> Table:
    # Nothing keeps an order from being there twice but that each is written once.
    return Table(
        name,
        metadata,
        Column("number", Integer, primary_key=True),
        Column("order_id", String, nullable=False),
        Column("customer", String, nullable=False),
        Column("product", String, nullable=False),
        Column("quantity", Integer, nullable=False),
        Column("total", BigInteger, nullable=False),
    )


shipments, approvals = _deliveries("shipments"), _deliveries("approvals")


def open_database(address: str) -> Engine:
    """Open the database, and make the tables that are not there."""
    # A connection that a restart of the server has ended is not handed out.
    engine = create_engine(address, pool_pre_ping=True)
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            # Two processes that look at once would both find no table, and the second would fail to make it.
            connection.execute(select(func.pg_advisory_xact_lock(_TABLES)))
        metadata.create_all(connection)
    return engine


def place(engine: Engine, placed: OrderPlaced) -> bool:
    """Write an order and the event that tells of it, in one transaction; False where the order was there before."""
    try:
        with engine.begin() as connection:
            connection.execute(
                insert(orders).values(
                    id=placed.order,
                    customer=placed.customer,
                    product=placed.product,
                    quantity=placed.quantity,
                )
            )
            _tell(connection, "order", placed.order, placed)
    except IntegrityError:
        if order_of(engine, placed.order) is None:
            raise
        return False
    return True


def price(engine: Engine, priced: ProductPriced) -> None:
    """Write what a product costs and the event that tells of it, in one transaction."""
    with engine.begin() as connection:
        changed = connection.execute(
            update(products).where(products.c.name == priced.product).values(price=priced.price)
        )
        if not changed.rowcount:
            connection.execute(insert(products).values(name=priced.product, price=priced.price))
        _tell(connection, "product", priced.product, priced)


def order_of(engine: Engine, order: str) -> OrderPlaced | None:
    """Return an order as it was placed."""
    with engine.connect() as connection:
        row = connection.execute(select(orders).where(orders.c.id == order)).one_or_none()
    return None if row is None else OrderPlaced(row.id, row.customer, row.product, row.quantity)


def _tell(connection: Connection, kind: str, of: str, event: OrderPlaced | ProductPriced) -> None:
    connection.execute(
        insert(outbox).values(
            id=str(uuid4()),
            aggregatetype=kind,
            aggregateid=of,
            type=type(event).__name__,
            payload=asdict(event),
        )
    )
