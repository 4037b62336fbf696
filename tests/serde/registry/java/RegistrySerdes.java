import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.apicurio.registry.serde.avro.AvroKafkaDeserializer;
import io.apicurio.registry.serde.avro.AvroKafkaSerializer;
import io.apicurio.registry.serde.jsonschema.JsonSchemaKafkaDeserializer;
import io.apicurio.registry.serde.jsonschema.JsonSchemaKafkaSerializer;
import java.io.ByteArrayOutputStream;
import java.util.HashMap;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.avro.io.JsonEncoder;

/**
 * Java's serdes of a registry, asked by `Requests`: what is written by them, and what they read.
 */
public final class RegistrySerdes {
  public static void main(String[] arguments) throws Exception {
    Map<String, Object> config = new HashMap<>();
    config.put("apicurio.registry.url", arguments[0]);
    config.put("apicurio.registry.as-confluent", "true");
    config.put("apicurio.registry.use-id", "contentId");
    config.put("apicurio.registry.auto-register", "true");
    config.put("apicurio.registry.artifact-resolver-strategy", "io.apicurio.registry.serde.strategy.TopicIdStrategy");
    Requests.serve(fields -> answer(config, fields));
  }

  private static byte[] answer(Map<String, Object> config, String[] fields) throws Exception {
    String topic = Requests.text(fields[1]);
    switch (fields[0]) {
      case "avro-write": {
        Schema schema = new Schema.Parser().parse(Requests.text(fields[2]));
        GenericRecord record = new GenericDatumReader<GenericRecord>(schema)
            .read(null, DecoderFactory.get().jsonDecoder(schema, Requests.text(fields[3])));
        try (AvroKafkaSerializer<GenericRecord> serializer = new AvroKafkaSerializer<>()) {
          serializer.configure(config, false);
          return serializer.serialize(topic, record);
        }
      }
      case "avro-read": {
        try (AvroKafkaDeserializer<GenericRecord> deserializer = new AvroKafkaDeserializer<>()) {
          deserializer.configure(config, false);
          GenericRecord record = deserializer.deserialize(topic, Requests.bytes(fields[2]));
          ByteArrayOutputStream out = new ByteArrayOutputStream();
          JsonEncoder encoder = EncoderFactory.get().jsonEncoder(record.getSchema(), out);
          new GenericDatumWriter<GenericRecord>(record.getSchema()).write(record, encoder);
          encoder.flush();
          return out.toByteArray();
        }
      }
      case "json-write": {
        Map<String, Object> found = new HashMap<>(config);
        found.put("apicurio.registry.auto-register", "false");
        found.put("apicurio.registry.find-latest", "true");
        try (JsonSchemaKafkaSerializer<JsonNode> serializer = new JsonSchemaKafkaSerializer<>()) {
          serializer.configure(found, false);
          return serializer.serialize(topic, new ObjectMapper().readTree(Requests.text(fields[2])));
        }
      }
      case "json-read": {
        Map<String, Object> found = new HashMap<>(config);
        found.put("apicurio.registry.deserializer.value.return-class", JsonNode.class.getName());
        try (JsonSchemaKafkaDeserializer<JsonNode> deserializer = new JsonSchemaKafkaDeserializer<>()) {
          deserializer.configure(found, false);
          return new ObjectMapper().writeValueAsBytes(deserializer.deserialize(topic, Requests.bytes(fields[2])));
        }
      }
      default:
        throw new IllegalArgumentException(fields[0]);
    }
  }
}
