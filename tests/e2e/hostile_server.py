"""A target that misbehaves as its path says, byte by byte: no HTTP library stands between it and
the network. `BEHAVIOURS` names each and says what a scraper should make of it."""
import gzip
import random
import socket
import struct
import threading
import time
import zlib

TEXT = "text/plain; version=0.0.4"
PROTO = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"


def head(length=None, content_type=TEXT, status="200 OK", **more):
    lines = [f"HTTP/1.1 {status}"]
    if content_type is not None:
        lines.append(f"Content-Type: {content_type}")
    if length is not None:
        lines.append(f"Content-Length: {length}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def page(body, **how):
    if isinstance(body, str):
        body = body.encode()
    return lambda: [head(len(body), **how), body]


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def drip(first, parts, pause):
    def sending():
        yield first
        for part in parts:
            time.sleep(pause)
            yield part
    return sending


def endless():
    yield head(Transfer_Encoding="chunked")
    block = chunk(b"# nothing to see here, but much of it\n" * 1000)
    while True:
        yield block
        time.sleep(0.001)


def late(seconds_ahead):
    return lambda: page(f"good 1\nfuture 1 {int((time.time() + seconds_ahead) * 1000)}\n")()


GOOD = "# TYPE good gauge\ngood 1\n"
NOISE = random.Random(7).randbytes(4096)
BOMB = gzip.compress(b"\n" * (64 << 20))
PACKED = gzip.compress(GOOD.encode())
# A family "x" of gauges whose label nests groups (a wire type long gone) very deep.
DEEP = b"\x0a\x01x\x18\x01\x22" + b"\xff\x7f" + b"\x0b" * 16383

# path -> (what is sent, its error text as Prometheus 3.16 words it; None: scraped well). An error
# that ends in … is a beginning.
BEHAVIOURS = {}


def behaviour(path, sending, error):
    BEHAVIOURS[path] = (sending, error)


URL = "http://ADDRESS"
behaviour("/good", page(GOOD), None)
behaviour("/slow-head", drip(b"HTTP/1.1 200 OK\r\n", [b"X-A: b\r\n"] * 1000, 0.05),
          f'Get "{URL}/slow-head": context deadline exceeded')
behaviour("/silent", drip(b"", [b""] * 1000, 0.05), f'Get "{URL}/silent": context deadline exceeded')
behaviour("/slow-body", drip(head(100000), [b"#"] * 1000, 0.05), "context deadline exceeded")
behaviour("/endless", endless, "context deadline exceeded")
behaviour("/endless-limited", endless, "body size limit exceeded")
behaviour("/length-too-large", lambda: [head(10**6), GOOD.encode()], "unexpected EOF")
behaviour("/length-huge", lambda: [head(10**15), GOOD.encode()], "unexpected EOF")
behaviour("/length-too-small", lambda: [head(len(GOOD) - 2), GOOD.encode()],
          'expected value after metric, got "\\n" ("INVALID") while parsing: "good \\n"')
behaviour("/length-negative", lambda: [head(-5), GOOD.encode()],
          f'Get "{URL}/length-negative": net/http: HTTP/1.x transport connection broken: '
          "bad Content-Length…")
behaviour("/vanishes", lambda: [head(Transfer_Encoding="chunked"), chunk(b"good 1\n"), b"ff\r\ngoo"],
          "unexpected EOF")
behaviour("/reset", "reset", f'Get "{URL}/reset": read tcp …')
behaviour("/closes", lambda: [], f'Get "{URL}/closes": EOF')
behaviour("/bad-chunk", lambda: [head(Transfer_Encoding="chunked"), b"zz\r\ngood 1\n"],
          "invalid byte in chunk length")
behaviour("/no-http", lambda: [b"SSH-2.0-OpenSSH_9.2\r\n"],
          f'Get "{URL}/no-http": net/http: HTTP/1.x transport connection broken: '
          'malformed HTTP response "SSH-2.0-OpenSSH_9.2"')
behaviour("/many-headers", lambda: [b"HTTP/1.1 200 OK\r\n"] + [b"X-Header: " + b"x" * 1000 + b"\r\n"] * 12000,
          f'Get "{URL}/many-headers": net/http: HTTP/1.x transport connection broken: '
          'net/http: server response headers exceeded 10485760 bytes; aborted')
behaviour("/bomb-limited", page(BOMB, Content_Encoding="gzip"), "body size limit exceeded")
behaviour("/bomb", page(BOMB, Content_Encoding="gzip"), None)
behaviour("/gzip", page(PACKED, Content_Encoding="gzip"), None)
behaviour("/gzip-not", page(GOOD, Content_Encoding="gzip"), "gzip: invalid header")
behaviour("/gzip-empty", page(b"", Content_Encoding="gzip"), "EOF")
behaviour("/gzip-cut", page(PACKED[:-12], Content_Encoding="gzip"), "unexpected EOF")
behaviour("/gzip-sum", page(PACKED[:-8] + b"abcd" + PACKED[-4:], Content_Encoding="gzip"),
          "gzip: invalid checksum")
behaviour("/gzip-corrupt", page(PACKED[:10] + b"\xff" * 20 + PACKED[30:], Content_Encoding="gzip"),
          "flate: corrupt input before offset …")
behaviour("/zstd", page(b"\x28\xb5\x2f\xfd", Content_Encoding="zstd"),
          'received a zstd-compressed response, but the "zstd-scrape" feature flag is not enabled')
behaviour("/deflate", page(zlib.compress(GOOD.encode()), Content_Encoding="deflate"),
          "unsupported character in float while parsing: …")
behaviour("/noise", page(NOISE), "expected a valid start token, got …")
behaviour("/noise-proto", page(NOISE, content_type=PROTO),
          "proto: MetricFamily: wiretype end group for non-group")
behaviour("/deep-proto", page(b"\x8a\x80\x01" + DEEP, content_type=PROTO),
          "clientpb: insufficient length of buffer, expected at least 16397 bytes, got 16394 bytes")
behaviour("/groups-proto", page(b"\xff\x7f" + b"\x0b" * 16383, content_type=PROTO), "…")
behaviour("/cut-proto", page(b"\x7f\x0a\x04good", content_type=PROTO),
          "clientpb: insufficient length of buffer, expected at least 128 bytes, got 7 bytes")
behaviour("/long-value", page('good{a="' + "x" * (10 << 20) + '"} 1\n'),
          "label_value_length_limit exceeded (metric: good, label name: a, value: …")
behaviour("/longer-value", page('good{a="' + "x" * (20 << 20) + '"} 1\n'), "series too long to store (metric: good{…")
behaviour("/long-name", page("x" * (10 << 20) + " 1\n"),
          "label_value_length_limit exceeded (metric: " + "x" * 50 + ", label name: __name__, …")
behaviour("/many-labels",
          page("good{" + ",".join(f'l{i}="v"' for i in range(1_000_000)) + "} 1\n"),
          "label_limit exceeded (metric: good, number of labels: 1000003, limit: 100)")
behaviour("/many-samples", page("".join(f"m{i} 1\n" for i in range(1000))), "sample limit exceeded")
behaviour("/redirect-loop", page("", status="302 Found", Location="/redirect-loop",
                                 Connection="close"),
          'Get "/redirect-loop": stopped after 10 redirects')
behaviour("/redirect", page("", status="302 Found", Location="/good", Connection="close"), None)
behaviour("/teapot", page(GOOD, status="418 I'm a teapot"),
          "server returned HTTP status 418 I'm a teapot")
behaviour("/status-only", page(GOOD, status="500"), "server returned HTTP status 500")
behaviour("/no-type", page(GOOD, content_type=None),
          "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol "
          "specified for target")
behaviour("/html", page("<html></html>", content_type="text/html"),
          'received unsupported Content-Type "text/html" and no fallback_scrape_protocol specified '
          "for target")
behaviour("/empty", page(""), None)
behaviour("/no-eof", page(GOOD, content_type="application/openmetrics-text; version=1.0.0"),
          "data does not end with # EOF")
behaviour("/duplicates", page("good 1\ngood 2\ngood 3\n"), None)
behaviour("/future", late(3600), None)
behaviour("/backwards", lambda: page(f"good {1} {10**12 - int(time.time())}\n")(), None)


class HostileServer:
    """Listens until the process ends; a thread a connection."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection):
        with connection:
            request = b""
            while b"\r\n\r\n" not in request:
                part = connection.recv(4096)
                if not part:
                    return
                request += part
            path = request.split(b" ")[1].decode()
            if BEHAVIOURS[path][0] == "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            try:
                for part in BEHAVIOURS[path][0]():
                    connection.sendall(part)
            except OSError:
                pass  # The scraper had enough.
            try:
                connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass
