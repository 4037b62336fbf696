"""What a cluster does to an application: brokers go, answers are lost, a second self comes. No record may suffer."""

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.testing import LocalKafka
from tests.budget import IS_LONG, some
from tests.faults import plain
from tests.faults.site import SHORT_SESSION, Protocol, Site, two_sites
from tests.kafka.broker.proxy import Fault, Proxy

#: Requests of the protocol, by their keys.
PRODUCE, FETCH, METADATA, INIT_PRODUCER_ID, END_TXN, TXN_OFFSET_COMMIT = 0, 1, 3, 22, 26, 28

#: A lost answer is noticed by the request's time-out, which is 30 s by default.
QUICK = {"request.timeout.ms": "1500"}

pytestmark = [pytest.mark.broker, pytest.mark.process, pytest.mark.timeout(900)]


def test_at_least_once_loses_nothing_when_it_is_killed(tmp_path: Path, kafka: LocalKafka) -> None:
    moments = random.Random(5)
    site = Site(tmp_path, kafka.bootstrap_servers, is_exactly_once=False)
    feed = plain.Feed(site, seed=5)
    for _ in range(6 if IS_LONG else 3):
        feed.write(moments.randrange(3_000, 6_000))
        process = plain.start(site)
        plain.wait_until_running(site, process)
        time.sleep(moments.uniform(0.0, 0.3))  # the moment of the kill is what is tested
        process.kill()
        process.communicate()
    plain.drain(site)
    feed.close()
    plain.check_nothing_lost(site, feed.written)


PROTOCOLS = pytest.mark.parametrize("protocol", ["classic", "streams"])


@pytest.mark.parametrize(
    ("is_exactly_once", "protocol"),
    some([(True, "classic"), (True, "streams"), (False, "streams"), (False, "classic")], 2),
)
def test_two_instances_share_the_work_and_whoever_is_left_takes_over(
    tmp_path: Path, kafka: LocalKafka, is_exactly_once: bool, protocol: Protocol
) -> None:
    sites = two_sites(
        tmp_path,
        kafka.bootstrap_servers,
        is_exactly_once=is_exactly_once,
        properties=SHORT_SESSION,
        protocol=protocol,
    )
    moments = random.Random(6)
    feed = plain.Feed(sites[0], seed=6)
    processes = [plain.start(site) for site in sites]
    for site, process in zip(sites, processes):
        plain.wait_until_running(site, process)
    for number in range(4 if IS_LONG else 2):
        feed.write(1_500)
        time.sleep(moments.uniform(0.0, 1.5))  # the moment of the kill is what is tested
        processes[number % 2].kill()
        processes[number % 2].communicate()
        feed.write(1_500)
        processes[number % 2] = plain.start(sites[number % 2])
        plain.wait_until_running(sites[number % 2], processes[number % 2])
    plain.wait_until_drained(sites[0], processes[0])
    for process in processes:
        assert process.poll() is None, plain.errors_of(sites[0])
        process.kill()
        process.communicate()
    plain.drain(sites[1])
    feed.close()
    (plain.check if is_exactly_once else plain.check_nothing_lost)(sites[1], feed.written)


def test_self_elsewhere_takes_over_from_one_that_was_killed(tmp_path: Path, kafka: LocalKafka) -> None:
    first, second = two_sites(tmp_path, kafka.bootstrap_servers, properties=SHORT_SESSION)
    feed = plain.Feed(first, seed=13)
    for site in (first, second, first):
        feed.write(1_500)
        process = plain.start(site)
        plain.wait_until_running(site, process)
        process.kill()
        process.communicate()
    plain.drain(second)
    feed.close()
    plain.check(second, feed.written)


@pytest.mark.parametrize("is_exactly_once", [True, False])
def test_self_that_slept_longer_than_its_session_goes_on_where_nobody_took_over(
    tmp_path: Path, kafka: LocalKafka, is_exactly_once: bool
) -> None:
    site = Site(tmp_path, kafka.bootstrap_servers, is_exactly_once, SHORT_SESSION)
    feed = plain.Feed(site, seed=14)
    process = plain.start(site)
    plain.wait_until_running(site, process)
    for _ in range(2 if IS_LONG else 1):
        feed.write(3_000)
        process.send_signal(signal.SIGSTOP)
        time.sleep(6)  # the length of the sleep is what is tested
        process.send_signal(signal.SIGCONT)
    plain.wait_until_drained(site, process)
    process.kill()
    process.communicate()
    plain.drain(site)
    feed.close()
    (plain.check if is_exactly_once else plain.check_nothing_lost)(site, feed.written)


@PROTOCOLS
def test_one_that_slept_while_another_took_over_commits_nothing_of_before(
    tmp_path: Path, kafka: LocalKafka, protocol: Protocol
) -> None:
    first, second = two_sites(tmp_path, kafka.bootstrap_servers, properties=SHORT_SESSION, protocol=protocol)
    feed = plain.Feed(first, seed=12)
    feed.write(5_000)
    older = plain.start(first)
    plain.wait_until_running(first, older)
    time.sleep(0.3)  # into the load: what it had under way when it fell asleep is what is tested
    older.send_signal(signal.SIGSTOP)
    plain.take_over_and_wake(first, second, feed, older, 2_000)


def test_broker_that_restarts_under_load_costs_no_record(tmp_path: Path, kafka_to_kill: LocalKafka) -> None:
    site = Site(tmp_path, kafka_to_kill.bootstrap_servers)
    feed = plain.Feed(site, seed=8)
    feed.write(20_000)
    process = plain.start(site)
    plain.wait_until_running(site, process)
    for _ in range(2 if IS_LONG else 1):
        kafka_to_kill.kill_broker(0)
        kafka_to_kill.start_broker(0)
        feed.write(5_000)
    assert process.poll() is None, plain.errors_of(site)
    process.kill()
    process.communicate()
    plain.drain(site)
    feed.close()
    plain.check(site, feed.written)


@pytest.mark.skipif("FAULT_KILLS" not in os.environ, reason="waits for minutes: see `make faults`")
@pytest.mark.parametrize(
    ("is_exactly_once", "seconds"),
    # Longer than transaction.timeout.ms, and longer than default.api.timeout.ms.
    [(True, 30), (False, 75)],
)
def test_broker_that_is_away_for_long_costs_no_record_and_no_restart(
    tmp_path: Path, kafka_to_kill: LocalKafka, is_exactly_once: bool, seconds: float
) -> None:
    site = Site(tmp_path, kafka_to_kill.bootstrap_servers, is_exactly_once=is_exactly_once)
    feed = plain.Feed(site, seed=11)
    feed.write(60_000)
    process = plain.start(site)
    plain.wait_until_running(site, process)
    kafka_to_kill.kill_broker(0)
    time.sleep(seconds)  # the length of the outage is what is tested
    kafka_to_kill.start_broker(0)
    feed.write(10_000)
    plain.wait_until_drained(site, process)
    process.kill()
    process.communicate()
    plain.drain(site)
    feed.close()
    (plain.check if is_exactly_once else plain.check_nothing_lost)(site, feed.written)


HURTS: dict[str, Callable[[Proxy], Fault | int]] = {
    "produce answer lost": lambda proxy: proxy.swallow_answers(api_key=PRODUCE),
    "end of transaction answer lost": lambda proxy: proxy.swallow_answers(api_key=END_TXN),
    "offsets answer lost": lambda proxy: proxy.swallow_answers(api_key=TXN_OFFSET_COMMIT),
    "fetch answer lost": lambda proxy: proxy.swallow_answers(api_key=FETCH),
    "end of transaction answer cut": lambda proxy: proxy.cut_answers(api_key=END_TXN),
    "produce request cut": lambda proxy: proxy.cut_requests(api_key=PRODUCE),
    "fetch answer cut": lambda proxy: proxy.cut_answers(api_key=FETCH),
    "all connections cut": lambda proxy: proxy.cut_connections(),
    "answers slow": lambda proxy: proxy.delay_answers(0.4, count=40),
}


def test_connections_that_fail_cost_no_record(
    tmp_path: Path, proxied_kafka: tuple[LocalKafka, Proxy]
) -> None:
    kafka, proxy = proxied_kafka
    site = Site(tmp_path, kafka.bootstrap_servers, properties=QUICK)
    feed = plain.Feed(site, seed=9)
    feed.write(5_000)
    process = plain.start(site)
    plain.wait_until_running(site, process)
    for name, hurt in HURTS.items():
        faults = []
        for _ in range(2 if IS_LONG else 1):
            faults.append(hurt(proxy))
            feed.write(5_000)
        try:
            plain.wait_until_drained(site, process)
        except AssertionError as error:
            error.add_note(f"after: {name}")
            raise
        assert all(fault.happened for fault in faults if isinstance(fault, Fault)), name
        proxy.clear()
    process.kill()
    process.communicate()
    plain.drain(site)
    feed.close()
    plain.check(site, feed.written)


def test_leaders_that_move_and_a_broker_that_is_lost_cost_no_record(
    tmp_path: Path, kafka_of_three: LocalKafka
) -> None:
    kafka = kafka_of_three
    site = Site(tmp_path, kafka.bootstrap_servers)
    feed = plain.Feed(site, seed=10)
    feed.write(15_000)
    process = plain.start(site)
    plain.wait_until_running(site, process)
    for lost in some((0, 1, 2), 2):
        kafka.kill_broker(lost)
        feed.write(3_000)
        kafka.start_broker(lost)
        feed.write(3_000)
    plain.wait_until_drained(site, process)
    process.kill()
    process.communicate()
    plain.drain(site)
    feed.close()
    plain.check(site, feed.written)
