"""A collector of spans for tests: OTLP over HTTP, and over gRPC as far as that takes. Spans are
dictionaries. Standard library only, so frames and protobuf are taken apart here."""
import gzip
import http.server
import socket
import struct
import threading


def read_fields(data):
    """Field number and value of each field of a protobuf message."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = varint()
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            yield number, varint()
        elif kind == 1:
            yield number, data[at:at + 8]
            at += 8
        elif kind == 2:
            size = varint()
            yield number, data[at:at + size]
            at += size
        elif kind == 5:
            yield number, data[at:at + 4]
            at += 4
        else:
            raise ValueError(f"wire type {kind}")


def read_attribute(data):
    fields = dict(read_fields(data))
    kind, value = next(read_fields(fields[2]))
    return fields[1].decode(), {1: lambda: value.decode(), 2: lambda: bool(value),
                                3: lambda: value, 4: lambda: struct.unpack("<d", value)[0]}[kind]()


def read_span(data):
    span = {"attributes": {}, "parent": "", "error": None}
    for number, value in read_fields(data):
        if number in (1, 2, 4):
            span[{1: "trace", 2: "id", 4: "parent"}[number]] = value.hex()
        elif number == 5:
            span["name"] = value.decode()
        elif number == 6:
            span["kind"] = value
        elif number in (7, 8):
            span[{7: "start", 8: "end"}[number]] = struct.unpack("<Q", value)[0]
        elif number == 9:
            key, attribute = read_attribute(value)
            span["attributes"][key] = attribute
        elif number == 15:
            status = dict(read_fields(value))
            span["error"] = status.get(2, b"").decode() if status.get(3) == 2 else None
    return span


class Collector:
    """`spans` grows as they come; `resource` holds the attributes of who sent them."""

    def __init__(self):
        self.spans, self.resource, self.requests = [], {}, []
        self.fail = 0  # So many requests are refused, in a way that allows another try.
        self.lock = threading.Lock()

    def take(self, message):
        with self.lock:
            for number, resource_spans in read_fields(message):
                assert number == 1, number
                for part, value in read_fields(resource_spans):
                    if part == 1:
                        self.resource.update(read_attribute(a) for n, a in read_fields(value))
                    elif part == 2:
                        self.spans += [read_span(s) for n, s in read_fields(value) if n == 2]

    def refuses(self):
        with self.lock:
            self.fail -= 1
            return self.fail >= 0


class HttpCollector(Collector):
    def __init__(self):
        super().__init__()
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.requests.append((self.path, dict(self.headers)))
                if collector.refuses():
                    self.send_response(503)
                    self.end_headers()
                    return
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.take(body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class GrpcCollector(Collector):
    """HTTP/2 without TLS: collects the data of each stream and answers it; what stands in the
    client's compressed header fields is not looked at."""
    DATA, HEADERS, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 4, 6, 7, 8
    END_STREAM, END_HEADERS = 1, 4

    def __init__(self):
        super().__init__()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def stop(self):
        self.listener.close()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    @staticmethod
    def field(name, value):
        """A literal header field that enters no table."""
        return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value

    def serve(self, connection):
        stream = connection.makefile("rwb")

        def send(kind, flags, number, payload=b""):
            stream.write(struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) +
                         struct.pack(">I", number) + payload)
            stream.flush()

        assert stream.read(24) == b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        send(self.SETTINGS, 0, 0)
        bodies = {}
        while head := stream.read(9):
            size, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
            number = int.from_bytes(head[5:], "big")
            payload = stream.read(size)
            if kind == self.SETTINGS and not flags & 1:
                send(self.SETTINGS, 1, 0)
            elif kind == self.PING and not flags & 1:
                send(self.PING, 1, 0, payload)
            elif kind == self.HEADERS:
                bodies[number] = b""
            elif kind == self.DATA:
                bodies[number] += payload
                for target in (0, number):
                    if size:
                        send(self.WINDOW_UPDATE, 0, target, struct.pack(">I", size))
            if kind in (self.HEADERS, self.DATA) and flags & self.END_STREAM:
                self.answer(send, number, bodies.pop(number))

    def answer(self, send, number, body):
        content_type = self.field(b"content-type", b"application/grpc")
        if self.refuses():
            send(self.HEADERS, self.END_HEADERS | self.END_STREAM, number,
                 b"\x88" + content_type + self.field(b"grpc-status", b"14") +
                 self.field(b"grpc-message", b"busy"))
            return
        compressed, size = body[0], int.from_bytes(body[1:5], "big")
        assert len(body) == 5 + size, (len(body), size)
        self.take(gzip.decompress(body[5:]) if compressed else body[5:])
        send(self.HEADERS, self.END_HEADERS, number, b"\x88" + content_type)
        send(self.DATA, 0, number, b"\0\0\0\0\0")
        send(self.HEADERS, self.END_HEADERS | self.END_STREAM, number,
             self.field(b"grpc-status", b"0"))
