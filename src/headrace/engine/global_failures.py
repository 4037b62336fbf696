"""Who decides about records that fail on their way into a global store. Source: KIP-1270."""

import logging
from dataclasses import replace

from headrace.engine.options import EngineOptions
from headrace.processor.handlers import Failure, Handler, Reaction, log_and_fail

__all__ = ["of_global_stores"]

_log = logging.getLogger("headrace.failures")


def of_global_stores(options: EngineOptions) -> EngineOptions:
    """Return the options with the handlers that global stores have, and without spans.

    The processing handler is asked only with `processing.exception.handler.global.enabled`. Each instance reads all of
    their topics, and again after a loss: nothing follows from that for a trace.
    """
    is_asked = options.processing_exception_handler_global_enabled
    return replace(
        options,
        deserialization_exception_handler=_without_dead_letters(options.deserialization_exception_handler),
        processing_exception_handler=_without_dead_letters(options.processing_exception_handler)
        if is_asked
        else log_and_fail,
        tracing_enabled=False,
    )


def _without_dead_letters(handler: Handler) -> Handler:
    """Let a handler that asks for a dead letter have its record dropped.

    A dead letter belongs to a task's transaction, and a global store to none: each instance would write it, each time
    that the store is read anew.
    """

    def decide(failure: Failure) -> Reaction:
        reaction = handler(failure)
        if isinstance(reaction, Reaction) and reaction.kind == "dead_letter":
            _log.warning(
                "%s: no dead letter is written of a global store's record (topic %s, partition %d, offset %d)",
                failure.node, failure.topic, failure.partition, failure.offset,
            )  # fmt: skip
            return Reaction.resume
        return reaction

    return decide
