"""How often something that happens again and again is warned of."""

__all__ = ["is_worth_a_warning"]


def is_worth_a_warning(seen: int) -> bool:
    """Whether the nth time in one place is logged: the 1st, 2nd, 3rd, 10th, 100th, 1,000th and so on.

    >>> [seen for seen in range(1, 2000) if is_worth_a_warning(seen)]
    [1, 2, 3, 10, 100, 1000]
    """
    return seen <= 3 or str(seen).strip("0") == "1"
