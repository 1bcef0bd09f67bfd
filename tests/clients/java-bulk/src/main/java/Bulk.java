import io.grpc.CallOptions;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.StreamObserver;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.ZoneId;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Sends many records at once on a few streams of one connection, and counts the answers; other calls are made at the same time, as long
 * as that takes. The messages are written by hand, so that no generator is needed.
 *
 * <pre>mvn -q compile exec:java -Dexec.args="127.0.0.1:50051 8 10000"</pre>
 */
public final class Bulk {
  private static final DateTimeFormatter FORM = DateTimeFormatter.ofPattern("yyyyMMddHHmmss");

  /** Hands messages over as they are. */
  private static final MethodDescriptor.Marshaller<byte[]> BYTES =
      new MethodDescriptor.Marshaller<>() {
        @Override
        public InputStream stream(byte[] message) {
          return new ByteArrayInputStream(message);
        }

        @Override
        public byte[] parse(InputStream stream) {
          try {
            return stream.readAllBytes();
          } catch (IOException error) {
            throw new UncheckedIOException(error);
          }
        }
      };

  private static MethodDescriptor<byte[], byte[]> method(String name, MethodDescriptor.MethodType type) {
    return MethodDescriptor.newBuilder(BYTES, BYTES)
        .setFullMethodName("ringpad.v1.IngestService/" + name)
        .setType(type)
        .build();
  }

  private static void field(ByteArrayOutputStream to, int number, byte[] value) {
    to.write(number << 3 | 2);
    to.write(value.length); // Fewer than 128.
    to.writeBytes(value);
  }

  private static byte[] record(String seq) {
    ByteArrayOutputStream cdr = new ByteArrayOutputStream();
    String now = ZonedDateTime.now(ZoneId.of("Asia/Seoul")).format(FORM);
    field(cdr, 1, seq.getBytes(StandardCharsets.UTF_8));
    field(cdr, 2, now.getBytes(StandardCharsets.UTF_8));
    field(cdr, 4, "01012345678".getBytes(StandardCharsets.UTF_8));
    field(cdr, 5, "050712345678".getBytes(StandardCharsets.UTF_8));
    ByteArrayOutputStream request = new ByteArrayOutputStream();
    field(request, 1, "bizcall".getBytes(StandardCharsets.UTF_8));
    field(request, 2, cdr.toByteArray());
    return request.toByteArray();
  }

  public static void main(String[] arguments) throws InterruptedException {
    int streams = Integer.parseInt(arguments[1]);
    int records = Integer.parseInt(arguments[2]);
    ManagedChannel channel = NettyChannelBuilder.forTarget(arguments[0]).usePlaintext().build();
    String run = Long.toString(System.nanoTime(), 36);
    long begun = System.nanoTime();
    AtomicInteger answered = new AtomicInteger();
    CountDownLatch ended = new CountDownLatch(streams);
    var many = method("IngestCallStream", MethodDescriptor.MethodType.BIDI_STREAMING);
    for (int stream = 0; stream < streams; stream++) {
      String name = run + "-" + stream + "-";
      StreamObserver<byte[]> answers =
          new StreamObserver<>() {
            @Override
            public void onNext(byte[] answer) {
              // The second field is the status, after a call's id of 36 bytes; with an error it was not taken.
              if (answer.length > 38 && answer[38] == 2 << 3) {
                answered.incrementAndGet();
              }
            }

            @Override
            public void onError(Throwable error) {
              System.err.println(error);
              ended.countDown();
            }

            @Override
            public void onCompleted() {
              ended.countDown();
            }
          };
      var options = CallOptions.DEFAULT.withDeadlineAfter(300, TimeUnit.SECONDS);
      StreamObserver<byte[]> sent = ClientCalls.asyncBidiStreamingCall(channel.newCall(many, options), answers);
      new Thread(
              () -> {
                try {
                  for (int index = 0; index < records; index++) {
                    sent.onNext(record(name + index));
                  }
                  sent.onCompleted();
                } catch (IllegalStateException error) {
                  System.err.println(error); // The stream has ended: its observer says why.
                }
              })
          .start();
    }
    var one = method("IngestCall", MethodDescriptor.MethodType.UNARY);
    int single = 0;
    int failed = 0;
    while (!ended.await(10, TimeUnit.MILLISECONDS)) {
      try {
        var options = CallOptions.DEFAULT.withDeadlineAfter(30, TimeUnit.SECONDS);
        ClientCalls.blockingUnaryCall(channel, one, options, record(run + "-single-" + (single + failed)));
        single++;
      } catch (StatusRuntimeException error) {
        failed++;
      }
    }
    channel.shutdown().awaitTermination(5, TimeUnit.SECONDS);
    System.out.printf(
        "java: %d of %d answered in %.1f s; single calls: %d answered, %d failed%n",
        answered.get(), streams * records, (System.nanoTime() - begun) / 1e9, single, failed);
    System.exit(answered.get() == streams * records && failed == 0 ? 0 : 1);
  }
}
