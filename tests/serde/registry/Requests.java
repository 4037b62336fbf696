import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;

/**
 * Requests, one a line, whose fields are separated by tabs, in hexadecimal text behind the first, which says what is
 * wanted. An answer is "ok" and what was asked for, or "error" and why.
 */
final class Requests {
  interface Answering {
    byte[] answer(String[] fields) throws Exception;
  }

  private static final HexFormat HEX = HexFormat.of();

  /** Answers until there are no more. */
  static void serve(Answering answering) throws Exception {
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
    String line;
    while ((line = in.readLine()) != null) {
      String answer;
      try {
        answer = "ok\t" + HEX.formatHex(answering.answer(line.split("\t", -1)));
      } catch (Exception | LinkageError error) {
        StringBuilder said = new StringBuilder();
        for (Throwable each = error; each != null; each = each.getCause()) {
          said.append(each).append("; ");
        }
        answer = "error\t" + HEX.formatHex(said.toString().getBytes(StandardCharsets.UTF_8));
      }
      System.out.println(answer);
      System.out.flush();
    }
  }

  static byte[] bytes(String field) {
    return HEX.parseHex(field);
  }

  static String text(String field) {
    return new String(bytes(field), StandardCharsets.UTF_8);
  }
}
