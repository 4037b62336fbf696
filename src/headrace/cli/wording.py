"""How rows of what was found are shown, in columns."""

from collections.abc import Iterable, Sequence

__all__ = ["table"]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return rows in columns below their heads; numbers stand to the right.

    >>> print(table(("topic", "records"), [("lines", 7), ("counts", 12)]))
    topic   records
    lines         7
    counts       12
    """
    found = list(rows)
    texts = [[str(cell) for cell in row] for row in found]
    widths = [max(len(cell) for cell in column) for column in zip(head, *texts)]
    is_number = [any(isinstance(row[index], int) for row in found) for index in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(cells, widths, is_number)
        )
        return "  ".join(padded).rstrip()

    return "\n".join(line(cells) for cells in (head, *texts))
