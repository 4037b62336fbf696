import java.lang.reflect.Field;
import java.nio.file.Files;
import java.time.Duration;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.MetricName;
import org.apache.kafka.common.metrics.KafkaMetric;
import org.apache.kafka.common.metrics.Metrics;
import org.apache.kafka.common.metrics.Sensor;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.processor.api.ContextualFixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * Lists what KafkaStreams.metrics() has for a topology with each kind of store, join and window, running on a broker:
 * MetricNames BOOTSTRAP PROTOCOL. One line a metric: group, name, level, the kind of its value, its tags.
 */
public class MetricNames {
  static final Duration MINUTE = Duration.ofMinutes(1);

  /** Keeps the latest value, in a store of the most recently used keys. */
  static class Keep extends ContextualFixedKeyProcessor<String, String, String> {
    public void process(FixedKeyRecord<String, String> r) { context().<KeyValueStore<String, String>>getStateStore("recent").put(r.key(), r.value()); }
  }

  static StreamsBuilder topology() {
    StreamsBuilder b = new StreamsBuilder();
    KStream<String, String> orders = b.stream("orders");
    KTable<String, String> users = b.table("users", Materialized.as("users"));
    KTable<String, String> shops = b.table("shops", Materialized.as(Stores.inMemoryKeyValueStore("shops")));
    GlobalKTable<String, String> prices = b.globalTable("prices", Materialized.as("prices"));
    orders.join(users, (x, y) -> x + y).join(prices, (k, v) -> k, (x, y) -> x + y).to("results");
    users.join(shops, (x, y) -> x + y, Materialized.as("joined")).toStream().to("results");
    users.join(shops, (String v) -> v, (x, y) -> x + y).toStream().to("results");
    orders.leftJoin(b.<String, String>stream("clicks"), (x, y) -> x + y, JoinWindows.ofTimeDifferenceWithNoGrace(MINUTE)).to("results");
    b.addStateStore(Stores.keyValueStoreBuilder(Stores.lruMap("recent", 100), Serdes.String(), Serdes.String()));
    orders.processValues(Keep::new, "recent");
    orders.toTable(Materialized.as(Stores.persistentVersionedKeyValueStore("versions", MINUTE)));
    KGroupedStream<String, String> grouped = orders.groupByKey();
    grouped.count(Materialized.as("counts"));
    TimeWindows windows = TimeWindows.ofSizeWithNoGrace(MINUTE);
    grouped.windowedBy(windows).count(Materialized.as("windowed")).suppress(Suppressed.untilWindowCloses(Suppressed.BufferConfig.unbounded())).toStream((w, n) -> w.key()).mapValues(n -> "" + n).to("results");
    grouped.windowedBy(windows).count(Materialized.as(Stores.inMemoryWindowStore("memory-windowed", MINUTE, MINUTE, false)));
    grouped.windowedBy(windows).emitStrategy(EmitStrategy.onWindowClose()).count(Materialized.as("final"));
    SessionWindows sessions = SessionWindows.ofInactivityGapWithNoGrace(MINUTE);
    grouped.windowedBy(sessions).count(Materialized.as("sessions"));
    grouped.windowedBy(sessions).count(Materialized.as(Stores.inMemorySessionStore("memory-sessions", MINUTE)));
    return b;
  }

  /** The level at which each metric is recorded: its sensor's, or its own. */
  static Map<MetricName, String> levels(KafkaStreams streams) throws Exception {
    Map<MetricName, String> levels = new java.util.HashMap<>();
    Metrics metrics = (Metrics) field(KafkaStreams.class, "metrics").get(streams);
    for (Sensor sensor : ((Map<String, Sensor>) field(Metrics.class, "sensors").get(metrics)).values())
      for (MetricName name : ((Map<MetricName, KafkaMetric>) field(Sensor.class, "metrics").get(sensor)).keySet())
        levels.put(name, field(Sensor.class, "recordingLevel").get(sensor).toString());
    return levels;
  }

  static Field field(Class<?> of, String name) throws Exception {
    Field field = of.getDeclaredField(name);
    field.setAccessible(true);
    return field;
  }

  public static void main(String[] a) throws Exception {
    Properties p = new Properties();
    p.put("application.id", "metric-names-" + a[1]);
    p.put("bootstrap.servers", a[0]);
    p.put("group.protocol", a[1]);
    p.put("state.dir", Files.createTempDirectory("metric-names").toString());
    p.put("metrics.recording.level", "TRACE");
    p.put("auto.offset.reset", "earliest");
    p.put("default.key.serde", Serdes.StringSerde.class.getName());
    p.put("default.value.serde", Serdes.StringSerde.class.getName());
    try (KafkaProducer<String, String> producer = new KafkaProducer<>(p, new StringSerializer(), new StringSerializer())) {
      for (String topic : new String[] {"orders", "users", "shops", "prices", "clicks"})
        for (int i = 0; i < 10; i++) producer.send(new ProducerRecord<>(topic, "key" + i, "key" + i));
    }
    CountDownLatch running = new CountDownLatch(1);
    try (KafkaStreams streams = new KafkaStreams(topology().build(), p)) {
      streams.setStateListener((now, before) -> { if (now == KafkaStreams.State.RUNNING) running.countDown(); });
      streams.start();
      running.await();
      Thread.sleep(5000);
      Map<MetricName, String> levels = levels(streams);
      TreeSet<String> lines = new TreeSet<>();
      streams.metrics().forEach((name, metric) -> {
        String level = levels.getOrDefault(name, ((KafkaMetric) metric).config().recordLevel().toString());
        String kind = metric.metricValue() instanceof Number ? "number" : "text";
        lines.add(String.join(" ", name.group(), name.name(), level, kind, String.join(",", new TreeMap<>(name.tags()).keySet())));
      });
      lines.forEach(System.out::println);
    }
    System.exit(0);
  }
}
