#!/usr/bin/env python3
"""Targets that misbehave: each is counted and explained, none disturbs another."""
from harness import Server, run_tests, wait_for
from hostile_server import BEHAVIOURS, HostileServer

INTERVAL = 2
LIMITS = {
    "/endless-limited": "body_size_limit: 1MB",
    "/bomb-limited": "body_size_limit: 1MB",
    "/long-value": "label_value_length_limit: 200",
    "/long-name": "label_value_length_limit: 200",
    "/many-labels": "label_limit: 100",
    "/many-samples": "sample_limit: 500",
}


def config(address):
    jobs = "".join(
        f"- {{job_name: '{path}', metrics_path: '{path}', {LIMITS.get(path, 'honor_labels: false')},"
        f" static_configs: [{{targets: ['{address}']}}]}}\n" for path in BEHAVIOURS)
    return (f"global: {{scrape_interval: {INTERVAL}s, scrape_timeout: 1500ms}}\n"
            f"scrape_configs:\n{jobs}")


def matches(want, got):
    if want is None:
        return got == ""
    return got.startswith(want[:-1]) if want.endswith("…") else got == want


def resident_mib(server, key):
    with open(f"/proc/{server.popen.pid}/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024


def test_hostile_targets(folder):
    hostile = HostileServer()
    server = Server(folder / "n", config(hostile.address))
    rounds = 3
    wait_for("rounds of scrapes", lambda: len(server.query(f"count_over_time(up[1m]) >= {rounds}"))
             == len(BEHAVIOURS), 60)
    wrong = []
    for target in server.api("/targets")["activeTargets"]:
        path = target["labels"]["job"]
        want = BEHAVIOURS[path][1]
        got = target["lastError"].replace(hostile.address, "ADDRESS")
        if not matches(want, got) or target["health"] != ("down" if want else "up"):
            wrong.append(f"{path}: {target['health']} {got[:300]!r}, not {want!r}")
    assert not wrong, "\n".join(wrong)
    # The well-behaved target has been scraped all the while, in its rhythm.
    gaps = server.query('max_over_time((timestamp(up{job="/good"}) - timestamp('
                        f'up{{job="/good"}} offset {INTERVAL}s))[4s:1s])')
    assert gaps and float(next(iter(gaps.values()))) < INTERVAL + 0.5, gaps
    # Three bodies of tens of megabytes at a time, not their sum over time, nor endless ones.
    assert resident_mib(server, "VmHWM") < 700, resident_mib(server, "VmHWM")
    metrics = dict(line.rsplit(" ", 1) for line in server.get("/metrics")[1].splitlines()
                   if line and not line.startswith("#"))
    for name, each_round in (("exceeded_body_size_limit", 2), ("exceeded_sample_limit", 1),
                             ("sample_duplicate_timestamp", 2), ("sample_out_of_bounds", 1)):
        count = float(metrics[f"prometheus_target_scrapes_{name}_total"])
        # A busy machine may lose a round to the timeout.
        assert count >= each_round * (rounds - 1), (name, count)
    assert server.stop() == 0
    assert "panic" not in server.log()


run_tests(globals())
