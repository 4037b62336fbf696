import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.record.internal.SimpleRecord;

/** Writes record batches with Kafka's own classes, and reads ours with them. */
public class Batches {
    static final long TIME = 1_700_000_000_000L;

    static byte[] utf8(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }

    static SimpleRecord row(long timestamp, String key, String value, Header... headers) {
        return new SimpleRecord(timestamp, utf8(key), utf8(value), headers);
    }

    /** Nulls, empty values, headers, timestamps out of order, lengths of one byte and of two. */
    static List<SimpleRecord> few() {
        return List.of(
            row(TIME, "k1", "v1"),
            row(TIME + 5, null, "v2"),
            row(TIME - 3, "k3", null,
                new RecordHeader("a", utf8("1")), new RecordHeader("b", (byte[]) null), new RecordHeader("é", utf8(""))),
            row(TIME + 100_000, "", ""),
            row(TIME + 1, "k5", "x".repeat(300)));
    }

    /** More than one block of every compression. */
    static List<SimpleRecord> many() {
        List<SimpleRecord> rows = new ArrayList<>();
        for (int index = 0; index < 1500; index++)
            rows.add(row(TIME + index / 100, "key-" + index % 100, "value-" + index % 7 + "-".repeat(90)));
        return rows;
    }

    static byte[] bytes(MemoryRecords records) {
        ByteBuffer buffer = records.buffer().duplicate();
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        return bytes;
    }

    static byte[] batch(Compression compression, TimestampType type, long offset, long appendTime, long producerId,
                        int epoch, int sequence, boolean isTransactional, List<SimpleRecord> rows) {
        MemoryRecordsBuilder builder = MemoryRecords.builder(ByteBuffer.allocate(1 << 20), RecordBatch.MAGIC_VALUE_V2,
            compression, type, offset, appendTime, producerId, (short) epoch, sequence, isTransactional,
            RecordBatch.NO_PARTITION_LEADER_EPOCH);
        rows.forEach(builder::append);
        return bytes(builder.build());
    }

    static byte[] plain(Compression compression, List<SimpleRecord> rows) {
        return batch(compression, TimestampType.CREATE_TIME, 0, RecordBatch.NO_TIMESTAMP, -1, -1, -1, false, rows);
    }

    static byte[] transactional(long offset, long producerId, int sequence, SimpleRecord... rows) {
        return batch(Compression.NONE, TimestampType.CREATE_TIME, offset, RecordBatch.NO_TIMESTAMP, producerId, 3,
            sequence, true, List.of(rows));
    }

    static byte[] marker(long offset, long producerId, ControlRecordType type) {
        return bytes(MemoryRecords.withEndTransactionMarker(offset, TIME, 9, producerId, (short) 3,
            new EndTransactionMarker(type, 17)));
    }

    static byte[] joined(byte[]... parts) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        for (byte[] part : parts)
            out.writeBytes(part);
        return out.toByteArray();
    }

    static void write() {
        Map<String, byte[]> batches = new LinkedHashMap<>();
        for (CompressionType type : CompressionType.values()) {
            Compression compression = Compression.of(type).build();
            batches.put("few-" + type.name, plain(compression, few()));
            if (type != CompressionType.NONE)
                batches.put("many-" + type.name, plain(compression, many()));
        }
        batches.put("lz4-level-12", plain(Compression.lz4().level(12).build(), many()));
        batches.put("transactional", transactional(0, 4711, 42, few().toArray(new SimpleRecord[0])));
        batches.put("log-append-time", batch(Compression.NONE, TimestampType.LOG_APPEND_TIME, 500, TIME + 99_999, -1, -1,
            -1, false, few()));
        batches.put("transactions", joined(
            transactional(0, 1, 0, row(TIME, "a", "aborted"), row(TIME, "a", "aborted, too")),
            transactional(2, 2, 0, row(TIME, "b", "committed")),
            transactional(3, 1, 2, row(TIME, "a", "aborted after the other")),
            marker(4, 1, ControlRecordType.ABORT),
            marker(5, 2, ControlRecordType.COMMIT),
            transactional(6, 1, 3, row(TIME, "a", "committed the second time")),
            marker(7, 1, ControlRecordType.COMMIT)));
        StringBuilder out = new StringBuilder("{\n");
        batches.forEach((name, bytes) -> out.append(out.length() > 2 ? ",\n" : "")
            .append("\"" + name + "\": \"" + HexFormat.of().formatHex(bytes) + "\""));
        System.out.println(out.append("\n}"));
    }

    static String hex(ByteBuffer buffer) {
        if (buffer == null)
            return "null";
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        return "\"" + HexFormat.of().formatHex(bytes) + "\"";
    }

    static void read() throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            List<String> rows = new ArrayList<>();
            MemoryRecords records = MemoryRecords.readableRecords(ByteBuffer.wrap(HexFormat.of().parseHex(line)));
            for (MutableRecordBatch batch : records.batches()) {
                batch.ensureValid();
                for (Record record : batch) {
                    List<String> headers = new ArrayList<>();
                    for (Header header : record.headers())
                        headers.add("[" + hex(ByteBuffer.wrap(utf8(header.key()))) + ", "
                            + (header.value() == null ? "null" : hex(ByteBuffer.wrap(header.value()))) + "]");
                    rows.add("[" + record.offset() + ", " + record.timestamp() + ", " + hex(record.key()) + ", "
                        + hex(record.value()) + ", [" + String.join(", ", headers) + "]]");
                }
            }
            System.out.println("[" + String.join(", ", rows) + "]");
        }
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("write"))
            write();
        else
            read();
    }
}
