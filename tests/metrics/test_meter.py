import math

from headrace.metrics.meter import Meter


def test_a_meter_knows_the_last_minute() -> None:
    meter = Meter(1000.0)
    meter.record(6.0, 1000.0, 3)
    meter.record(10.0, 1010.0)
    assert (meter.average(1010.0), meter.maximum(1010.0), meter.minimum(1010.0)) == (4.0, 10.0, 2.0)
    assert meter.rate(1010.0) == 0.4
    assert meter.share(1010.0) == 0.0016


def test_what_is_older_than_a_minute_counts_in_totals_alone() -> None:
    meter = Meter(0.0)
    meter.record(5.0, 1.0)
    assert meter.average(59.0) == 5.0
    assert math.isnan(meter.average(60.0))
    assert math.isnan(meter.maximum(60.0))
    assert meter.rate(60.0) == 0.0
    meter.record(1.0, 61.0)
    assert (meter.average(61.0), meter.count, meter.sum, meter.most) == (1.0, 2, 6.0, 5.0)


def test_a_rate_after_a_silence_is_one_of_the_silence_too() -> None:
    meter = Meter(0.0)
    meter.record(1.0, 0.0, 600)
    meter.record(1.0, 89.0, 59)
    assert meter.rate(89.0) == 1.0


def test_a_meter_that_has_recorded_nothing_has_no_average() -> None:
    meter = Meter(0.0)
    assert math.isnan(meter.average(0.0))
    assert meter.rate(0.0) == 0.0
