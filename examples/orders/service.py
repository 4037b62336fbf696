"""The web service of the shop: it takes orders into the database, and says what has become of them.

It asks headrace for that, which runs in the same process.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager
from typing import Annotated, Literal
from uuid import UUID, uuid4

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError

import headrace as hr
from examples.orders.database import order_of, place, price
from examples.orders.events import Delivery, OrderPlaced, ProductPriced
from examples.orders.sinks import Deliveries
from examples.orders.topology import APPROVAL_FROM, DELIVERIES

__all__ = ["with_routes_of_orders", "worker"]

# What fits into the database. Whether an order makes sense is for the topology to say.
Name = Annotated[str, Field(pattern=r"^[^\x00]{1,200}$")]
Number = Annotated[int, Field(ge=-(2**31), lt=2**31)]


class NewOrder(BaseModel):
    """An order as a customer sends it. Sent again with the same id, it is the same order."""

    id: UUID = Field(default_factory=uuid4)
    customer: Name
    product: Name
    quantity: Number


class Price(BaseModel):
    """What a piece costs, in cents."""

    price: Annotated[int, Field(ge=0, lt=2**31)]


class OrderState(BaseModel):
    """An order, and how far it is: one that stays "placed" is a dead letter."""

    id: str
    customer: str
    product: str
    quantity: int
    state: Literal["placed", "to ship", "to approve"]
    total: int | None = None


def worker(
    streams: hr.Streams,
    into_database: Mapping[str, Deliveries],
    beside: Iterable[AbstractContextManager[object]] = (),
) -> FastAPI:
    """Make what every process has: application and sinks, for as long as it runs, and headrace's own routes."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with ExitStack() as running:
            for each in (*into_database.values(), *beside):
                running.enter_context(each)
            async with streams:
                yield

    web = FastAPI(title="Orders", lifespan=lifespan)
    web.mount("/streams", hr.server.asgi(streams))

    @web.get("/health")
    def health(response: Response) -> dict[str, str]:
        """Say how application and sinks are: 503 where one of them does not run."""
        states = {name: sink.trouble or sink.state for name, sink in into_database.items()}
        states["streams"] = streams.state
        if any(state != "running" for state in states.values()):
            response.status_code = 503
        return states

    return web


def with_routes_of_orders(web: FastAPI, streams: hr.Streams, engine: Engine) -> FastAPI:
    """Add what customers and shopkeepers ask. Plain functions: FastAPI runs them in threads, where they may wait."""

    @web.put("/products/{product}", status_code=204)
    def set_price(product: Name, asked: Price) -> None:
        """Say what a product costs, for all orders from now on."""
        price(engine, ProductPriced(product, asked.price))

    @web.post("/orders", status_code=201)
    def order(asked: NewOrder, response: Response) -> OrderState:
        """Take an order: it is in the database when the answer comes, 201, or 200 where it was there before."""
        placed = OrderPlaced(str(asked.id), asked.customer, asked.product, asked.quantity)
        if not place(engine, placed):
            if order_of(engine, placed.order) != placed:
                raise HTTPException(409, f"{placed.order} is another order")
            response.status_code = 200
        return _state(placed, None)

    @web.get("/orders/{order}")
    def state_of(order: UUID) -> OrderState:
        """Say how far an order is: the database has what was asked for, headrace what came of it."""
        placed = order_of(engine, str(order))
        if placed is None:
            raise HTTPException(404, f"there is no order {order}")
        return _state(placed, streams.query(DELIVERIES).get(placed.order))

    @web.exception_handler(hr.StoreUnavailableError)
    @web.exception_handler(OperationalError)
    @web.exception_handler(InterfaceError)
    @web.exception_handler(IntegrityError)  # two have priced a new product at once
    def unavailable(_: Request, error: Exception) -> JSONResponse:
        """Say that it is not known now. Of an order too: whoever sends it again with its id has it once."""
        return JSONResponse({"detail": f"{type(error).__name__}: ask again"}, 503)

    return web


def _state(placed: OrderPlaced, delivery: Delivery | None) -> OrderState:
    found = OrderState(
        id=placed.order,
        customer=placed.customer,
        product=placed.product,
        quantity=placed.quantity,
        state="placed",
    )
    if delivery is not None:
        found.state = "to approve" if delivery.total >= APPROVAL_FROM else "to ship"
        found.total = delivery.total
    return found
