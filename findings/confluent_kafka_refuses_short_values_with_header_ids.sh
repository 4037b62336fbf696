#!/usr/bin/env bash
# confluent-kafka 2.16.1 can write a schema's id into a header (header_schema_id_serializer), and its deserializers look
# there first. But the one of Avro wants more than five bytes of every value before it looks anywhere, as if the id still
# stood before it: what its own serializer has written for a number, a short text or a small record it cannot read.
# Guessed: what the serializer writes the deserializer of the same package reads.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'confluent-kafka[avro,schemaregistry]==2.16.1'
"$folder/venv/bin/python" - <<'PYTHON'
from confluent_kafka.schema_registry import (
    SchemaRegistryClient, header_schema_id_serializer, topic_subject_name_strategy,
)
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext, SerializationError

client = SchemaRegistryClient.new_client({"url": "mock://finding"})
named = {"subject.name.strategy": topic_subject_name_strategy}
write = AvroSerializer(client, '"string"', conf={**named, "schema.id.serializer": header_schema_id_serializer})
read = AvroDeserializer(client, conf=named)
found = []
for text in ("longer text", "hi"):
    headers = []
    data = write(text, SerializationContext("topic", MessageField.VALUE, headers))
    try:
        found.append(read(data, SerializationContext("topic", MessageField.VALUE, headers)))
    except SerializationError as error:
        found.append(str(error)[:50])
    print(repr(text), headers[0][0], "->", repr(found[-1]))
assert found[0] == "longer text"
assert found[1].startswith("Expecting data framing of length 6 bytes or more")
PYTHON
