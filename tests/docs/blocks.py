"""The blocks of code in the documentation's pages, and what a page says of one in the comment above it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"

#: What a comment above a block may say. `not run`: it needs what a test has not, and is compiled alone. `another
#: library`: it is no code of ours. `not output`: a text that no program prints. `another file`: none of properties.
NOTES = ("not run", "another library", "not output", "another file")

_FENCE = re.compile(r"^(?:<!-- ([a-z ]+?)(?::[^\n]*?)? -->\n\n?)?```([^\n]*)\n(.*?)^```$", re.S | re.M)


#: A table that a topology is to give: `<!-- over time: topology -->` above it. Options of the driver may follow.
_TABLE = re.compile(r"^<!-- over time: ([^\n]*?) -->\n((?:\|[^\n]*\n)+)", re.M)


@dataclass(frozen=True)
class Block:
    """One block: of which page, the line of its first line there, its language, and the note above it."""

    page: Path
    line: int
    language: str
    text: str
    note: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(DOCS)}:{self.line}"

    @property
    def file(self) -> str | None:
        """The name of the file that it is, where its first line says so: `# wordcount.py`."""
        found = re.match(r"# ([\w/.-]+\.\w+)(?:$|[ ,:])", self.text, re.M)
        return found[1] if found else None


def pages() -> list[Path]:
    """All pages that somebody has written, in order."""
    made = {DOCS / "reference"}
    return [
        page
        for page in sorted(DOCS.rglob("*.md"))
        if made.isdisjoint(page.parents) and "_build" not in page.parts
    ]


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in order."""
    return list(_blocks(page, page.read_text()))


def _blocks(page: Path, text: str) -> Iterator[Block]:
    for found in sorted([*_FENCE.finditer(text), *_TABLE.finditer(text)], key=re.Match.start):
        if found.re is _TABLE:
            yield Block(page, text.count("\n", 0, found.start(2)) + 1, "over time", found[2], found[1])
        else:
            line = text.count("\n", 0, found.start(3)) + 1
            yield Block(page, line, found[2], found[3], found[1] or "")
