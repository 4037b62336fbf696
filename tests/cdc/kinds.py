"""Classes of the rows that were recorded."""

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated
from uuid import UUID

import headrace as hr
from headrace.cdc import Scale, TimeUnit

__all__ = ["KINDS_KEY", "Document", "Feeling", "Kind", "Large"]

KINDS_KEY = hr.cdc.key("id", int)


class Feeling(Enum):
    SAD = "sad"
    HAPPY = "happy"


@dataclass
class Document:
    a: int


@dataclass
class Kind:
    id: int
    name: str
    data: bytes | None = None
    n: Decimal | None = None
    price: Annotated[Decimal, Scale(2)] | None = None
    flag: bool | None = None
    small: int | None = None
    f8: float | None = None
    day: date | None = None
    at: time | None = None
    at3: Annotated[time, TimeUnit.MILLISECONDS] | None = None
    atz: time | None = None
    ts: datetime | None = None
    ts3: Annotated[datetime, TimeUnit.MILLISECONDS] | None = None
    tsz: datetime | None = None
    span: timedelta | None = None
    uid: UUID | None = None
    doc: Document | None = None
    feeling: Feeling | None = None
    tags: list[str] | None = None
    amounts: list[Decimal] | None = None
    money: Annotated[Decimal, Scale(2)] | None = None


@dataclass
class Large:
    """Without those of its arrays whose mark nobody can tell."""

    id: int
    c: int
    t: str
    b: bytes
    j: str
    ta: list[str]
    ia: list[int]
    ba: list[int]
    ua: list[UUID]
    h: dict[str, str]
    xm: str
    ja: list[str]
    da: list[date]
    missing: str = field(default="a default of the class")
