import com.google.protobuf.DescriptorProtos.FileDescriptorProto;
import com.google.protobuf.DescriptorProtos.FileDescriptorSet;
import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.FileDescriptor;
import com.google.protobuf.DynamicMessage;
import io.apicurio.registry.serde.protobuf.MessageIndexesUtil;
import io.apicurio.registry.serde.protobuf.ProtobufKafkaSerializer;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Java's serializer of Protobuf, asked by `Requests`. It takes the first schema of the topic
 * from the registry, and writes the indexes that a message has there behind the id, as Confluent does, when it is told to.
 */
public final class RegistryProtobuf {
  private static final int ID_BYTES = 5;

  public static void main(String[] arguments) throws Exception {
    Map<String, Object> config = new HashMap<>();
    config.put("apicurio.registry.url", arguments[0]);
    config.put("apicurio.registry.use-id", "contentId");
    // It would ask for the version "latest", which this registry has not.
    config.put("apicurio.registry.artifact.version", "1");
    config.put("apicurio.registry.artifact.group-id", "default");
    config.put("apicurio.registry.artifact-resolver-strategy", "io.apicurio.registry.serde.strategy.TopicIdStrategy");
    config.put("apicurio.registry.serde.send-type-ref", "false");
    config.put("apicurio.registry.serde.send-indexes", "true");
    config.put("apicurio.registry.serde.validation-enabled", "false");
    Requests.serve(fields -> answer(config, fields));
    // Threads of the registry's client would keep the process.
    System.exit(0);
  }

  private static byte[] answer(Map<String, Object> config, String[] fields) throws Exception {
    String topic = Requests.text(fields[1]);
    switch (fields[0]) {
      // A set of files, each behind those that it imports; a message of the last one, its names joined by dots; its bytes.
      case "protobuf-write": {
        Descriptor type = typeOf(lastOf(Requests.bytes(fields[2])), Requests.text(fields[3]));
        DynamicMessage message = DynamicMessage.parseFrom(type, Requests.bytes(fields[4]));
        try (ProtobufKafkaSerializer<DynamicMessage> serializer = new ProtobufKafkaSerializer<>()) {
          serializer.configure(config, false);
          return serializer.serialize(topic, message);
        }
      }
      // The same files, and what was written: the full name of the message that the indexes lead to, a zero, its bytes.
      // ProtobufKafkaDeserializer takes the class that it is told, and drops the indexes. They count what the text of a
      // file has, which is no entries of maps.
      case "protobuf-read": {
        ByteArrayInputStream data = new ByteArrayInputStream(Requests.bytes(fields[3]));
        data.skipNBytes(ID_BYTES);
        FileDescriptor file = lastOf(Requests.bytes(fields[2]));
        Descriptor type = null;
        for (int index : MessageIndexesUtil.readFrom(data)) {
          List<Descriptor> places = type == null ? file.getMessageTypes() : type.getNestedTypes();
          type = places.stream().filter(each -> !each.getOptions().getMapEntry()).toList().get(index);
        }
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.write(type.getFullName().getBytes(StandardCharsets.UTF_8));
        out.write(0);
        DynamicMessage.parseFrom(type, data).writeTo(out);
        return out.toByteArray();
      }
      default:
        throw new IllegalArgumentException(fields[0]);
    }
  }

  private static FileDescriptor lastOf(byte[] set) throws Exception {
    Map<String, FileDescriptor> files = new HashMap<>();
    FileDescriptor last = null;
    for (FileDescriptorProto each : FileDescriptorSet.parseFrom(set).getFileList()) {
      FileDescriptor[] imported = each.getDependencyList().stream().map(files::get).toArray(FileDescriptor[]::new);
      last = FileDescriptor.buildFrom(each, imported);
      files.put(last.getName(), last);
    }
    return last;
  }

  private static Descriptor typeOf(FileDescriptor file, String names) {
    Descriptor found = null;
    for (String name : names.split("\\.")) {
      found = found == null ? file.findMessageTypeByName(name) : found.findNestedTypeByName(name);
    }
    return found;
  }
}
