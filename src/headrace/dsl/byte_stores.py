"""Stores in which operators keep records that wait, as bytes under keys of their own."""

from headrace.base.ids import Location
from headrace.dsl.stream_state import Flow
from headrace.serde.primitives import raw
from headrace.state.spec import StoreSpec

__all__ = ["byte_store"]


def byte_store(flow: Flow, name: str, where: Location) -> StoreSpec:
    """Return a store of bytes: logged, not cached, and where the topology's other stores are."""
    return StoreSpec(
        name=name,
        kind="key_value",
        timestamped=False,
        key=raw,
        value=raw,
        engine=flow.building.engine,
        caching=False,
        logging=True,
        where=where,
    )
