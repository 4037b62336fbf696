"""What an annotation may say of a column that the bytes do not: the unit of a time, the scale of a decimal number."""

from dataclasses import dataclass
from enum import Enum

__all__ = ["Scale", "TimeUnit"]


class TimeUnit(Enum):
    """What a whole number counts that stands for a time: `Annotated[datetime, TimeUnit.MILLISECONDS]`."""

    MILLISECONDS = 1_000
    MICROSECONDS = 1
    NANOSECONDS = -1_000

    def microseconds(self, count: int) -> int:
        """Return so many units in microseconds, nanoseconds rounded down."""
        return count * self.value if self.value > 0 else count // -self.value


@dataclass(frozen=True, slots=True)
class Scale:
    """Digits behind the point of a decimal number that comes as bytes: `Annotated[Decimal, Scale(2)]`."""

    digits: int
