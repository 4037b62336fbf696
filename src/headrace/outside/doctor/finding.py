"""What a doctor says: values that the command line, or a page, shows."""

from dataclasses import dataclass
from enum import Enum

__all__ = ["Finding", "Severity"]


class Severity(Enum):
    """How bad it is, the least first."""

    FINE = "fine"
    NOTE = "note"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: what it is about, such as "topic 'orders'".
        text: what was found.
        advice: what to do; empty where that is nothing.
    """

    severity: Severity
    subject: str
    text: str
    advice: str = ""
