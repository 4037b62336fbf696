"""Ends a child that a function of the user forked within the worker's thread, and that came back to the worker."""

import os

__all__ = ["end_if_forked"]


def end_if_forked(process_id: int) -> None:
    """End this process at once unless it is the one with this id: the worker belongs to its parent.

    Files, connections and transactions are those of the parent. A child that went on would write outputs twice, and one
    that closed them would abort what the parent has under way: so nothing is closed, and nothing flushed.
    """
    if os.getpid() == process_id:
        return
    os.write(
        2,
        f"headrace: process {os.getpid()} ends: a function of the application forked it from process {process_id}, "
        f"which goes on alone; let such a child end itself, by os._exit()\n".encode(),
    )
    os._exit(1)
