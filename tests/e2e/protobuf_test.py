#!/usr/bin/env python3
"""Pages in protobuf, scraped with every histogram option, give the series, errors and metadata that
Prometheus 3.16 gave for the same pages: tests/e2e/protobuf_scrape.json. With PROMETHEUS=<path>
the golden file is written anew from that program."""
import http.server
import json
import os
import threading

from harness import ROOT, Server, run_tests, wait_for
from hostile_server import PROTO
from protobuf_pages import PAGES

GOLDEN = ROOT / "tests/e2e/protobuf_scrape.json"
OPTIONS = {
    "classic_nhcb": "convert_classic_histograms_to_nhcb: true",
    "native_both": "always_scrape_classic_histograms: true",
    "native_limited": "native_histogram_bucket_limit: 4",
    "native_factor": "native_histogram_min_bucket_factor: 1.5",
    "native_off": "scrape_native_histograms: false",
    "bad_cumulation": "convert_classic_histograms_to_nhcb: true",
}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = PAGES[self.path[1:]]
        self.send_response(200)
        self.send_header("Content-Type", PROTO)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def scraped(folder, program=None):
    """What a server makes of all pages: {labels or the like: value, as JSON}."""
    pages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    config = "global: {scrape_interval: 1s, scrape_native_histograms: true}\nscrape_configs:\n"
    for job in PAGES:
        config += (f"- {{job_name: {job}, metrics_path: /{job}, "
                   f"{OPTIONS.get(job, 'honor_labels: false')}, static_configs: [{{targets: "
                   f"['127.0.0.1:{pages.server_address[1]}'], labels: {{instance: i}}}}]}}\n")
    server = Server(folder, config, program=program)
    wait_for("two rounds", lambda: len(server.query("count_over_time(up[1m]) >= 2")) == len(PAGES))
    found = {}
    # Duration differs, and so does the number of series added between the first scrape and others.
    names = '{instance="i",__name__!~"scrape_(duration_seconds|series_added)"}'
    for series in server.api("/query", query=names)["result"]:
        value = series["value"][1] if "value" in series else series["histogram"][1]
        found[json.dumps(series["metric"], sort_keys=True)] = value
    for target in server.api("/targets")["activeTargets"]:
        found["error of " + target["labels"]["job"]] = target["lastError"]
    found["metadata"] = server.api("/metadata")
    server.stop()
    pages.shutdown()
    return found


def test_gives_what_prometheus_gives(folder):
    program = os.environ.get("PROMETHEUS")
    if program:
        golden = scraped(folder / "prometheus", program)
        GOLDEN.write_text(json.dumps(golden, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    want = json.loads(GOLDEN.read_text())
    got = scraped(folder / "narthex")
    wrong = [f"{key}: {got.get(key)}, not {want.get(key)}"
             for key in sorted(want.keys() | got.keys()) if got.get(key) != want.get(key)]
    assert not wrong, "\n".join(wrong)
    assert len(want) > 100, len(want)


run_tests(globals())
