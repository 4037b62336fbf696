"""The stream time of an operator, which each of the loops that it ends moves on."""

__all__ = ["StreamTime"]


class StreamTime:
    """Highest timestamp that an operator has seen in a task (epoch ms), -1 before the first."""

    __slots__ = ("ms",)

    def __init__(self) -> None:
        self.ms = -1
