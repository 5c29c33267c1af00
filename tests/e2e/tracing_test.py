"""Spans of scrapes, rules and queries reach a collector over both protocols."""
import http.server
import json
import threading
import time
import urllib.request

from harness import Server, run_tests, wait_for
from otlp_collector import GrpcCollector, HttpCollector

CONFIG = """
global: {{scrape_interval: 1s, evaluation_interval: 1s, query_log_file: {log}}}
rule_files: [{rules}]
tracing: {{endpoint: "{endpoint}", client_type: {client}, insecure: true, sampling_fraction: {share},
          compression: {compression}, headers: {{X-Tenant: a}}}}
scrape_configs:
- {{job_name: page, static_configs: [{{targets: ["{target}"]}}]}}
"""


class Page:
    """A target that remembers what it was asked with."""

    def __init__(self):
        page = self
        page.headers = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                page.headers.append(dict(self.headers))
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(b"m 1\n")

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.target = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def start(folder, page, collector, client, share=1.0, compression='""'):
    rules = [{"record": "r", "expr": "sum(m)"},
             {"record": "bad", "expr": 'label_replace(m, "x", "", "y", "(")'}]
    (folder / "rules.yml").write_text(json.dumps({"groups": [{"name": "g", "rules": rules}]}))
    return Server(folder, CONFIG.format(
        endpoint=collector.endpoint, client=client, share=share, compression=compression,
        target=page.target, rules=folder / "rules.yml", log=folder / "query.log"),
        flags=["--web.enable-lifecycle"])


def tree(spans, root):
    """The names below a span, in order of their starts."""
    below = sorted((s for s in spans if s["parent"] == root["id"]), key=lambda s: s["start"])
    return {root["name"]: [tree(spans, s) for s in below]} if below else root["name"]


def named(collector, name):
    with collector.lock:
        return [s for s in collector.spans if s["name"] == name]


def check_spans(collector, server, page, folder):
    caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    request = urllib.request.Request(
        server.url + "/api/v1/query_range?query=sum(m)&start=0&end=60&step=15&timeout=5s",
        headers={"traceparent": caller, "User-Agent": "asker"})
    assert urllib.request.urlopen(request).status == 200

    query, = wait_for("the query's spans", lambda: named(collector, "GET /api/v1/query_range"), 20)
    assert query["trace"] + query["parent"] == "0af7651916cd43dd8448eb211c80319cb7ad6b7169203331"
    assert query["kind"] == 2 and query["error"] is None, query
    assert query["attributes"]["http.response.status_code"] == 200, query
    assert query["attributes"]["user_agent.original"] == "asker", query
    with collector.lock:
        spans = list(collector.spans)
    assert tree(spans, query) == {"GET /api/v1/query_range": [{"promqlRangeQuery": [
        {"promqlExec": ["promqlExecQueue", {"promqlEval": [
            "promqlPrepare", "promqlInnerEval", "promqlSort"]}]}]}]}, tree(spans, query)
    ranged, = named(collector, "promqlRangeQuery")
    assert ranged["attributes"] == {
        "query": "sum(m)", "timeout": "5s", "start": "1970-01-01T00:00:00Z",
        "end": "1970-01-01T00:01:00Z", "step": "15s", "result_series": 0, "total_samples": 0}
    logged = [json.loads(line) for line in (folder / "query.log").read_text().splitlines()]
    assert query["trace"] in [line.get("traceID") for line in logged], logged[-3:]

    wait_for("a scrape's spans", lambda: named(collector, "scrape"), 20)
    scrape = named(collector, "scrape")[0]
    assert not scrape["parent"] and scrape["attributes"]["samples_scraped"] == 1, scrape
    assert tree(collector.spans, scrape) == {"scrape": [
        {"scrapeRequest": ["HTTP GET"]}, "scrapeRead", "scrapeAppend", "scrapeReport",
        "scrapeCommit"]}, tree(collector.spans, scrape)
    sent = [s for s in named(collector, "HTTP GET") if s["trace"] == scrape["trace"]][0]
    assert sent["attributes"]["url.full"] == f"http://{page.target}/metrics", sent
    assert f"00-{sent['trace']}-{sent['id']}-01" in [
        h.get("Traceparent") for h in page.headers], page.headers

    def finished_group():
        for rule in named(collector, "rule"):
            group = [g for g in named(collector, "rule group") if g["id"] == rule["parent"]]
            if group and rule["attributes"].get("num_series") == 1:
                return group[0]

    group = wait_for("a group's spans", finished_group, 20)
    assert group["attributes"]["interval"] == "1s", group
    good, bad = sorted((s for s in named(collector, "rule") if s["parent"] == group["id"]),
                       key=lambda s: s["attributes"]["index"])
    assert good["attributes"] == {"group": "g", "name": "r", "query_offset": "0s", "index": 0,
                                  "num_series": 1}, good
    assert good["error"] is None and bad["attributes"]["name"] == "bad", (good, bad)
    inner = [s["name"] for s in collector.spans if s["parent"] == good["id"]]
    assert "ruleAppendResults" in inner and "ruleCommit" in inner, inner
    assert all(s["end"] >= s["start"] > 1.7e18 for s in collector.spans)
    assert collector.resource["service.name"] == "prometheus", collector.resource


def test_over_http(folder):
    collector, page = HttpCollector(), Page()
    collector.fail = 1  # The first request is repeated.
    server = start(folder, page, collector, "http", compression="gzip")
    check_spans(collector, server, page, folder)
    path, headers = collector.requests[-1]
    assert path == "/v1/traces" and headers["Content-Encoding"] == "gzip", (path, headers)
    assert headers["X-Tenant"] == "a", headers
    # The end of the server sends what is left.
    before = len(named(collector, "scrape"))
    time.sleep(1.5)
    server.stop()
    assert len(named(collector, "scrape")) > before
    collector.stop()


def test_over_grpc(folder):
    collector, page = GrpcCollector(), Page()
    server = start(folder, page, collector, "grpc")
    check_spans(collector, server, page, folder)
    collector.stop()


def test_sampling_and_absence(folder):
    collector, page = HttpCollector(), Page()
    server = start(folder, page, collector, "http", share=0)
    wait_for("a scrape", lambda: server.query("m"))
    # Who is not recorded is still named, so that the other side does not record either.
    wait_for("a traceparent", lambda: page.headers[-1].get("Traceparent"))
    assert page.headers[-1]["Traceparent"].endswith("-00"), page.headers[-1]
    # A caller that records decides for the server.
    request = urllib.request.Request(server.url + "/api/v1/query?query=1", headers={
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
    urllib.request.urlopen(request)
    wait_for("the caller's trace", lambda: named(collector, "promqlInstantQuery"), 20)
    assert not named(collector, "scrape")
    # Without the section there are no names either; a reload is enough.
    text = server.config_path.read_text()
    server.config_path.write_text("".join(
        line for line in text.splitlines(True)
        if "tracing" not in line and "compression" not in line))
    assert server.get("/-/reload", method="POST")[0] == 200
    count = len(page.headers)
    wait_for("two more scrapes", lambda: len(page.headers) > count + 2)
    assert "Traceparent" not in page.headers[-1], page.headers[-1]
    collector.stop()


def test_collector_that_is_away(folder):
    collector, page = HttpCollector(), Page()
    collector.stop()
    server = start(folder, page, collector, "http")
    wait_for("a scrape", lambda: server.query("m"))
    started = time.monotonic()
    server.stop()
    assert time.monotonic() - started < 15
    assert "traces export: " in server.log(), server.log()[-2000:]


if __name__ == "__main__":
    run_tests(globals())
