#!/usr/bin/env python3
"""narthex beside the real programs of Debian: node exporter, promtool, Prometheus, Alertmanager."""
import json
import subprocess
import time
import urllib.request

from harness import Process, Server, free_port, need, numbers_equal, run_tests, wait_for

need("prometheus", "promtool", "prometheus-node-exporter", "prometheus-alertmanager")


def node_exporter(folder):
    port = free_port()
    Process(["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{port}",
             "--web.disable-exporter-metrics"], folder / "node_exporter.log",
            f"http://127.0.0.1:{port}/metrics")
    return port


def scrape_config(port, interval="1s"):
    return f"""
global: {{scrape_interval: {interval}, evaluation_interval: 1s}}
scrape_configs:
  - job_name: node
    static_configs: [{{targets: ['127.0.0.1:{port}']}}]
"""


def test_scrapes_the_node_exporter(folder):
    port = node_exporter(folder)
    server = Server(folder / "n", scrape_config(port))
    wait_for("a scrape", lambda: server.query("up") == {
        f'up{{instance="127.0.0.1:{port}",job="node"}}': "1"})
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as page:
        names = {line.split("{")[0].split(" ")[0] for line in page.read().decode().splitlines()
                 if line and not line.startswith("#")}
    stored = set(server.api("/label/__name__/values"))
    # Values come and go; names do not.
    assert names - stored <= {"node_scrape_collector_duration_seconds"}, names - stored
    scraped = server.query("scrape_samples_scraped")
    assert float(next(iter(scraped.values()))) > 200, scraped
    metadata = server.api("/metadata", metric="node_load1")
    assert metadata["node_load1"][0]["type"] == "gauge", metadata
    target = server.api("/targets")["activeTargets"][0]
    assert target["health"] == "up" and target["lastError"] == "", target


def fill(program, folder, port, seconds, flags=()):
    """Lets a server scrape for a while and stops it cleanly."""
    server = Server(folder, scrape_config(port, "250ms"), program=program, flags=flags,
                    data=folder.parent / "shared-data")
    wait_for("samples", lambda: server.query("sum(count_over_time(up[1m]))"), 30)
    time.sleep(seconds)
    server.stop()
    return folder.parent / "shared-data"


QUERIES = """
up
node_load1
sum(node_cpu_seconds_total)
sum by (mode) (rate(node_cpu_seconds_total[10s]))
avg without (cpu) (irate(node_cpu_seconds_total[10s]))
count by (__name__) ({job="node"})
topk(3, node_cpu_seconds_total)
bottomk(2, node_cpu_seconds_total)
quantile(0.9, node_cpu_seconds_total)
stddev(node_cpu_seconds_total)
stdvar by (mode) (node_cpu_seconds_total)
max_over_time(node_load1[30s])
min_over_time(node_memory_MemFree_bytes[30s])
avg_over_time(node_memory_MemFree_bytes[30s])
sum_over_time(up[30s])
count_over_time(up[30s])
quantile_over_time(0.5, node_memory_MemFree_bytes[30s])
stddev_over_time(node_memory_MemFree_bytes[30s])
last_over_time(node_load1[30s])
present_over_time(node_load1[30s])
absent(nope)
absent_over_time(nope[5m])
changes(node_memory_MemFree_bytes[30s])
resets(node_cpu_seconds_total[30s])
increase(node_cpu_seconds_total[20s])
delta(node_memory_MemFree_bytes[20s])
deriv(node_memory_MemFree_bytes[20s])
idelta(node_memory_MemFree_bytes[20s])
predict_linear(node_memory_MemFree_bytes[20s], 60)
node_memory_MemFree_bytes / node_memory_MemTotal_bytes
node_memory_MemTotal_bytes - on (instance) node_memory_MemFree_bytes
node_cpu_seconds_total * on (instance) group_left () node_load1
node_load1 > 0
node_load1 > bool 1e9
up and node_load1
up or nope
up unless nope
label_replace(up, "host", "$1", "instance", "(.*):.*")
label_join(up, "both", "-", "job", "instance")
abs(node_load1) + ceil(node_load1) + floor(node_load1)
round(node_load1, 0.1)
clamp(node_load1, 0, 1)
sort(node_cpu_seconds_total)
sort_desc(node_cpu_seconds_total)
timestamp(up)
time() - timestamp(up)
vector(1) + scalar(sum(up))
max_over_time(sum(rate(node_cpu_seconds_total[5s]))[10s:1s])
node_load1 offset 2s
sum(node_cpu_seconds_total @ end())
histogram_quantile(0.9, nope)
day_of_month() + hour() + minute()
count_values("v", up)
node_cpu_seconds_total{mode=~"user|system"}
{__name__=~"node_memory_(Mem|Swap)Total_bytes"}
""".strip().splitlines()


def same(a, b):
    return a.keys() == b.keys() and all(numbers_equal(a[key], b[key], 1e-9) for key in a)


def test_answers_as_prometheus_on_one_data_directory(folder):
    """Prometheus fills a directory, narthex goes on with it, Prometheus takes it back."""
    port = node_exporter(folder)
    data = fill("prometheus", folder / "p1", port, 6)
    at = time.time() - 3
    answers = {}
    for name, program in (("prometheus", "prometheus"), ("narthex", None)):
        server = Server(folder / name, data=data, program=program)
        answers[name] = {q: server.query(q, time=at) for q in QUERIES}
        server.stop()
    different = [q for q in QUERIES if not same(answers["prometheus"][q], answers["narthex"][q])]
    assert not different, "\n".join(
        f"{q}\n  prometheus {str(answers['prometheus'][q])[:300]}\n"
        f"  narthex    {str(answers['narthex'][q])[:300]}" for q in different)
    assert len(QUERIES) >= 50 and sum(bool(a) for a in answers["narthex"].values()) > 45
    # Now ours goes on writing, and Prometheus must read what it wrote.
    fill(None, folder / "n2", port, 4)
    at = time.time() - 2
    counts = []
    for program in (None, "prometheus"):
        server = Server(folder / f"again-{program}", data=data, program=program)
        counts.append({q: server.query(q, time=at) for q in (
            "sum(count_over_time(node_cpu_seconds_total[1h]))", "count({job='node'})",
            "sum(sum_over_time(node_load1[1h]))", "up")})
        log = server.log()
        assert "corruption" not in log.lower(), log
        server.stop()
    assert counts[0]["up"], counts
    for query in counts[0]:
        assert same(counts[0][query], counts[1][query]), (query, counts[0][query], counts[1][query])


def test_promtool_reads_our_blocks(folder):
    port = node_exporter(folder)
    server = Server(folder / "n", scrape_config(port, "250ms"), flags=["--web.enable-admin-api"])
    wait_for("samples", lambda: server.query("sum(count_over_time(up[1m])) > 8"), 30)
    status, text = server.get("/api/v1/admin/tsdb/snapshot", method="POST")
    assert status == 200, text
    snapshot = server.data / "snapshots" / json.loads(text)["data"]["name"]
    listing = subprocess.run(["promtool", "tsdb", "list", snapshot], check=True,
                             capture_output=True, text=True).stdout
    assert len(listing.splitlines()) == 2, listing
    analysis = subprocess.run(["promtool", "tsdb", "analyze", snapshot], check=True,
                              capture_output=True, text=True).stdout
    assert "Label names:" in analysis and "\nSeries: " in analysis, analysis
    (snapshot / "wal").mkdir(exist_ok=True)  # This promtool does not read a folder without one.
    dump = subprocess.run(["promtool", "tsdb", "dump", snapshot], check=True, capture_output=True,
                          text=True).stdout
    ours = subprocess.run([server.command[0], "tool", "tsdb", "dump", snapshot], check=True,
                          capture_output=True, text=True).stdout
    assert len(dump.splitlines()) > 1000
    # Debian's promtool prints series in another order.
    assert sorted(dump.splitlines()) == sorted(ours.splitlines())


def test_a_firing_alert_reaches_alertmanager(folder):
    port, cluster = free_port(), free_port()
    config = folder / "alertmanager.yml"
    config.write_text("route: {receiver: none}\nreceivers: [{name: none}]\n")
    alertmanager = f"http://127.0.0.1:{port}"
    Process(["prometheus-alertmanager", f"--config.file={config}",
             f"--storage.path={folder}/am", f"--web.listen-address=127.0.0.1:{port}",
             f"--cluster.listen-address=127.0.0.1:{cluster}"],
            folder / "alertmanager.log", alertmanager + "/-/ready")
    # Longer than the two evaluations after a start in which no ALERTS series are written.
    (folder / "rules.yml").write_text("""
groups:
  - name: test
    interval: 1s
    rules:
      - record: job:up:count
        expr: count by (job) (up)
      - alert: TargetDown
        expr: up == 0
        for: 6s
        labels: {severity: page}
        annotations: {summary: '{{ $labels.instance }} is down ({{ $value }})'}
""")
    dead = free_port()
    server = Server(folder / "n", f"""
global: {{scrape_interval: 1s, evaluation_interval: 1s, external_labels: {{region: eu}}}}
rule_files: ['{folder}/rules.yml']
alerting:
  alertmanagers:
    - static_configs: [{{targets: ['127.0.0.1:{port}']}}]
scrape_configs:
  - job_name: dead
    static_configs: [{{targets: ['127.0.0.1:{dead}']}}]
""")

    def received():
        with urllib.request.urlopen(alertmanager + "/api/v2/alerts") as answer:
            return json.load(answer)

    wait_for("the pending alert", lambda: server.query('ALERTS{alertstate="pending"}'), 20)
    alert = wait_for("the alert at alertmanager", received, 30)[0]
    assert alert["labels"] == {"alertname": "TargetDown", "instance": f"127.0.0.1:{dead}",
                               "job": "dead", "severity": "page", "region": "eu"}, alert
    assert alert["annotations"] == {"summary": f"127.0.0.1:{dead} is down (0)"}, alert
    assert server.query("job:up:count") == {'job:up:count{job="dead"}': "1"}
    firing = server.api("/alerts")["alerts"]
    assert firing[0]["state"] == "firing", firing
    assert server.api("/alertmanagers")["activeAlertmanagers"] == [
        {"url": alertmanager + "/api/v2/alerts"}]
    target = server.api("/targets")["activeTargets"][0]
    assert target["lastError"].endswith("connect: connection refused"), target


run_tests(globals())
