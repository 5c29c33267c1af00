#!/usr/bin/env python3
"""kill -9 under load, again and again: every scrape that was visible before is there afterwards."""
import http.server
import random
import threading
import time

from harness import Server, free_port, run_tests, wait_for

KILLS = 20
SERIES = 500


class Counting(http.server.BaseHTTPRequestHandler):
    """A page whose every sample says how many times it was asked for."""

    page = 0

    def do_GET(self):
        Counting.page += 1
        body = "# TYPE page counter\n" + "".join(
            f'page{{i="{i}"}} {Counting.page}\n' for i in range(SERIES))
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *args):
        pass


def test_twenty_kills_lose_no_committed_scrape(folder):
    target = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Counting)
    threading.Thread(target=target.serve_forever, daemon=True).start()
    config = f"""
global: {{scrape_interval: 100ms, scrape_timeout: 100ms}}
scrape_configs:
  - job_name: counting
    static_configs: [{{targets: ['127.0.0.1:{target.server_address[1]}']}}]
"""
    random.seed(20)
    seen = set()
    for kill in range(KILLS):
        server = Server(folder / "n", config, port=free_port())
        stored = {value for _, value in samples(server)}
        lost = seen - stored
        assert not lost, f"after kill {kill}: pages {sorted(lost)} are gone"
        time.sleep(0.2 + random.random() * 0.6)
        rows = samples(server)
        # A scrape is one commit: all of its series or none.
        by_page = {}
        for series, value in rows:
            by_page.setdefault(value, set()).add(series)
        partial = {page: len(series) for page, series in by_page.items() if len(series) != SERIES}
        assert not partial, f"kill {kill}: partial scrapes {partial}"
        seen |= set(by_page)
        server.kill()
    assert len(seen) > KILLS, seen
    server = Server(folder / "n", config, port=free_port())
    assert not seen - {value for _, value in samples(server)}
    server.stop()
    target.shutdown()


def samples(server):
    """(series, value) of every stored sample of the page."""
    data = server.api("/query", query="page[1h]")
    return [(r["metric"]["i"], value) for r in data["result"] for _, value in r["values"]
            if value != "NaN"]


def test_a_torn_tail_is_repaired_and_counted(folder):
    target = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Counting)
    threading.Thread(target=target.serve_forever, daemon=True).start()
    config = f"""
global: {{scrape_interval: 100ms, scrape_timeout: 100ms}}
scrape_configs:
  - job_name: counting
    static_configs: [{{targets: ['127.0.0.1:{target.server_address[1]}']}}]
"""
    server = Server(folder / "n", config)
    wait_for("samples", lambda: len(samples(server)) > 10 * SERIES)
    before = {value for _, value in samples(server)}
    server.kill()
    segment = max((folder / "n/data/wal").glob("0*"))
    size = segment.stat().st_size
    with open(segment, "r+b") as wal:
        # More than trailing zeros, which the padding of short pages would put back.
        wal.truncate(size - 40)
    target.shutdown()
    server = Server(folder / "n", "scrape_configs: []\n")
    after = {value for _, value in samples(server)}
    # At most the last scrape was cut.
    assert len(before - after) <= 1, before - after
    assert float(next(iter(parse_metric(server, "prometheus_tsdb_wal_corruptions_total")))) >= 1
    assert "repair" in server.log().lower(), server.log()
    server.stop()


def parse_metric(server, name):
    _, text = server.get("/metrics")
    return [line.split()[-1] for line in text.splitlines() if line.startswith(name)]


run_tests(globals())
