"""Commits and steps to another epoch take turns."""

from headrace.kafka.group.lease import CommitLease


def new_lease() -> tuple[CommitLease, list[str]]:
    returned: list[str] = []
    return CommitLease(lambda: returned.append("returned")), returned


def test_a_commit_begins_where_nothing_else_does() -> None:
    lease, returned = new_lease()
    assert lease.borrow()
    lease.give_back()
    assert lease.borrow()
    assert returned == []


def test_a_step_waits_for_the_commit_and_hears_of_its_end() -> None:
    lease, returned = new_lease()
    assert lease.borrow()
    assert not lease.close()
    lease.give_back()
    assert returned == ["returned"]
    assert lease.close()


def test_no_commit_begins_while_a_step_is_under_way() -> None:
    lease, _ = new_lease()
    assert lease.close()
    assert not lease.borrow()
    lease.open()
    assert lease.borrow()


def test_no_commit_begins_before_the_worker_has_heard_of_the_step() -> None:
    lease, _ = new_lease()
    assert lease.close()
    lease.told()
    lease.told()
    lease.open()
    assert not lease.borrow()
    lease.taken()
    assert not lease.borrow()
    lease.taken()
    assert lease.borrow()


def test_who_was_not_lent_it_has_nothing_to_give_back() -> None:
    lease, returned = new_lease()
    assert lease.close()
    assert not lease.borrow()
    assert lease.close()
    assert returned == []
