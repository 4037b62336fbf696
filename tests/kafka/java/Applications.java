import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.Arrays;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.CloseOptions;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Repartitioned;
import org.apache.kafka.streams.kstream.SessionWindows;
import org.apache.kafka.streams.kstream.StreamJoined;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.KeyValueStore;

/**
 * Kafka Streams' side of test_same_as_java.py, test_moving_from_java.py and test_sharing_with_java.py: one process that
 * runs their applications.
 * Usage: Applications BOOTSTRAP, then lines on stdin, tabs between fields, each beginning with a number:
 *
 *   NUMBER workload ARGUMENT...      a benchmark's, until all records are through; arguments as for Baseline
 *   NUMBER moving APPLICATION GUARANTEE STATE_DIR INPUT OUTPUT RECORDS PAUSE_MS
 *                                    until so many records have gone all the way; with a pause for each it
 *                                    goes no further then, but for what it has in hands
 *   NUMBER sharing APPLICATION STATE_DIR INPUT OUTPUT
 *                                    a member of a streams group, until the process ends
 *
 * They run at the same time. For each it prints `done` and the number, or `failed`, the number, and what went wrong; a
 * workload prints its figures before that.
 */
public class Applications {
    static final int SECONDS_MAX = 240;

    /** Line for line what test_moving_from_java.py has. */
    static Topology moving(String in, String out, CountDownLatch left, CountDownLatch stopping, int pauseMs) {
        Produced<String, Long> numbers = Produced.with(Serdes.String(), Serdes.Long());
        StreamsBuilder builder = new StreamsBuilder();
        Consumed<String, String> consumed = Consumed.with(Serdes.String(), Serdes.String())
            .withTimestampExtractor((record, time) -> ((String) record.value()).startsWith("?") ? time : record.timestamp());
        KStream<String, String> stream = builder.stream(in, consumed).peek((key, value) -> pause(pauseMs));
        stream.to(out + "-copies");
        KTable<String, Long> counts = stream.groupByKey()
            .count(Materialized.<String, Long, KeyValueStore<Bytes, byte[]>>as("counts").withCachingDisabled());
        counts.toStream().to(out + "-counts", numbers);
        stream.join(counts, (value, count) -> value + "#" + count).to(out + "-looked-up");
        KStream<String, String> low = stream.filter((key, value) -> value.charAt(value.length() - 3) < '5');
        KStream<String, String> high = stream.filterNot((key, value) -> value.charAt(value.length() - 3) < '5');
        JoinWindows within = JoinWindows.ofTimeDifferenceAndGrace(Duration.ofSeconds(10), Duration.ofMinutes(1));
        low.join(high, (one, other) -> one + "+" + other, within, StreamJoined.with(
            Serdes.String(), Serdes.String(), Serdes.String()).withStoreName("pairs")).to(out + "-pairs");
        stream.groupByKey()
            .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofSeconds(10), Duration.ofSeconds(5)))
            .count(Materialized.as("windows"))
            .toStream((window, count) -> window.key() + "@" + window.window().start()).to(out + "-windows", numbers);
        stream.groupBy((key, value) -> value.substring(value.length() - 1))
            .count(Materialized.<String, Long, KeyValueStore<Bytes, byte[]>>as("kinds").withCachingDisabled())
            .toStream().peek((key, count) -> {
                left.countDown();
                pause(pauseMs);
                if (pauseMs > 0 && left.getCount() == 0)
                    await(stopping);
            }).to(out + "-kinds", numbers);
        return builder.build();
    }

    /** Line for line what test_sharing_with_java.py has. */
    static Topology wide(String in, String out) {
        StreamsBuilder builder = new StreamsBuilder();
        KStream<String, String> stream = builder.stream(in + "-stream");
        KTable<String, String> table = builder.table(in + "-table", Materialized.as("table"));
        KTable<String, String> other = builder.table(in + "-other", Materialized.as("other"));
        KStream<String, String> more = builder.stream(in + "-more");
        KStream<String, String> keyed = stream.selectKey((key, value) -> value);
        keyed.join(table, (one, two) -> one + two).to(out);
        JoinWindows within = JoinWindows.ofTimeDifferenceAndGrace(Duration.ofMinutes(1), Duration.ofMinutes(1));
        keyed.leftJoin(more, (one, two) -> one + two, within).to(out);
        table.join(other, value -> value, (one, two) -> one + two, Materialized.as("by-foreign-key")).toStream().to(out);
        more.groupByKey().windowedBy(SessionWindows.ofInactivityGapAndGrace(Duration.ofMinutes(5), Duration.ZERO))
            .count(Materialized.as("sessions"));
        more.repartition(Repartitioned.<String, String>as("four").withNumberOfPartitions(4)).to(out);
        return builder.build();
    }

    /** A member of a group, with more properties as NAME=VALUE, until the process ends. */
    static void share(String bootstrap, String application, String stateDir, String in, String out,
                      String... properties) throws Exception {
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        p.put("application.id", application);
        p.put("state.dir", stateDir);
        p.put("default.key.serde", Serdes.StringSerde.class.getName());
        p.put("default.value.serde", Serdes.StringSerde.class.getName());
        for (String each : properties)
            p.put(each.substring(0, each.indexOf('=')), each.substring(each.indexOf('=') + 1));
        KafkaStreams streams = new KafkaStreams(wide(in, out), p);
        streams.start();
        await(new CountDownLatch(1));
    }

    static void pause(int ms) {
        try {
            Thread.sleep(ms);
        } catch (InterruptedException ended) {
            throw new IllegalStateException(ended);
        }
    }

    static void await(CountDownLatch event) {
        try {
            event.await();
        } catch (InterruptedException ended) {
            throw new IllegalStateException(ended);
        }
    }

    static void move(String bootstrap, String application, String guarantee, String stateDir, String in, String out,
                     int records, int pauseMs) throws Exception {
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        p.put("application.id", application);
        p.put("processing.guarantee", guarantee);
        p.put("state.dir", stateDir);
        p.put("auto.offset.reset", "earliest");
        p.put("commit.interval.ms", 100);
        // What was fetched is processed before anything else is: with more, one never is in the middle of the input.
        p.put("max.partition.fetch.bytes", 500);
        p.put("default.key.serde", Serdes.StringSerde.class.getName());
        p.put("default.value.serde", Serdes.StringSerde.class.getName());
        CountDownLatch left = new CountDownLatch(records);
        CountDownLatch stopping = new CountDownLatch(1);
        KafkaStreams streams = new KafkaStreams(moving(in, out, left, stopping, pauseMs), p);
        streams.setStateListener((state, before) -> {
            if (state == KafkaStreams.State.PENDING_SHUTDOWN)
                stopping.countDown();
        });
        streams.start();
        boolean all = left.await(SECONDS_MAX, TimeUnit.SECONDS);
        streams.close(CloseOptions.timeout(Duration.ofSeconds(20))
            .withGroupMembershipOperation(CloseOptions.GroupMembershipOperation.LEAVE_GROUP));
        if (!all)
            throw new IllegalStateException(left.getCount() + " records have not come; " + streams.state());
    }

    static Object run(String bootstrap, String[] asked) throws Exception {
        if (asked[1].equals("workload"))
            Baseline.run(Arrays.copyOfRange(asked, 2, asked.length));
        else if (asked[1].equals("sharing"))
            share(bootstrap, asked[2], asked[3], asked[4], asked[5], Arrays.copyOfRange(asked, 6, asked.length));
        else
            move(bootstrap, asked[2], asked[3], asked[4], asked[5], asked[6], Integer.parseInt(asked[7]),
                Integer.parseInt(asked[8]));
        return null;
    }

    static void answer(String bootstrap, String[] asked) {
        String answer = "done\t" + asked[0];
        try {
            run(bootstrap, asked);
        } catch (Throwable error) {
            answer = "failed\t" + asked[0] + "\t" + error.toString().replace('\n', ' ');
        }
        System.out.println(answer);
        System.out.flush();
    }

    public static void main(String[] args) throws Exception {
        BufferedReader asked = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = asked.readLine()) != null; ) {
            String[] fields = line.split("\t");
            new Thread(() -> answer(args[0], fields)).start();
        }
        System.exit(0);
    }
}
