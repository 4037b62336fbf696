"""Branching: each record takes the way of its kind.

Shows: `split`. A record goes to the first branch whose predicate is true, and to no other.

In: `messages`, a `Message` as JSON.
Out: `emails` and `texts`, the messages of these kinds; `urgent`, those that are urgent, whatever their kind; and
`other-messages`, what is of no kind that we know.

In one terminal, run the application until Ctrl-C:

    $ headrace dev examples/branching.py

In another one, write messages and look at the results (`cut` leaves topic, partition, offset and time out):

    $ headrace topics write messages --app examples/branching.py <<'END'
    {"key": "ada", "value": {"kind": "email", "body": "hello"}}
    {"key": "ada", "value": {"kind": "text", "body": "fire!", "is_urgent": true}}
    {"key": "bob", "value": {"kind": "text", "body": "lunch?"}}
    {"key": "bob", "value": {"kind": "pigeon", "body": "coo"}}
    END
    wrote 4 records to messages
    $ headrace topics read emails --app examples/branching.py | cut -d, -f5-7
    "key":"ada","value":{"kind":"email","body":"hello"}
    $ headrace topics read texts --app examples/branching.py | cut -d, -f5-7
    "key":"bob","value":{"kind":"text","body":"lunch?"}
    $ headrace topics read urgent --app examples/branching.py | cut -d, -f5-8
    "key":"ada","value":{"kind":"text","body":"fire!","is_urgent":true}
    $ headrace topics read other-messages --app examples/branching.py | cut -d, -f5-7
    "key":"bob","value":{"kind":"pigeon","body":"coo"}
"""

from dataclasses import dataclass

import headrace as hr


@dataclass(frozen=True)
class Message:
    """Something to be delivered."""

    kind: str
    body: str
    is_urgent: bool = False


MESSAGES = hr.Topic("messages", value=Message)
URGENT = hr.Topic("urgent", value=Message)
EMAILS = hr.Topic("emails", value=Message)
TEXTS = hr.Topic("texts", value=Message)
OTHERS = hr.Topic("other-messages", value=Message)

builder = hr.StreamsBuilder()
(
    builder.stream(MESSAGES)
    .split()
    .branch(lambda key, message: message.is_urgent, then=lambda urgent: urgent.to(URGENT))
    .branch(lambda key, message: message.kind == "email", then=lambda emails: emails.to(EMAILS))
    .branch(lambda key, message: message.kind == "text", then=lambda texts: texts.to(TEXTS))
    .default_branch(then=lambda others: others.to(OTHERS))  # no_default_branch() would drop them
)
topology = builder.build()
