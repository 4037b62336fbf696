"""A registry within the process for each test, and one behind HTTP."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from headrace.serde.registry.mock import MockRegistry, mock_registry
from headrace.serde.serde import Serde
from tests.serde.registry.apicurio import Apicurio
from tests.serde.registry.http_front import HttpFront
from tests.serde.registry.java_serdes import JAVA_PROTOBUF, JAVA_SERDES, JavaSerdes


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fetch the real registry before the first test, whose time limit has not to allow for that."""
    asked = any("apicurio" in getattr(item, "fixturenames", ()) for item in session.items)
    if asked and not session.config.option.collectonly and Apicurio.unavailable() is None:
        Apicurio.prepare()
        JAVA_SERDES.class_path()
        JAVA_PROTOBUF.class_path()


@pytest.fixture(scope="session")
def apicurio() -> Iterator[Apicurio]:
    """One real registry for the session; tests keep apart by their topics' names."""
    reason = Apicurio.unavailable()
    if reason is not None:
        pytest.skip(reason)
    with Apicurio() as registry:
        yield registry


@pytest.fixture(scope="session")
def java(apicurio: Apicurio) -> Iterator[JavaSerdes]:
    """Java's serdes of Avro and JSON, on that registry."""
    with JavaSerdes(JAVA_SERDES, apicurio.native_url) as serdes:
        yield serdes


@pytest.fixture(scope="session")
def java_protobuf(apicurio: Apicurio) -> Iterator[JavaSerdes]:
    """Java's serde of Protobuf, on that registry."""
    with JavaSerdes(JAVA_PROTOBUF, apicurio.native_url) as serdes:
        yield serdes


@pytest.fixture
def registry(request: pytest.FixtureRequest) -> MockRegistry:
    """The registry `mock://<name of the test>`."""
    return mock_registry(request.node.nodeid)


@pytest.fixture
def configured(request: pytest.FixtureRequest) -> Callable[..., Serde[Any]]:
    """Tell a serde that registry, and other properties; returns it."""

    def configure(serde: Serde[Any], **properties: object) -> Serde[Any]:
        given = {name.replace("_", "."): value for name, value in properties.items()}
        serde.configure({"schema.registry.url": (f"mock://{request.node.nodeid}",), **given})
        return serde

    return configure


@pytest.fixture
def front() -> Iterator[HttpFront]:
    with HttpFront() as front:
        yield front
