"""What a user of a broker with an authorizer may do: nothing, until a test allows it."""

from typing import Literal

from kafka.protocol.admin import CreateAclsRequest

from headrace.kafka.net.network import Network
from headrace.kafka.options import ConnectionSettings
from headrace.testing import LocalKafka

__all__ = ["allow"]

Resource = Literal["topic", "group", "cluster", "transactional_id"]
Operation = Literal["READ", "WRITE", "CREATE", "DELETE", "DESCRIBE", "DESCRIBE_CONFIGS"]

# Kafka's numbers. Source: ResourceType, AclOperation, PatternType and AclPermissionType of 4.3.
_RESOURCES = {"topic": 2, "group": 3, "cluster": 4, "transactional_id": 5}
_OPERATIONS = {"READ": 3, "WRITE": 4, "CREATE": 5, "DELETE": 6, "DESCRIBE": 8, "DESCRIBE_CONFIGS": 10}
_LITERAL, _PREFIXED = 3, 4
_ALLOW = 3


def allow(
    kafka: LocalKafka,
    user: str,
    resource: Resource,
    name: str,
    *operations: Operation,
    is_prefix: bool = False,
) -> None:
    """Let a user do operations on a resource, or on all whose names begin so."""
    creations = [
        CreateAclsRequest.AclCreation(
            resource_type=_RESOURCES[resource],
            resource_name=name,
            resource_pattern_type=_PREFIXED if is_prefix else _LITERAL,
            principal=f"User:{user}",
            host="*",
            operation=_OPERATIONS[operation],
            permission_type=_ALLOW,
        )
        for operation in operations
    ]
    network = Network(ConnectionSettings.of(kafka.client_properties), purpose="test")
    try:
        network.connect()
        answer = network.call(CreateAclsRequest(creations=creations))
        assert [result.error_code for result in answer.results] == [0] * len(creations)
    finally:
        network.close()
