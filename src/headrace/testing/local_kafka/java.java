// Java's own producer and consumer for LocalKafka, kept running: lines of tab-separated fields in, lines out.
// Bytes and texts are in hexadecimal, "-" is null. An answer ends with "ok", or is "error" and a text.
//
//   consume TOPIC ISOLATION COUNT TIMEOUT_MS   -> PARTITION OFFSET TIMESTAMP KEY VALUE [NAME VALUE]...
//   produce TOPIC TRANSACTIONAL_ID END PROPERTIES, then records as PARTITION TIMESTAMP KEY VALUE [NAME VALUE]...
//           and an empty line                  -> PARTITION OFFSET
//   END is commit, abort or open; PROPERTIES is name=value,name=value in hexadecimal.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

class LocalKafkaJava {
    private final String servers;
    private final PrintStream out;
    private final BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
    private final Map<String, KafkaProducer<byte[], byte[]>> transactional = new HashMap<>();
    private final Map<String, Boolean> isOpen = new HashMap<>();

    LocalKafkaJava(String servers, PrintStream out) {
        this.servers = servers;
        this.out = out;
    }

    public static void main(String[] arguments) throws Exception {
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.US_ASCII);
        // Whatever else writes to the standard output would be read as an answer.
        System.setOut(System.err);
        new LocalKafkaJava(arguments[0], out).serve();
        // A transaction that was left open stays so: no orderly close.
        Runtime.getRuntime().halt(0);
    }

    private void serve() throws Exception {
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] fields = line.split("\t", -1);
            try {
                if (fields[0].equals("consume")) {
                    consume(text(fields[1]), fields[2], Integer.parseInt(fields[3]), Long.parseLong(fields[4]));
                } else {
                    produce(text(fields[1]), text(fields[2]), fields[3], text(fields[4]), records());
                }
                out.println("ok");
            } catch (Exception error) {
                out.println("error\t" + hex(error.toString().getBytes(StandardCharsets.UTF_8)));
            }
            out.flush();
        }
    }

    private void consume(String topic, String isolation, int count, long timeoutMs) {
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", servers);
        settings.put("isolation.level", isolation);
        settings.put("check.crcs", true);
        settings.put("enable.auto.commit", false);
        // The consumer's end waits for the fetch that it has under way.
        settings.put("fetch.max.wait.ms", 50);
        settings.put("auto.offset.reset", "none");
        long deadline = System.nanoTime() + timeoutMs * 1_000_000L;
        try (var consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> partitions = new ArrayList<>();
            for (PartitionInfo each : consumer.partitionsFor(topic)) {
                partitions.add(new TopicPartition(topic, each.partition()));
            }
            if (partitions.isEmpty()) {
                throw new IllegalStateException("there is no topic " + topic);
            }
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            int seen = 0;
            // With a count: until there are so many, and then to the end as well, so that one too many is seen.
            Map<TopicPartition, Long> ends = seen >= count ? consumer.endOffsets(partitions) : null;
            while ((ends == null || !isBehind(consumer, ends)) && System.nanoTime() < deadline) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(50))) {
                    show(record);
                    seen++;
                }
                if (ends == null && seen >= count) {
                    ends = consumer.endOffsets(partitions);
                }
            }
        }
    }

    private static boolean isBehind(KafkaConsumer<?, ?> consumer, Map<TopicPartition, Long> ends) {
        for (Map.Entry<TopicPartition, Long> end : ends.entrySet()) {
            if (consumer.position(end.getKey()) < end.getValue()) {
                return false;
            }
        }
        return true;
    }

    private void show(ConsumerRecord<byte[], byte[]> record) {
        StringBuilder line = new StringBuilder();
        line.append(record.partition()).append('\t').append(record.offset()).append('\t').append(record.timestamp());
        line.append('\t').append(hex(record.key())).append('\t').append(hex(record.value()));
        for (Header header : record.headers()) {
            line.append('\t').append(hex(header.key().getBytes(StandardCharsets.UTF_8)));
            line.append('\t').append(hex(header.value()));
        }
        out.println(line);
    }

    private List<String> records() throws Exception {
        List<String> lines = new ArrayList<>();
        for (String line = in.readLine(); line != null && !line.isEmpty(); line = in.readLine()) {
            lines.add(line);
        }
        return lines;
    }

    private void produce(String topic, String id, String end, String properties, List<String> lines) throws Exception {
        KafkaProducer<byte[], byte[]> producer = id == null ? null : transactional.get(id);
        if (producer == null) {
            producer = newProducer(id, properties);
        }
        if (id != null && !isOpen.getOrDefault(id, false)) {
            producer.beginTransaction();
            isOpen.put(id, true);
        }
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (String line : lines) {
            String[] fields = line.split("\t", -1);
            Integer partition = fields[0].equals("-") ? null : Integer.valueOf(fields[0]);
            Long timestamp = fields[1].equals("-") ? null : Long.valueOf(fields[1]);
            List<Header> headers = new ArrayList<>();
            for (int at = 4; at < fields.length; at += 2) {
                headers.add(new RecordHeader(text(fields[at]), bytes(fields[at + 1])));
            }
            sent.add(producer.send(
                    new ProducerRecord<>(topic, partition, timestamp, bytes(fields[2]), bytes(fields[3]), headers)));
        }
        producer.flush();
        if (id == null) {
            producer.close();
        } else if (end.equals("commit")) {
            producer.commitTransaction();
            isOpen.put(id, false);
        } else if (end.equals("abort")) {
            producer.abortTransaction();
            isOpen.put(id, false);
        }
        for (Future<RecordMetadata> each : sent) {
            out.println(each.get().partition() + "\t" + each.get().offset());
        }
    }

    private KafkaProducer<byte[], byte[]> newProducer(String id, String properties) {
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", servers);
        for (String property : properties.isEmpty() ? new String[0] : properties.split(",")) {
            settings.put(property.substring(0, property.indexOf('=')), property.substring(property.indexOf('=') + 1));
        }
        if (id != null) {
            settings.put("transactional.id", id);
        }
        var producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
        if (id != null) {
            producer.initTransactions();
            transactional.put(id, producer);
        }
        return producer;
    }

    private static String hex(byte[] bytes) {
        return bytes == null ? "-" : HexFormat.of().formatHex(bytes);
    }

    private static byte[] bytes(String field) {
        return field.equals("-") ? null : HexFormat.of().parseHex(field);
    }

    private static String text(String field) {
        byte[] bytes = bytes(field);
        return bytes == null ? null : new String(bytes, StandardCharsets.UTF_8);
    }
}
