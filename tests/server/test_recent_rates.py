"""Rates between the questions of whoever looks."""

from headrace.server.recent_rates import RecentRates


def test_who_looks_for_the_first_time_knows_no_rate() -> None:
    rates = RecentRates()
    assert rates.of({"in": 1_000_000}, 0.0) == {}
    assert rates.of({"in": 1_000_100, "out": 5}, 2.0) == {"in": 50.0}
    assert rates.of({"in": 1_000_100, "out": 9}, 4.0) == {"in": 25.0}


def test_rate_is_that_of_the_last_minute() -> None:
    rates = RecentRates()
    rates.of({"in": 0}, 0.0)
    rates.of({"in": 600}, 30.0)
    assert rates.of({"in": 600}, 60.0) == {"in": 10.0}
    assert rates.of({"in": 600}, 80.0) == {"in": 0.0}
    assert rates.of({"in": 700}, 400.0) == {}


def test_questions_that_come_at_once_are_answered_alike() -> None:
    rates = RecentRates()
    rates.of({"in": 0}, 0.0)
    assert rates.of({"in": 10}, 0.5) == {}
    for _ in range(1000):
        assert rates.of({"in": 100}, 10.0) == {"in": 10.0}


def test_counter_that_begins_anew_has_no_negative_rate() -> None:
    rates = RecentRates()
    rates.of({"in": 100}, 0.0)
    assert rates.of({"in": 3}, 10.0) == {"in": 0.0}
