import java.nio.file.Path;
import java.time.Duration;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.state.KeyValueStore;

/**
 * One instance of the application of instances.py: counts by key, and writes who has counted.
 * Usage: Member NAME INPUT OUTPUT property=value...   It runs until SIGTERM, which lets it commit and leave.
 */
public class Member {
  public static void main(String[] a) throws Exception {
    Properties p = new Properties();
    p.put("default.key.serde", Serdes.StringSerde.class.getName());
    p.put("default.value.serde", Serdes.StringSerde.class.getName());
    p.put("internal.leave.group.on.close", true);
    for (int i = 3; i < a.length; i++) { String[] kv = a[i].split("=", 2); p.put(kv[0], kv[1]); }
    StreamsBuilder b = new StreamsBuilder();
    b.<String, String>stream(a[1]).groupByKey()
        .count(Materialized.<String, Long, KeyValueStore<Bytes, byte[]>>as("counts").withCachingDisabled())
        .toStream().mapValues(count -> a[0]).to(a[2]);
    KafkaStreams streams = new KafkaStreams(b.build(), p);
    Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(30))));
    streams.start();
    Thread.currentThread().join();
  }
}
