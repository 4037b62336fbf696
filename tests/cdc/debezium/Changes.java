import io.debezium.embedded.Connect;
import io.debezium.engine.ChangeEvent;
import io.debezium.engine.DebeziumEngine;
import java.io.FileInputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.storage.Converter;
import org.apache.kafka.connect.storage.HeaderConverter;
import org.apache.kafka.connect.storage.SimpleHeaderConverter;

/**
 * Reads the changes of a database by Debezium's engine and writes them as a worker of Kafka Connect does: the converters
 * that the properties name make the bytes. With bootstrap.servers they go to a broker, otherwise to the output, a line
 * each: topic, and key, value and headers in hexadecimal digits.
 */
public final class Changes {
    public static void main(String[] arguments) throws Exception {
        Properties properties = new Properties();
        try (FileInputStream file = new FileInputStream(arguments[0])) {
            properties.load(file);
        }
        Converter keys = converter(properties, "key");
        Converter values = converter(properties, "value");
        HeaderConverter headers = new SimpleHeaderConverter();
        String servers = (String) properties.remove("bootstrap.servers");
        KafkaProducer<byte[], byte[]> producer = servers == null ? null : new KafkaProducer<>(
            Map.of("bootstrap.servers", servers, "acks", "all", "linger.ms", "5"),
            new ByteArraySerializer(), new ByteArraySerializer());

        DebeziumEngine.ChangeConsumer<ChangeEvent<SourceRecord, SourceRecord>> consumer = (events, committer) -> {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (ChangeEvent<SourceRecord, SourceRecord> event : events) {
                SourceRecord record = event.value();
                Headers made = new RecordHeaders();
                record.headers().forEach(header -> made.add(
                    header.key(), headers.fromConnectHeader(record.topic(), header.key(), header.schema(), header.value())));
                byte[] key = keys.fromConnectData(record.topic(), made, record.keySchema(), record.key());
                byte[] value = values.fromConnectData(record.topic(), made, record.valueSchema(), record.value());
                if (producer != null) {
                    sent.add(producer.send(new ProducerRecord<>(record.topic(), record.kafkaPartition(), record.timestamp(), key, value, made)));
                } else {
                    print(record.topic(), key, value, made);
                }
            }
            try {
                for (Future<RecordMetadata> each : sent) {
                    each.get();
                }
            } catch (java.util.concurrent.ExecutionException failed) {
                throw new RuntimeException(failed.getCause());
            }
            for (ChangeEvent<SourceRecord, SourceRecord> event : events) {
                committer.markProcessed(event);
            }
            committer.markBatchFinished();
        };
        DebeziumEngine<ChangeEvent<SourceRecord, SourceRecord>> engine = DebeziumEngine.create(Connect.class)
            .using(properties)
            .notifying(consumer)
            .using((success, message, error) -> {
                System.err.println("ended: " + success + " " + message);
                if (error != null) {
                    error.printStackTrace();
                }
                Runtime.getRuntime().halt(success ? 0 : 1);
            })
            .build();
        Thread runner = new Thread(engine);
        runner.start();
        // Whoever started this closes its input, or is gone.
        while (System.in.read() >= 0) {
        }
        engine.close();
        System.exit(0);
    }

    private static Converter converter(Properties properties, String which) throws Exception {
        String prefix = which + ".converter";
        Converter made = (Converter) Class.forName((String) properties.remove(prefix)).getDeclaredConstructor().newInstance();
        Map<String, Object> own = new HashMap<>();
        for (String name : List.copyOf(properties.stringPropertyNames())) {
            if (name.startsWith(prefix + ".")) {
                own.put(name.substring(prefix.length() + 1), properties.remove(name));
            }
        }
        made.configure(own, which.equals("key"));
        return made;
    }

    private static void print(String topic, byte[] key, byte[] value, Headers headers) {
        StringBuilder line = new StringBuilder(topic).append(' ').append(hex(key)).append(' ').append(hex(value));
        headers.forEach(header -> line.append(' ')
            .append(hex(header.key().getBytes(StandardCharsets.UTF_8))).append('=').append(hex(header.value())));
        System.out.println(line);
    }

    private static String hex(byte[] bytes) {
        return bytes == null ? "-" : "x" + HexFormat.of().formatHex(bytes);
    }
}
