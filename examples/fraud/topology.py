"""Fraud detection: cards that are used too often, for too much, or in a new country. One alert for each ten minutes.

Shows: several figures in one aggregate, thresholds, and a store that remembers what has gone out. The results of
windows and of a processor meet in one stream.

Three rules. In ten minutes a card is used no more than four times, and for no more than 1,000 altogether; and it stays
in the countries that it was used in before, of which the first is taken as it comes. A card that breaks one has an
alert at once. More of them would tell nothing new: until its ten minutes are over there is no second one.

In: `payments`, a `Payment` as JSON, with the card as key.
Out: `fraud-alerts`, the reason, with the card as key.

`service.py` runs it as a web service, and `README.md` shows both with payments.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import headrace as hr
from headrace import stores
from headrace.stores import KeyValueStore, WindowStore

PAYMENTS_MAX = 4
TOTAL_MAX = 1_000.0
WINDOW_MS = 600_000


@dataclass(frozen=True)
class Payment:
    """What was paid, and where."""

    amount: float
    country: str


@dataclass(frozen=True)
class Activity:
    """What a card was used for in a window."""

    payments: int = 0
    total: float = 0.0


PAYMENTS = hr.Topic("payments", value=Payment)
ALERTS = hr.Topic("fraud-alerts", value=str)

# Without its cache, which holds updates back until the next commit: an alert is to say what broke the rule.
ACTIVITY = stores.window("activity", key=str, value=Activity, caching=False)
COUNTRIES = stores.key_value("countries", key=str, value=list[str])
# What people ask for the alerts of a card.
ALERTED = stores.window("alerted", key=str, value=str, size="10m", retention="1h")


def add(card: str, payment: Payment, so_far: Activity) -> Activity:
    """Keep both figures in one aggregate: one store, one update a payment."""
    return Activity(so_far.payments + 1, so_far.total + payment.amount)


def too_much(window: hr.Windowed[str], activity: Activity) -> Iterator[tuple[str, str]]:
    """Give a reason for each threshold that a window is above, with the card as key."""
    if activity.payments > PAYMENTS_MAX:
        yield window.key, f"{activity.payments} payments in ten minutes"
    if activity.total > TOTAL_MAX:
        yield window.key, f"{activity.total:.2f} in ten minutes"


@hr.processor(COUNTRIES)
def new_country(
    record: hr.Record[str, Payment], known: KeyValueStore[str, list[str]]
) -> Iterator[hr.Record[str, str]]:
    """Give a reason for a country that the card is used in for the first time, but for its very first."""
    countries = known.get(record.key) or []
    country = record.value.country
    if country not in countries:
        known.put(record.key, [*countries, country])
        if countries:
            yield record.with_value(f"a new country: {country}")


@hr.processor(ALERTED)
def once_a_window(
    record: hr.Record[str, str], alerted: WindowStore[str, str]
) -> Iterator[hr.Record[str, str]]:
    """Let the first reason of each card and window pass."""
    start = record.timestamp - record.timestamp % WINDOW_MS
    if alerted.get(record.key, start) is None:
        alerted.put(record.key, record.value, start)
        yield record


builder = hr.StreamsBuilder()
payments = builder.stream(PAYMENTS)
activity = (
    payments.group_by_key()
    .windowed_by(hr.TimeWindows("10m", grace="1m"))
    .aggregate(Activity, add, store=ACTIVITY)
)
(
    activity.to_stream()
    .flat_map(too_much)  # the card is key again, and still in its partition: nothing to repartition
    .merge(payments.process(new_country))
    .process(once_a_window)
    .to(ALERTS)
)
topology = builder.build()
