"""The data that generated queries run over: some 90 short series with everything that is hard.

Counters with resets and gaps, gauges with NaN, infinities and -0, stale markers, series that come
and go, huge and tiny values, classic histograms (two of them damaged), native histograms of both
kinds whose schema, bounds and hints change on the way, series that change between floats and
histograms, info metrics, UTF-8 names. make(seed) gives them as Series; write(url, series) sends
them to a server's remote-write receiver, the one door through which a server takes samples of any
kind and time. The encoders below (protobuf, snappy without compression) are just large enough.
"""
import math
import random
import struct
import urllib.error
import urllib.request

T0 = 1767225600  # 2026-01-01T00:00:00Z
STEP_MS = 15_000
SAMPLES = 200
STALE = "stale"
LATENCY_BOUNDS = ["0.005", "0.01", "0.05", "0.1", "0.5", "1", "+Inf"]


class Histogram:
    """Native: `schema` -4..8, or -53 with `bounds`; buckets as {index: count}."""

    def __init__(self, schema, positive, negative=None, zero=0, zero_threshold=0.0, total=None,
                 bounds=(), hint=0, is_float=False):
        self.schema, self.positive, self.negative = schema, positive, negative or {}
        self.zero, self.zero_threshold, self.bounds = zero, zero_threshold, list(bounds)
        self.hint, self.is_float = hint, is_float
        self.count = sum(positive.values()) + sum(self.negative.values()) + zero
        self.sum = total if total is not None else self.count * 0.75


class Series:
    def __init__(self, name, **labels):
        self.labels = {"__name__": name, **labels}
        self.samples = []  # (time in ms, float | STALE | Histogram)


def make(seed):
    r = random.Random(seed)
    series = []

    def times(jitter=0, first=0, last=SAMPLES, gap=0.0):
        shift = r.randrange(jitter) if jitter else 0
        for i in range(first, last):
            if gap and r.random() < gap:
                continue
            yield i, T0 * 1000 + i * STEP_MS + shift

    def add(name, values, **labels):
        s = Series(name, **labels)
        s.samples = list(values)
        series.append(s)

    def counter(reset=0.02, scale=20, integral=False, **kw):
        value = 0.0
        for _, t in times(**kw):
            value = 0.0 if r.random() < reset else value + r.random() * scale
            yield t, float(math.floor(value)) if integral else value

    def gauge(odd=0.0, low=-20, high=30, **kw):
        for i, t in times(**kw):
            value = low + (high - low) * (0.5 + 0.5 * math.sin(i / 11)) + r.random()
            if r.random() < odd:
                value = r.choice([math.nan, math.inf, -math.inf, -0.0, 0.0, STALE, STALE])
            yield t, value

    for i in range(2):
        host = f"host-{i}:9100"
        add("up", ((t, float(r.random() > 0.05)) for _, t in times()), job="node", instance=host)
        for mode in ("user", "idle", "system"):
            for cpu in ("0", "1"):
                add("node_cpu_seconds_total", counter(jitter=900, gap=0.05), job="node",
                    instance=host, cpu=cpu, mode=mode)
        add("temperature_celsius", gauge(odd=0.15), job="node", instance=host, sensor="a")
        add("temperature_celsius", gauge(odd=0.5, jitter=3000), job="node", instance=host,
            sensor="b")
        add("node_load1", gauge(low=0, high=8, gap=0.1), job="node", instance=host)
        add("node_uname_info", ((t, 1.0) for _, t in times()), job="node", instance=host,
            nodename=f"host-{i}", release=f"6.{i}")
    for i in range(2):
        host = f"api-{i}:8080"
        add("up", ((t, float(r.random() > 0.05)) for _, t in times()), job="api", instance=host)
        for code in ("200", "404", "500"):
            for method in ("GET", "POST"):
                add("http_requests_total",
                    counter(integral=True, reset=0.03, gap=0.1, jitter=1000,
                            first=r.randrange(60), last=SAMPLES - r.randrange(60)),
                    job="api", instance=host, code=code, method=method)
        # The version changes in the middle of the data, with and without a marker.
        change = 80 + 40 * i
        old = [(t, 1.0) for _, t in times(last=change)]
        if i == 0:
            old.append((T0 * 1000 + change * STEP_MS, STALE))
        add("target_info", old, job="api", instance=host, version="v1", cluster=f"c{i}")
        add("target_info", ((t, 1.0) for _, t in times(first=change)), job="api", instance=host,
            version="v2", cluster=f"c{i}")
        add("build_info", ((t, 1.0) for _, t in times()), job="api", instance=host,
            revision=f"r{i}")
        for le in LATENCY_BOUNDS:
            bound = float(le)
            add("http_request_duration_seconds_bucket",
                ((t, math.floor(i_ * 10 * (1 - math.exp(-bound * (2 + i))) + (
                    r.random() * 3 if i else 0))) for i_, t in times()),
                job="api", instance=host, le=le)
        add("http_request_duration_seconds_sum", counter(reset=0.01), job="api", instance=host)
        add("http_request_duration_seconds_count", counter(reset=0.01, integral=True), job="api",
            instance=host)
    for le in ("0.1", "1", "10"):  # No +Inf bucket.
        add("headless_bucket", counter(), job="api", le=le)
    for le in ("0.1", "1.0", "1", "bad", "+Inf"):  # Two spellings of one bound, and no number.
        add("damaged_bucket", counter(), job="api", le=le)

    # Sums whose exact value needs compensation or leaves the range of doubles.
    add("extreme", ((t, r.choice([1e308, -1e308, 1e16, 1.0, -1e16, 5e-324])) for _, t in times()),
        kind="huge")
    add("extreme", ((t, r.choice([1e-310, 5e-324, -5e-324, 0.1, 0.2])) for _, t in times()),
        kind="tiny")
    add("extreme", ((t, r.choice([0.1, 1e16, -1e16, 3.0])) for _, t in times()), kind="mixed")
    add("same", ((t, 7.0) for _, t in times()), a="x", b="1")
    add("same", ((t, 7.0) for _, t in times()), a="y", b="1")
    add("same", ((t, -0.0) for _, t in times()), a="z", b="2")
    for i, pod in enumerate("abcde"):  # Churn.
        first = 10 + 30 * i
        points = list(gauge(first=first, last=first + 50, jitter=500))
        if i % 2:
            points.append((points[-1][0] + STEP_MS, STALE))
        add("churn", points, pod=pod, job="churn")
    for i in range(2):
        add("queue.length", gauge(low=0, high=9), **{"queue.name": f"α-{i}", "job": "api"})
    add("typed_total", counter(), __type__="counter", __unit__="seconds", job="api")
    add("typed_total", gauge(), __type__="gauge", job="api")

    def grow(h, **kw):
        """The histogram `h` gains observations from sample to sample."""
        for i, t in times(**kw):
            yield i, t, h
            h = step(h)

    def step(h):
        positive = {k: v + r.randrange(4) for k, v in h.positive.items()}
        negative = {k: v + r.randrange(2) for k, v in h.negative.items()}
        if r.random() < 0.1 and h.schema != -53:
            positive.setdefault(max(positive) + r.randrange(1, 5), 1)
        half = 0.5 if h.is_float else 0
        if half:
            positive = {k: v + half for k, v in positive.items()}
        zero = h.zero + r.randrange(2) if h.schema != -53 else 0
        return Histogram(h.schema, positive, negative, zero, h.zero_threshold,
                         h.sum + r.random() * 5, h.bounds, h.hint, h.is_float)

    def fresh(schema, **kw):
        first = r.randrange(-6, 4)
        positive = {first: 2, first + 1: 3, first + 4: 1, first + 5: 7}
        negative = {r.randrange(-2, 2): 4} if r.random() < 0.6 else {}
        return Histogram(schema, positive, negative, r.randrange(5), kw.pop("threshold", 1e-6),
                         **kw)

    def custom(bounds, **kw):
        return Histogram(-53, {i: r.randrange(1, 5) for i in range(len(bounds) + 1)}, bounds=bounds,
                         **kw)

    def native(make_next, change=0.03, **kw):
        h = make_next()
        for _, t in times(**kw):
            yield t, h
            h = make_next() if r.random() < change else step(h)

    for i in range(2):
        host = f"api-{i}:8080"
        where = {"job": "api", "instance": host}
        add("rpc_latency_seconds", native(lambda: fresh(1 + i)), **where, service="auth")
        add("rpc_latency_seconds", native(lambda: fresh(r.randrange(-2, 5)), gap=0.05,
                                          jitter=1000), **where, service="mail")
        add("rpc_latency_float_seconds", native(
            lambda: fresh(r.choice([0, 3]), is_float=True,
                          threshold=r.choice([0.0, 1e-6, 0.001, 0.5]))), **where, service="auth")
        add("rpc_size_bytes", native(lambda: custom([1, 10, 100, 1000])), **where, service="auth")
        add("rpc_size_bytes", native(lambda: custom(r.choice(
            [[1, 10, 100, 1000], [1, 5, 10, 50, 100], [-5, 0, 5], [10]]))), **where,
            service="mail")
        add("rpc_gauge", native(lambda: fresh(r.choice([0, 2]), hint=3), change=0.1), **where)

        def mixed():
            value = 0.0
            h = fresh(2)
            for index, t in times(gap=0.03):
                if (index // 17) % 2:
                    h = step(h)
                    yield t, h
                else:
                    value += r.random() * 9
                    yield t, value
        add("mixed_metric", mixed(), **where)

        def kinds():
            for index, t in times(gap=0.03):
                phase = (index // 23) % 4
                yield t, (fresh(1) if phase == 0 else custom([1, 2, 3]) if phase == 1
                          else STALE if phase == 2 and r.random() < 0.4 else float(index))
        add("kinds", kinds(), **where)
    add("nan_sum", native(lambda: fresh(1, total=math.nan)), job="api")
    nan_heavy = []
    for _, t, h in grow(fresh(2, total=math.nan)):
        h.count += 3  # Observations of NaN are in no bucket.
        nan_heavy.append((t, h))
    add("nan_observations", nan_heavy, job="api")
    add("one_sided", native(lambda: Histogram(0, {0: 3, 1: 4}, zero=6, zero_threshold=0.25)),
        job="api")
    add("empty_histogram", ((t, Histogram(0, {}, total=0.0)) for _, t in times()), job="api")
    # A native histogram beside classic buckets of the same name.
    for le in ("1", "2", "+Inf"):
        add("both_kinds", counter(integral=True), job="api", le=le)
    add("both_kinds", native(lambda: fresh(1)), job="api")
    return series


# ---- remote write ---------------------------------------------------------------------------

def varint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def zigzag(n):
    return varint(n << 1 if n >= 0 else (-n << 1) - 1)


def field_bytes(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def field_int(number, encoded):
    return varint(number << 3) + encoded


def field_double(number, value):
    return varint(number << 3 | 1) + struct.pack("<d", value)


def encode_value(value):
    return struct.pack("<Q", 0x7FF0000000000002) if value is STALE else struct.pack("<d", value)


def encode_spans(number, indexes):
    out = b""
    runs = []
    for i in sorted(indexes):
        if runs and runs[-1][1] == i:
            runs[-1][1] = i + 1
        else:
            runs.append([i, i + 1])
    end = 0
    for first, last in runs:
        out += field_bytes(number, field_int(1, zigzag(first - end)) +
                           field_int(2, varint(last - first)))
        end = last
    return out


def encode_buckets(h, buckets, spans_field):
    out = encode_spans(spans_field, buckets)
    counts = [buckets[i] for i in sorted(buckets)]
    if not counts:
        return out
    if h.is_float:
        return out + field_bytes(spans_field + 2, b"".join(struct.pack("<d", c) for c in counts))
    deltas = [c - p for c, p in zip(counts, [0] + counts)]
    return out + field_bytes(spans_field + 1, b"".join(zigzag(d) for d in deltas))


def encode_histogram(t, h):
    if h.is_float:
        out = field_double(2, h.count)
    else:
        out = field_int(1, varint(h.count))
    out += field_double(3, h.sum) + field_int(4, zigzag(h.schema))
    if h.schema != -53:
        out += field_double(5, h.zero_threshold)
        out += field_double(7, h.zero) if h.is_float else field_int(6, varint(h.zero))
        out += encode_buckets(h, h.negative, 8)
    out += encode_buckets(h, h.positive, 11)
    out += field_int(14, varint(h.hint)) + field_int(15, varint(t))
    if h.bounds:
        out += field_bytes(16, b"".join(struct.pack("<d", b) for b in h.bounds))
    return out


def encode_request(series):
    """A WriteRequest with each series' (labels, samples)."""
    out = b""
    for labels, samples in series:
        body = b""
        for name, value in sorted(labels.items()):
            body += field_bytes(1, field_bytes(1, name.encode()) + field_bytes(2, value.encode()))
        for t, value in samples:
            if isinstance(value, Histogram):
                body += field_bytes(4, encode_histogram(t, value))
            else:
                body += field_bytes(2, varint(1 << 3 | 1) + encode_value(value) +
                                    field_int(2, varint(t)))
        out += field_bytes(1, body)
    return out


def snappy(data):
    """Stored, not compressed: one literal after another."""
    out = varint(len(data))
    for at in range(0, len(data), 65536):
        piece = data[at:at + 65536]
        out += bytes([61 << 2]) + struct.pack("<H", len(piece) - 1) + piece
    return out


def write(url, series, floats_only=False):
    """Sends sample by sample in time order, as scrapes would bring them: several requests."""
    by_time = {}
    for s in series:
        for t, value in s.samples:
            if not floats_only or not isinstance(value, Histogram):
                by_time.setdefault((t - T0 * 1000) // (20 * STEP_MS), {}).setdefault(
                    id(s), (s.labels, []))[1].append((t, value))
    for _, part in sorted(by_time.items()):
        request = urllib.request.Request(
            url + "/api/v1/write", data=snappy(encode_request(part.values())),
            headers={"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf",
                     "X-Prometheus-Remote-Write-Version": "0.1.0"})
        try:
            urllib.request.urlopen(request, timeout=60).close()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"remote write: {error.code} {error.read()}") from None
