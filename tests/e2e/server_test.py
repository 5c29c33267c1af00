#!/usr/bin/env python3
"""The server's life: start, reload, bad input, limits, lifecycle, shutdown."""
import http.server
import json
import os
import pathlib
import resource
import signal
import socket
import subprocess
import threading
import time
import urllib.request

from harness import NARTHEX, Process, Server, free_port, run_tests, wait_for

GOOD = "global: {scrape_interval: 1s}\nscrape_configs: []\n"


class Pages(http.server.BaseHTTPRequestHandler):
    """A target that misbehaves as its path says."""

    def do_GET(self):
        body = {
            "/metrics": "# TYPE good gauge\ngood 1\n",
            "/broken": "good 1\nbad{ 2\n",
            "/large": "x 1\n" * 100_000,
            "/many": "".join(f"m{{i=\"{i}\"}} 1\n" for i in range(100)),
            "/slow": "",
        }.get(self.path)
        if self.path == "/slow":
            time.sleep(3)
        self.send_response(200 if body is not None else 404)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        try:
            self.wfile.write((body or "").encode())
        except BrokenPipeError:
            pass

    def log_message(self, *args):
        pass


def serve_pages():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, server.server_address[1]


def test_starts_answers_and_stops(folder):
    server = Server(folder / "n", GOOD)
    assert server.get("/-/healthy") == (200, "Prometheus Server is Healthy.\n")
    assert server.get("/-/ready") == (200, "Prometheus Server is Ready.\n")
    assert server.query("1 + 1") == "2"
    status, text = server.get("/")
    assert status == 200 and "<title>" in text  # Redirected to the query page.
    assert server.get("/api/v1/nope")[0] == 404
    assert server.stop() == 0
    log = server.log()
    for line in ("Starting Prometheus Server", "TSDB started",
                 "Server is ready to receive web requests.", "See you next time!"):
        assert line in log, log
    # The lock is released and a second start finds everything in order.
    again = Server(folder / "n", GOOD)
    assert "previous execution" not in again.log()
    again.stop()


def test_applies_the_runtime_section(folder):
    page = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=page.serve_forever, daemon=True).start()
    jobs = ("global: {scrape_interval: 200ms, scrape_timeout: 200ms}\nscrape_configs:\n"
            "- job_name: broken\n  metrics_path: /broken\n"
            f"  static_configs: [targets: ['127.0.0.1:{page.server_port}']]\n")
    server = Server(folder / "s", "runtime: {log_level: debug, gogc: 40}\n" + jobs,
                    ["--web.enable-lifecycle"])
    assert server.api("/status/runtimeinfo")["GOGC"] == "40"
    wait_for("a debug line", lambda: "level=DEBUG" in server.log())
    (folder / "s" / "prometheus.yml").write_text("runtime: {log_level: error, gogc: -1}\n" + jobs)
    assert server.get("/-/reload", method="POST")[0] == 200
    assert server.api("/status/runtimeinfo")["GOGC"] == "off"
    size = len(server.log())
    time.sleep(0.5)
    assert "level=DEBUG" not in server.log()[size:]
    server.stop()
    page.shutdown()


def test_raises_the_limit_of_open_files(folder):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, hard), hard))
    try:
        server = Server(folder / "s", GOOD)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    limits = pathlib.Path(f"/proc/{server.popen.pid}/limits").read_text()
    line = next(l for l in limits.splitlines() if l.startswith("Max open files"))
    assert line.split()[3:5] == [str(hard), str(hard)], line
    assert f'fd_limits="(soft={hard}, hard={hard})"' in server.log()
    server.stop()


def test_exposes_itself_under_upstreams_names(folder):
    server = Server(folder / "n", GOOD)
    config = f"""
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: self
    static_configs: [{{targets: ['127.0.0.1:{server.port}']}}]
"""
    server.config_path.write_text(config)
    server.popen.send_signal(signal.SIGHUP)
    wait_for("itself scraped", lambda: server.query('up{job="self"}'), 20)
    names = set(server.api("/label/__name__/values"))
    for name in ("prometheus_build_info", "prometheus_config_last_reload_successful",
                 "prometheus_engine_queries", "prometheus_http_requests_total", "prometheus_ready",
                 "prometheus_tsdb_head_series", "prometheus_tsdb_head_samples_appended_total",
                 "prometheus_target_scrape_pools_total", "prometheus_sd_discovered_targets",
                 "prometheus_notifications_queue_capacity", "process_resident_memory_bytes",
                 "process_cpu_seconds_total", "prometheus_tsdb_wal_segment_current"):
        assert name in names, f"{name} is missing"


def test_bad_reload_keeps_the_old_configuration(folder):
    server = Server(folder / "n", GOOD, flags=["--web.enable-lifecycle"])
    before = server.api("/status/config")["yaml"]
    server.config_path.write_text("global: {scrape_intervall: 1s}\n")
    status, text = server.get("/-/reload", method="POST")
    assert status == 500 and "field scrape_intervall not found" in text, (status, text)
    assert server.api("/status/config")["yaml"] == before
    assert not server.api("/status/runtimeinfo")["reloadConfigSuccess"]
    assert [n["text"] for n in server.api("/notifications")] == ["Configuration reload has failed."]
    assert "prometheus_config_last_reload_successful 0" in server.get("/metrics")[1]
    assert "Error reloading config" in server.log()
    server.config_path.write_text("global: {scrape_interval: 7s}\n")
    server.popen.send_signal(signal.SIGHUP)
    wait_for("the reload", lambda: "scrape_interval: 7s" in server.api("/status/config")["yaml"])
    assert server.api("/status/runtimeinfo")["reloadConfigSuccess"]
    assert server.api("/notifications") == []
    assert server.get("/-/quit", method="POST")[0] == 200
    server.popen.wait(20)


def test_refuses_to_start_on_bad_input(folder):
    folder.mkdir(exist_ok=True)
    config = folder / "prometheus.yml"

    def start(*flags):
        return subprocess.run([NARTHEX, "server", f"--config.file={config}",
                               f"--storage.tsdb.path={folder}/data",
                               f"--web.listen-address=127.0.0.1:{free_port()}", *flags],
                              capture_output=True, text=True, timeout=30)

    config.write_text("scrape_configs: [{job_name: a}, {job_name: a}]\n")
    result = start()
    assert result.returncode == 2 and 'multiple scrape configs with job name \\"a\\"' in result.stderr
    config.write_text(GOOD)
    result = start("--nope")
    assert result.returncode == 1 and "unknown long flag '--nope'" in result.stderr, result
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = subprocess.run([NARTHEX, "server", f"--config.file={config}",
                                 f"--storage.tsdb.path={folder}/data2",
                                 f"--web.listen-address=127.0.0.1:{port}"],
                                capture_output=True, text=True, timeout=30)
    assert result.returncode == 1 and "bind: address already in use" in result.stderr, result


def test_one_bad_target_disturbs_no_other(folder):
    pages, port = serve_pages()
    paths = ["metrics", "broken", "large", "many", "slow", "missing"]
    config = "global: {scrape_interval: 1s, scrape_timeout: 500ms}\nscrape_configs:\n" + "".join(
        f"  - job_name: {path}\n    metrics_path: /{path}\n"
        f"    static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n"
        + ("    body_size_limit: 100KB\n" if path == "large" else "")
        + ("    sample_limit: 10\n" if path == "many" else "") for path in paths)
    server = Server(folder / "n", config)

    def healths():
        targets = server.api("/targets")["activeTargets"]
        if any(t["health"] == "unknown" for t in targets) or len(targets) < len(paths):
            return None
        return {t["scrapePool"]: (t["health"], t["lastError"]) for t in targets}

    state = wait_for("every target", healths, 20)
    assert state["metrics"] == ("up", ""), state
    for pool, text in (("broken", "expected label name"), ("large", "body size limit exceeded"),
                       ("many", "sample limit exceeded"), ("slow", "context deadline exceeded"),
                       ("missing", "server returned HTTP status 404 Not Found")):
        assert state[pool][0] == "down" and text in state[pool][1], (pool, state[pool])
    ups = server.query("up")
    assert sorted(ups.values()) == ["0"] * 5 + ["1"], ups
    metrics = server.get("/metrics")[1]
    for name in ("prometheus_target_scrapes_exceeded_sample_limit_total",
                 "prometheus_target_scrapes_exceeded_body_size_limit_total"):
        value = [line for line in metrics.splitlines() if line.startswith(name + " ")]
        assert value and float(value[0].split()[1]) >= 1, (name, value)
    pages.shutdown()


def test_discovers_by_file_and_relabels(folder):
    pages, port = serve_pages()
    targets = folder / "targets.json"
    targets.write_text(json.dumps([{"targets": [f"127.0.0.1:{port}"], "labels": {"env": "a"}}]))
    server = Server(folder / "n", f"""
global: {{scrape_interval: 500ms, scrape_timeout: 400ms}}
scrape_configs:
  - job_name: files
    file_sd_configs: [{{files: ['{targets}'], refresh_interval: 1s}}]
    relabel_configs:
      - {{source_labels: [env], target_label: environment}}
      - {{regex: env, action: labeldrop}}
    metric_relabel_configs:
      - {{source_labels: [__name__], regex: good, target_label: kind, replacement: nice}}
""", flags=["--scrape.discovery-reload-interval=1s"])
    wait_for("a sample", lambda: server.query("good") == {
        f'good{{environment="a",instance="127.0.0.1:{port}",job="files",kind="nice"}}': "1"}, 20)
    targets.write_text(json.dumps([{"targets": [f"127.0.0.1:{port}"], "labels": {"env": "b"}}]))
    wait_for("the new label", lambda: any('environment="b"' in k for k in server.query("good")), 20)
    # The series under the old label ends with a stale marker.
    wait_for("the old series' end", lambda: len(server.query("good")) == 1, 20)
    pages.shutdown()


def test_limits_queries(folder):
    server = Server(folder / "n", GOOD, flags=["--query.max-samples=10", "--query.timeout=1s"])
    status, text = server.get("/api/v1/query_range", {
        "query": "vector(1)", "start": 0, "end": 1000, "step": 1})
    answer = json.loads(text)
    assert status == 422 and answer["errorType"] == "execution", text
    assert "would load too many samples into memory" in answer["error"], text
    status, text = server.get("/api/v1/query", {"query": "sum("})
    assert status == 400 and "unclosed left parenthesis" in text, text


def test_explains_and_analyzes_queries(folder):
    server = Server(folder / "n", GOOD, flags=["--query.max-memory=64KB"])
    query = "sum by (job) (rate(up[5m])) + on(job) group_left avg_over_time(vector(1)[5m:1m])"
    status, text = server.get("/api/v1/query_explain", {"query": query})
    data = json.loads(text)["data"]
    assert status == 200 and not data["analyzed"], text
    assert data["plan"]["type"] == "binaryExpr" and "analysis" not in data["plan"], text
    selector = data["plan"]["children"][0]["children"][0]["children"][0]
    assert selector["type"] == "matrixSelector" and selector["select"]["range"] == 300, text

    status, text = server.get("/api/v1/query_explain", {
        "query": "vector(1) + 1", "start": 0, "end": 600, "step": 60, "analyze": "true"})
    data = json.loads(text)["data"]
    assert status == 200 and data["analyzed"] and data["steps"]["count"] == 11, text
    assert data["plan"]["analysis"]["samples"] == 11, text
    assert data["analysis"]["peakBytes"] > 11 * 8, text

    for parameters, want in (({"query": "sum("}, "unclosed left parenthesis"),
                             ({"query": "up", "analyze": "x"}, "strconv.ParseBool"),
                             ({"query": "up", "start": 0}, "end")):
        status, text = server.get("/api/v1/query_explain", parameters)
        assert status == 400 and want in text, text

    for command in ("explain", "analyze"):
        done = subprocess.run([NARTHEX, "tool", "promql", command, server.url, query],
                              capture_output=True, text=True)
        assert done.returncode == 0 and "└─ call avg_over_time" in done.stdout, done
        assert ("total=" in done.stdout) == (command == "analyze"), done
    done = subprocess.run([NARTHEX, "tool", "promql", "explain", server.url, "up{"],
                          capture_output=True, text=True)
    assert done.returncode == 1 and "unexpected end of input" in done.stderr, done

    status, text = server.get("/api/v1/query_range", {
        "query": "max_over_time(vector(1)[1h:1s])", "start": 0, "end": 10_000, "step": 1})
    answer = json.loads(text)
    assert status == 422 and answer["errorType"] == "execution", text
    assert answer["error"] == ("query processing would use more memory than "
                               "--query.max-memory=64KB in query execution"), text
    assert "\nnarthex_engine_query_memory_refusals_total 1\n" in server.get("/metrics")[1]


def test_up_runs_without_configuration(folder):
    folder.mkdir(exist_ok=True)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = Process([NARTHEX, "up", f"--web.listen-address=127.0.0.1:{port}"],
                      folder / "up.log", url + "/-/ready", cwd=folder)

    def ask(query):
        with urllib.request.urlopen(f"{url}/api/v1/query?query={query}") as answer:
            return json.load(answer)["data"]["result"]

    wait_for("this machine's load", lambda: ask("node_load1"), 30)
    wait_for("itself", lambda: ask("prometheus_tsdb_head_series"), 30)
    wait_for("a rule", lambda: ask("instance:node_memory_utilisation:ratio"), 60)
    assert (folder / "data/wal").is_dir()
    assert "narthex is ready" in process.log()
    process.popen.send_signal(signal.SIGINT)
    assert process.popen.wait(20) == 0


def test_answers_to_upstreams_name(folder):
    folder.mkdir(exist_ok=True)
    link = folder / "prometheus"
    os.symlink(NARTHEX, link)
    result = subprocess.run([link, "--version"], capture_output=True, text=True)
    assert result.returncode == 0 and result.stdout.startswith("prometheus, version"), result
    for words in (["--version"], ["--help"], ["server", "--help"], ["up", "--help"],
                  ["exporter", "--help"], ["exporter", "node", "--help"], ["tool", "--help"],
                  ["query", "--help"]):
        result = subprocess.run([NARTHEX, *words], capture_output=True, text=True)
        assert result.returncode == 0 and result.stdout, (words, result)


run_tests(globals())
