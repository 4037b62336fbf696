#!/usr/bin/env bash
# kafka-streams 4.4.0: Stores.lruMap(name, max) logs a row that it lets go of as deleted where a processor uses the store, and
# does not where a table is kept in it (Materialized.as(Stores.lruMap(...))). So the changelog of a store of 1,000 rows keeps
# every key that there ever was, and each restore reads all of them to keep the last 1,000.
# Guessed: the changelog has what the store has, whoever puts into it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > pom.xml <<'POM'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>finding</groupId><artifactId>finding</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-streams-test-utils</artifactId><version>4.4.0</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-nop</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
POM
mvn -q -B dependency:copy-dependencies -DoutputDirectory=jars >/dev/null
cat > Evictions.java <<'JAVA'
import java.util.Properties;
import org.apache.kafka.common.serialization.*;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.processor.api.*;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.*;

public class Evictions {
  static class Putting implements Processor<String, String, Void, Void> {
    KeyValueStore<String, String> rows;
    public void init(ProcessorContext<Void, Void> context) { rows = context.getStateStore("rows"); }
    public void process(Record<String, String> record) { rows.put(record.key(), record.value()); }
  }

  /** Pipes two keys into a store of one row, and returns what its changelog has. */
  static String logged(boolean table) throws Exception {
    Properties properties = new Properties();
    properties.put("application.id", "a");
    properties.put("bootstrap.servers", "unused:1");
    properties.put("state.dir", java.nio.file.Files.createTempDirectory("state").toString());
    StreamsBuilder builder = new StreamsBuilder();
    KStream<String, String> in = builder.stream("in", Consumed.with(Serdes.String(), Serdes.String()));
    if (table) {
      in.toTable(Materialized.<String, String>as(Stores.lruMap("rows", 1)).withCachingDisabled()
          .withKeySerde(Serdes.String()).withValueSerde(Serdes.String()));
    } else {
      builder.addStateStore(Stores.keyValueStoreBuilder(Stores.lruMap("rows", 1), Serdes.String(), Serdes.String()));
      in.process(Putting::new, "rows");
    }
    String found = "";
    try (TopologyTestDriver driver = new TopologyTestDriver(builder.build(), properties)) {
      TestInputTopic<String, String> input = driver.createInputTopic("in", new StringSerializer(), new StringSerializer());
      input.pipeInput("a", "1");
      input.pipeInput("b", "2");
      for (KeyValue<String, String> each :
          driver.createOutputTopic("a-rows-changelog", new StringDeserializer(), new StringDeserializer()).readKeyValuesToList())
        found += each.key + "=" + each.value + " ";
    }
    return found;
  }

  public static void main(String[] arguments) throws Exception {
    String processor = logged(false), table = logged(true);
    System.out.println("of a processor: " + processor + "; of a table: " + table);  // a=1 a=null b=2; a=1 b=2
    if (!processor.equals("a=1 a=null b=2 ") || !table.equals("a=1 b=2 ")) System.exit(1);
  }
}
JAVA
java -cp "jars/*" Evictions.java
