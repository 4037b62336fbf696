from headrace.metrics.rates import Rates


def reading(rates: Rates, now: float, total: float, counter: str = "records") -> float:
    rates.begin(now)
    return rates.rate(counter, total, now)


def test_the_first_rate_is_that_since_the_beginning() -> None:
    assert reading(Rates(100.0), 110.0, 50) == 5.0


def test_later_rates_are_those_of_the_last_minute() -> None:
    rates = Rates(0.0)
    assert reading(rates, 10.0, 100) == 10.0
    assert reading(rates, 30.0, 100) == 0.0  # since the reading at 10 s
    assert reading(rates, 40.0, 400) == 10.0


def test_a_counter_that_begins_anew_has_no_negative_rate() -> None:
    rates = Rates(0.0)
    reading(rates, 10.0, 100)
    reading(rates, 30.0, 100)
    assert reading(rates, 40.0, 60) == 2.0


def test_counters_are_told_apart() -> None:
    rates = Rates(0.0)
    assert reading(rates, 10.0, 100) == 10.0
    assert reading(rates, 10.0, 20, "bytes") == 2.0
