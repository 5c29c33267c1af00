#!/usr/bin/env python3
"""Endpoints that need a whole server: federation, search, consoles, self metrics, notifications."""
import gzip
import http.client
import http.server
import json
import re
import threading
import time

from harness import CONFORMANCE, Server, free_port, run_tests, skip, wait_for

PAGE = """# TYPE a_requests_total counter
a_requests_total{path="/x",region="own"} 3
a_requests_total{path="/\\"q\\""} 4
# TYPE b_temperature gauge
b_temperature 21.5
"""


class Target(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(PAGE.encode())

    def log_message(self, *args):
        pass


def serve_target():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Target)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, server.server_address[1]


def ask(server, path, headers=None, method="GET"):
    """(status, headers, bytes), without following redirects."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request(method, path, headers=headers or {})
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def start(folder, flags=(), alerting="", scrapes=""):
    target, port = serve_target()
    rules = folder / "rules.yml"
    rules.write_text("groups:\n- name: g\n  interval: 1s\n  rules:\n"
                     "  - {record: up:sum, expr: sum(up)}\n"
                     "  - {alert: Always, expr: vector(1)}\n")
    config = f"""
global: {{scrape_interval: 1s, external_labels: {{region: eu, "zone": z}}}}
rule_files: [{rules}]
{alerting}
scrape_configs:
- {{job_name: t, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}
{scrapes}
"""
    server = Server(folder / "n", config, flags)
    wait_for("a scrape", lambda: server.query("b_temperature"))
    return server, target, port


def test_federates_newest_samples(folder):
    server, target, port = start(folder)
    path = "/federate?match[]=%7Bpath!=%22%22%7D&match[]=a_requests_total&match[]=b_temperature"
    status, headers, body = ask(server, path)
    assert status == 200, body
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
    lines = [re.sub(r" \d+$", "", line) for line in body.decode().splitlines()]
    common = f'instance="127.0.0.1:{port}",job="t"'
    # Each series once; external labels behind the series' own, unless it has them.
    assert lines == [
        "# TYPE a_requests_total untyped",
        f'a_requests_total{{{common},path="/\\"q\\"",region="eu",zone="z"}} 4',
        f'a_requests_total{{{common},path="/x",region="own",zone="z"}} 3',
        "# TYPE b_temperature untyped",
        f'b_temperature{{{common},region="eu",zone="z"}} 21.5',
    ], lines
    # A series without an instance says so.
    wait_for("a rule", lambda: server.query("up:sum"))
    assert b'up:sum{instance="",region="eu",zone="z"} 1 ' in ask(server, "/federate?match[]=up:sum")[2]
    packed = ask(server, "/federate?match[]=b_temperature", {"Accept-Encoding": "gzip"})
    assert packed[1]["Content-Encoding"] == "gzip" and b"b_temperature" in gzip.decompress(packed[2])
    protobuf = ask(server, "/federate?match[]=b_temperature", {
        "Accept": "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
                  "encoding=delimited"})
    assert protobuf[1]["Content-Type"].startswith("application/vnd.google.protobuf")
    assert b"b_temperature" in protobuf[2] and b"# TYPE" not in protobuf[2]
    assert ask(server, "/federate?match[]=%7B")[0] == 400
    assert ask(server, "/federate")[2] == b""
    assert server.stop() == 0
    target.shutdown()


def test_searches_names_and_values(folder):
    server, target, _ = start(folder, ["--enable-feature=search-api"])
    status, headers, body = ask(
        server, "/api/v1/search/metric_names?search[]=b_temp&include_score=true&include_metadata=true")
    assert (status, headers["Content-Type"]) == (200, "application/x-ndjson; charset=utf-8")
    lines = [json.loads(line) for line in body.splitlines()]
    assert lines == [{"results": [{"name": "b_temperature", "score": 1, "type": "gauge"}]},
                     {"status": "success", "has_more": False}], lines
    body = ask(server, "/api/v1/search/label_names?limit=2&batch_size=1")[2]
    lines = [json.loads(line) for line in body.splitlines()]
    assert [len(line.get("results", [])) for line in lines] == [1, 1, 0], lines
    assert lines[-1]["has_more"] is True
    assert ask(server, "/api/v1/search/label_values")[0] == 400
    assert server.stop() == 0
    target.shutdown()


def test_renders_consoles(folder):
    (folder / "consoles").mkdir()
    (folder / "libraries").mkdir()
    (folder / "libraries/a.lib").write_text('{{ define "head" }}<b>{{ . }}</b>{{ end }}')
    (folder / "consoles/page.html").write_text(
        '{{ template "head" .Path }} {{ $params.a }} {{ .ExternalLabels.zone }}'
        '{{ range query "b_temperature" }} {{ .Value }}{{ end }}')
    (folder / "consoles/bad.html").write_text("{{ .Nope")
    server, target, _ = start(folder, [f"--web.console.templates={folder}/consoles",
                                       f"--web.console.libraries={folder}/libraries"])
    status, headers, body = ask(server, "/consoles/page.html?a=%3Cx%3E")
    assert (status, body) == (200, b"<b>page.html</b> &lt;x&gt; z 21.5"), body
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert ask(server, "/consoles/bad.html")[0] == 500
    assert ask(server, "/consoles/none.html")[0] == 404
    # No way out of the folder, however it is written.
    for path in ("/consoles/../n/prometheus.yml", "/consoles/..%2fn%2fprometheus.yml",
                 "/consoles/%2e%2e/n/prometheus.yml"):
        status, _, body = ask(server, path)
        assert status in (301, 307, 404) and b"scrape_configs" not in body, (path, status)
    assert server.stop() == 0
    target.shutdown()


def test_streams_notifications(folder):
    server, target, _ = start(folder, ["--web.max-notifications-subscribers=1",
                                       "--web.enable-lifecycle"])
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", "/api/v1/notifications/live")
    stream = connection.getresponse()
    assert stream.status == 200 and stream.headers["Content-Type"] == "text/event-stream"
    assert ask(server, "/api/v1/notifications/live")[0] == 204  # One too many.
    good = server.config_path.read_text()
    server.config_path.write_text("nonsense: true\n")
    assert server.get("/-/reload", method="POST")[0] == 500
    event = json.loads(stream.readline().removeprefix(b"data: "))
    assert event["text"] == "Configuration reload has failed." and event["active"] is True
    assert server.api("/notifications")[0]["text"] == event["text"]
    server.config_path.write_text(good)
    assert server.get("/-/reload", method="POST")[0] == 200
    stream.readline()
    assert json.loads(stream.readline().removeprefix(b"data: "))["active"] is False
    metrics = server.get("/metrics")[1]
    assert "prometheus_api_notification_updates_sent_total 2\n" in metrics
    connection.close()
    assert server.stop() == 0
    target.shutdown()


def test_exposes_what_the_official_alerts_need(folder):
    alerts = CONFORMANCE / "corpus/mixins/prometheus/alerts.yaml"
    if not alerts.exists():
        skip(f"{alerts} is not there")
    alerting = ("alerting: {alertmanagers: [{static_configs: [{targets: "
                f"['127.0.0.1:{free_port()}']}}]}}]}}")
    server, target, _ = start(
        folder, alerting=alerting,
        scrapes=f"- {{job_name: h, http_sd_configs: [{{url: 'http://127.0.0.1:{free_port()}'}}]}}")
    # These come with remote_write and Kubernetes discovery, which this configuration has not.
    conditional = re.compile(r"prometheus_(remote_storage|sd_kubernetes)_")
    names = set(re.findall(r"\bprometheus_[a-z_]+", alerts.read_text()))
    names = {name for name in names if not conditional.match(name)}
    assert len(names) > 15, names

    def missing():
        page = server.get("/metrics")[1]
        return [name for name in sorted(names) if f"\n{name}" not in page]

    deadline = time.monotonic() + 10
    while missing() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not missing(), missing()
    # Every route is counted before its first request, under its pattern.
    page = server.get("/metrics")[1]
    for handler in ("/api/v1/label/:name/values", "/-/quit", "/assets/*filepath", "/federate"):
        assert f'prometheus_http_requests_total{{handler="{handler}",code="200"}} 0\n' in page or \
            f'prometheus_http_requests_total{{code="200",handler="{handler}"}} 0\n' in page, handler
    pattern = "prometheus_(ready|http_requests_total)"
    families = server.api("/status/self_metrics", metric_name_pattern=pattern)
    assert [family["name"] for family in families] == ["prometheus_http_requests_total",
                                                       "prometheus_ready"]
    assert families[1]["metric"] == [{"gauge": {"value": 1}}]
    assert server.stop() == 0
    target.shutdown()


def test_evaluates_independent_rules_together(folder):
    server, target, _ = start(folder, ["--enable-feature=concurrent-rule-eval",
                                       "--rules.max-concurrent-evals=2"])
    wait_for("rules", lambda: all(
        rule["health"] == "ok" for group in server.api("/rules")["groups"]
        for rule in group["rules"]))
    assert server.api("/features")["rules"]["concurrent_rule_eval"] is True
    assert server.stop() == 0
    target.shutdown()


run_tests(dict(globals()))
