"""Word count: how often each word has come so far.

Shows: `group_by` and `count`. A count is state, and lives in a store, which has a name, survives a crash, and can be
looked into.

In: `lines`, text.
Out: `word-counts`, a word as key and its count so far. A later record of a word replaces those before it.

In one terminal, run the application until Ctrl-C; it starts anew whenever this file changes:

    $ headrace dev examples/word_count.py

In another one, write lines and look at the results (`cut` leaves topic, partition, offset and time out):

    $ headrace topics write lines --app examples/word_count.py <<'END'
    {"value": "To be or not to be"}
    {"value": "Be quick"}
    END
    wrote 2 records to lines
    $ headrace topics read word-counts --app examples/word_count.py | cut -d, -f5,6
    "key":"to","value":2
    "key":"or","value":1
    "key":"not","value":1
    "key":"be","value":3
    "key":"quick","value":1

There is one record for "be", and not three: the store's cache holds updates back until the next commit. Write another
line, and only the words in it come again.
"""

import headrace as hr
from headrace import stores

LINES = hr.Topic("lines", value=str)
COUNTS = hr.Topic("word-counts", value=int)
WORDS = stores.key_value("words", key=str, value=int)


def words(line: str) -> list[str]:
    """Split a line into words, without regard to case."""
    return line.lower().split()


builder = hr.StreamsBuilder()
(
    builder.stream(LINES)
    .flat_map_values(words)
    .group_by(lambda key, word: word)  # equal words meet in one partition, by way of an internal topic
    .count(store=WORDS)  # a table: a count for each word
    .to_stream()  # the table's updates
    .to(COUNTS)
)
topology = builder.build()
