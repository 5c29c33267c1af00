#!/usr/bin/env python3
"""The client library against those it talks to: its examples scraped by narthex and by a real
Prometheus, and pushing to narthex' Pushgateway and to the real one."""
import gzip
import pathlib
import shutil
import ssl
import subprocess
import urllib.request

from harness import NARTHEX, Process, Server, free_port, run_tests, skip, wait_for

BUILD = pathlib.Path(NARTHEX).parent
SERVICE = BUILD / "client_example_service"
BATCH_JOB = BUILD / "client_example_batch_job"
if not SERVICE.exists() or not BATCH_JOB.exists():
    skip("the client library's examples are not built")


class Service:
    """The example, for the time of a `with`."""

    def __init__(self, *arguments):
        self.popen = subprocess.Popen([SERVICE, "127.0.0.1:0", *arguments], text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(self.popen.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.popen.stdin.close()
        assert self.popen.wait(10) == 0


def fetch(url, context=None, **headers):
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=10, context=context) as answer:
        return answer.headers, answer.read()


def test_page_by_hand(folder):
    with Service() as service:
        url = f"http://127.0.0.1:{service.port}/metrics"
        headers, body = fetch(url, **{"Accept-Encoding": "gzip"})
        assert headers["Content-Encoding"] == "gzip", headers
        page = gzip.decompress(body).decode()
        for line in ('service_requests_total{method="GET",outcome="ok"} 65',
                     'service_request_duration_seconds_bucket{le="0.1"} 80',
                     'service_phase{service_phase="serving"} 1',
                     "service_queue_length 3",
                     'service_build_info{revision="abc",version="1.2.3"} 1'):
            assert "\n" + line + "\n" in page, line
        assert fetch(url.replace("/metrics", "/-/healthy"))[1] == b"Healthy.\n"
        headers, body = fetch(url, Accept="application/openmetrics-text;version=1.0.0")
        assert b'le="0.1"} 80 # {trace_id="trace-97"} 0.064 ' in body, body
        promtool = shutil.which("promtool")
        if promtool:
            lint = subprocess.run([promtool, "check", "metrics"], input=page, text=True,
                                  capture_output=True)
            assert lint.returncode == 0, lint.stdout + lint.stderr


QUERIES = {
    'service_requests_total{outcome="ok"}': {"65", "25"},
    "service_request_duration_seconds_count": {"100"},
    "sum(service_disk_free_bytes)": {"3000000000"},
    'service_request_size_bytes{quantile="0.5"}': {"4900"},
    "count(cpp_info)": {"1"},
    "process_open_fds > bool 0": {"1"},
}


def check_scraped(server):
    wait_for("a scrape", lambda: server.query("up") and set(server.query("up").values()) == {"1"})
    for query, want in QUERIES.items():
        got = set(server.query(query).values())
        assert got == want, (query, got)


def config(port, more="", scheme=""):
    return f"""
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: service
    {more}
    {scheme}
    static_configs: [{{targets: ['127.0.0.1:{port}']}}]
"""


def test_scraped_by_narthex_with_native_histograms(folder):
    with Service() as service:
        server = Server(folder / "n", config(
            service.port, "scrape_native_histograms: true", "always_scrape_classic_histograms: true"))
        check_scraped(server)
        # 100 observations between 0.0005 and 0.256, each of ten values ten times.
        got = server.query("histogram_quantile(0.95, service_request_duration_seconds)")
        assert 0.24 < float(next(iter(got.values()))) < 0.28, got
        got = server.query("histogram_count(service_request_duration_seconds)")
        assert set(got.values()) == {"100"}, got


def test_classic_buckets_become_custom_ones(folder):
    with Service() as service:
        server = Server(folder / "n", config(
            service.port, "convert_classic_histograms_to_nhcb: true"))
        wait_for("a scrape", lambda: server.query(
            "histogram_count(service_request_duration_seconds)"))
        data = server.api("/query", query="service_request_duration_seconds")["result"]
        buckets = [(b[1], b[2], b[3]) for b in data[0]["histogram"][1]["buckets"]]
        assert buckets == [("-Inf", "0.001", "20"), ("0.001", "0.01", "30"),
                           ("0.01", "0.1", "30"), ("0.1", "1", "20")], buckets


def test_scraped_by_prometheus(folder):
    prometheus = shutil.which("prometheus")
    if not prometheus:
        print("  no prometheus here: only ours was tried")
        return
    with Service() as service:
        server = Server(folder / "p", config(service.port), program=prometheus)
        check_scraped(server)
        server.stop()
        server = Server(folder / "native", config(service.port), program=prometheus,
                        flags=["--enable-feature=native-histograms"])
        wait_for("a native histogram", lambda: server.query(
            "histogram_quantile(0.95, service_request_duration_seconds)"))
        got = server.query("histogram_quantile(0.95, service_request_duration_seconds)")
        assert 0.24 < float(next(iter(got.values()))) < 0.28, got


def test_scraped_over_tls(folder):
    pair = folder / "pair.pem"
    key = folder / "key.pem"
    if not shutil.which("openssl"):
        print("  no openssl here")
        return
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", key, "-out", pair], check=True, capture_output=True)
    with Service(str(pair), str(key)) as service:
        context = ssl.create_default_context(cafile=str(pair))
        _, body = fetch(f"https://127.0.0.1:{service.port}/metrics", context)
        assert b"service_queue_length 3\n" in body
        server = Server(folder / "n", config(
            service.port, "scheme: https", f"tls_config: {{ca_file: {pair}}}"))
        check_scraped(server)


def push(port, what):
    subprocess.run([BATCH_JOB, f"http://127.0.0.1:{port}", what], check=True)


def check_gateway(port):
    def page():
        return fetch(f"http://127.0.0.1:{port}/metrics")[1].decode()

    labels = 'instance="db1",job="example/batch",shard=""'
    push(port, "push")
    first = page()
    assert f"job_records_total{{{labels}}} 1234\n" in first, first
    assert f"job_last_success_timestamp_seconds{{{labels}}} 1." in first, first
    push(port, "add")
    push(port, "delete")
    assert "job_records_total" not in page()


def test_pushes_to_narthex(folder):
    port = free_port()
    Process([NARTHEX, "pushgateway", f"--web.listen-address=127.0.0.1:{port}"],
            folder / "gateway.log", f"http://127.0.0.1:{port}/-/ready")
    check_gateway(port)


def test_pushes_to_the_real_gateway(folder):
    program = shutil.which("prometheus-pushgateway")
    if not program:
        print("  no prometheus-pushgateway here: only ours was tried")
        return
    port = free_port()
    Process([program, f"--web.listen-address=127.0.0.1:{port}"], folder / "gateway.log",
            f"http://127.0.0.1:{port}/-/ready")
    check_gateway(port)


if __name__ == "__main__":
    run_tests(globals())
