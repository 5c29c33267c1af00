"""Pages in delimited protobuf (io.prometheus.client.MetricFamily), written by hand so that odd ones
can be written, too. `PAGES` holds one for each job of protobuf_test.py."""
import struct


def varint(n):
    n &= (1 << 64) - 1
    out = b""
    while n > 0x7f:
        out += bytes([n & 0x7f | 0x80])
        n >>= 7
    return out + bytes([n])


def integer(field, n):
    return varint(field << 3) + varint(n)


def zigzag(field, n):
    return integer(field, n * 2 if n >= 0 else -n * 2 - 1)


def double(field, x):
    return varint(field << 3 | 1) + struct.pack("<d", x)


def message(field, *parts):
    body = b"".join(p.encode() if isinstance(p, str) else p for p in parts)
    return varint(field << 3 | 2) + varint(len(body)) + body


def packed(field, values, zig=True):
    return message(field, *(varint(v * 2 if v >= 0 else -v * 2 - 1) for v in values))


def labels(**pairs):
    return b"".join(message(1, message(1, k), message(2, v)) for k, v in pairs.items())


COUNTER, GAUGE, SUMMARY, UNTYPED, HISTOGRAM, GAUGE_HISTOGRAM = range(6)


def family(name, kind, *metrics, unit=""):
    body = message(1, name) + message(2, f"Help of {name}.") + integer(3, kind)
    body += b"".join(message(4, m) for m in metrics)
    body += message(5, unit) if unit else b""
    return varint(len(body)) + body


def bucket(count, bound):
    return message(3, integer(1, count), double(2, bound))


def span(field, offset, length):
    return message(field, zigzag(1, offset), integer(2, length))


NATIVE = (integer(1, 10) + double(2, 18.4) + zigzag(5, 1) + double(6, 0.001) + integer(7, 2)
          + span(12, 0, 2) + span(12, 1, 2) + packed(13, [1, 1, -1, 0])
          + span(9, 0, 2) + packed(10, [1, 1]) + integer(99, 7))
CLASSIC = (integer(1, 10) + double(2, 7.5) + bucket(2, 0.1) + bucket(5, 1) + bucket(9, 2.5))
PAGES = {
    "plain": family("proto_count_total", COUNTER, labels(a="1") + message(3, double(1, 17)),
                    labels(a="ü") + message(3, double(1, 1e300)))
    + family("proto_gauge", GAUGE, labels(z="1", b="2") + message(2, double(1, -0.5)),
             message(2, double(1, float("inf"))))
    + family("proto_untyped", UNTYPED, message(5, double(1, float("nan"))))
    + family("proto.utf8 name", GAUGE, labels(**{"label.dotted": "x"}) + message(2, double(1, 3)))
    + family("proto_summary", SUMMARY, labels(s="q") + message(
        4, integer(1, 5), double(2, 2.25), message(3, double(1, 0.5), double(2, 0.25)),
        message(3, double(1, 1), double(2, 4))), labels(s="none") + message(4, integer(1, 3))),
    "classic": family("proto_classic_seconds", HISTOGRAM, labels(h="1") + message(7, CLASSIC),
                      labels(h="inf") + message(7, CLASSIC, bucket(10, float("inf"))),
                      unit="seconds"),
    "native": family("proto_native", HISTOGRAM, labels(h="both") + message(7, NATIVE, CLASSIC),
                     labels(h="native") + message(7, NATIVE),
                     labels(h="empty") + message(7, integer(1, 0), span(12, 0, 0)),
                     labels(h="fine") + message(7, integer(1, 3), double(2, 3), zigzag(5, 8),
                                                span(12, 0, 3), packed(13, [1, 0, 0])),
                     labels(h="float") + message(7, double(4, 2.5), double(2, 3), zigzag(5, 0),
                                                 span(12, 0, 2), message(14, struct.pack(
                                                     "<dd", 1.5, 1.0))))
    + family("proto_gauge_histogram", GAUGE_HISTOGRAM, labels(h="g") + message(7, NATIVE)),
}
for copy in ("classic_nhcb", "native_both", "native_limited", "native_factor", "native_off"):
    PAGES[copy] = PAGES["classic" if copy == "classic_nhcb" else "native"]
# Refused as a whole.
PAGES["bad_spans"] = family("bad", HISTOGRAM, message(
    7, integer(1, 3), double(2, 3), zigzag(5, 1), span(12, 0, 5), packed(13, [1, 0, 0])))
PAGES["bad_count"] = family("bad", HISTOGRAM, message(
    7, integer(1, 7), double(2, 3), zigzag(5, 1), span(12, 0, 3), packed(13, [1, 0, 0])))
PAGES["bad_name"] = family("", GAUGE, message(2, double(1, 1)))
PAGES["bad_cumulation"] = family("bad", HISTOGRAM, message(
    7, integer(1, 3), double(2, 3), bucket(3, 1), bucket(2, 2)))
