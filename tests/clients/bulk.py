"""Sends many records at once on a few streams of one connection, and counts the answers; other calls are made at the same time, as long
as that takes. The messages are written by hand, so that no generator is needed.

    python bulk.py 127.0.0.1:50051 8 10000
"""

import datetime
import sys
import threading
import time

import grpc

SERVICE = "/ringpad.v1.IngestService/"
KST = datetime.timezone(datetime.timedelta(hours=9))


def field(number, value):
    assert len(value) < 128 * 128
    size = len(value)
    length = bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])
    return bytes([number << 3 | 2]) + length + value


def record(seq):
    """A request of IngestCall and IngestCallStream."""
    now = datetime.datetime.now(KST).strftime("%Y%m%d%H%M%S")
    cdr = {1: seq, 2: now, 4: "01012345678", 5: "050712345678"}
    cdr = b"".join(field(number, value.encode()) for number, value in cdr.items())
    return field(1, b"bizcall") + field(2, cdr)


def is_taken(answer):
    """The second field is the status, after a call's id of 36 bytes; with an error in its place it was not taken."""
    return answer[38:39] == b"\x10"


def main(target, streams, records):
    channel = grpc.insecure_channel(target)
    stream = channel.stream_stream(SERVICE + "IngestCallStream")
    unary = channel.unary_unary(SERVICE + "IngestCall")
    run, begun, done = f"{time.time_ns():x}", time.monotonic(), threading.Event()
    answered, single = [0] * streams, [0, 0]

    def send(index):
        try:
            requests = [record(f"{run}-{index}-{number}") for number in range(records)]
            answered[index] = sum(map(is_taken, stream(iter(requests), timeout=300)))
        except grpc.RpcError as error:
            print(f"stream {index}: {error.code()}: {error.details()}", file=sys.stderr)

    def call_beside():
        while not done.wait(0.01):
            try:
                unary(record(f"{run}-single-{sum(single)}"), timeout=30)
                single[0] += 1
            except grpc.RpcError:
                single[1] += 1

    threads = [threading.Thread(target=send, args=[index]) for index in range(streams)]
    besides = threading.Thread(target=call_beside)
    for thread in [*threads, besides]:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    besides.join()
    print(
        f"python: {sum(answered)} of {streams * records} answered in {time.monotonic() - begun:.1f} s; "
        f"single calls: {single[0]} answered, {single[1]} failed"
    )
    return 0 if sum(answered) == streams * records and not single[1] else 1


sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
