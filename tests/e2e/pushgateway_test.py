#!/usr/bin/env python3
"""The Pushgateway: recorded scenarios, Debian's own as a twin, crashes, load, the page."""
import base64
import gzip
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from harness import NARTHEX, Process, free_port, run_tests

CONFORMANCE = pathlib.Path(os.environ.get(
    "NARTHEX_CONFORMANCE_DIR",
    pathlib.Path(__file__).resolve().parents[2] / "../shared/conformance"))
OURS = [NARTHEX, "pushgateway"]


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args):
        return None


OPENER = urllib.request.build_opener(NoRedirect)


class Gateway(Process):
    def __init__(self, folder, flags=(), program=OURS, prefix=""):
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        super().__init__([*program, f"--web.listen-address=127.0.0.1:{self.port}", *flags],
                         folder / "log", f"{self.url}{prefix}/-/ready", cwd=folder)

    def ask(self, method, path, body=None, headers=None):
        path = urllib.parse.quote(path, safe="/%@=$?&:+!*'(),;~")
        request = urllib.request.Request(self.url + path, method=method, data=body,
                                         headers=headers or {})
        try:
            with OPENER.open(request, timeout=20) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def push(self, path, text, method="PUT"):
        return self.ask(method, path, text.encode())[0]

    def page(self):
        return pushed(self.ask("GET", "/metrics")[2].decode())


TIMES = re.compile(r"^(push(?:_failure)?_time_seconds\{.*\}) [1-9]\S*$", re.M)


def pushed(page):
    """The page without what the gateway says of itself."""
    out, keep = [], True
    for line in page.splitlines(True):
        if line.startswith("# "):
            name = line.split(" ", 3)[2]
            keep = not re.match(r"(go|process|promhttp|pushgateway)_", name)
        if keep and line != "# EOF\n":
            out.append(line)
    return TIMES.sub(r"\1 <time>", "".join(out))


def without_times(text):
    return re.sub(r'"time_stamp":"[^"]*"', '"time_stamp":"<time>"',
                  re.sub(r'("name":"?push|"value":")1\.\d+e\+09', r"\1<time>", text))


def test_answers_as_recorded(folder):
    recorded = CONFORMANCE / "pushgateway" / "scenarios.jsonl"
    if not recorded.exists():
        print("skipped:", "no recorded scenarios")
        return
    passed, failed = 0, []
    for number, line in enumerate(recorded.read_text().splitlines()):
        scenario = json.loads(line)
        prefix = next((f.split("=")[1] for f in scenario["flags"] if "route-prefix" in f), "")
        gateway = Gateway(folder / str(number), scenario["flags"], prefix=prefix)
        problem = None
        for step in scenario["steps"]:
            body = step.get("body")
            if step.get("body_base64"):
                body = base64.b64decode(step["body_base64"])
            elif body is not None:
                body = body.encode()
            status, headers, answer = gateway.ask(step["method"], step["path"], body,
                                                  step.get("headers"))
            answer = answer.decode()
            want = step.get("response", "")
            own_page = step["path"].split("?")[0] in ("/api/v1/status", "/", "/status", "/pg/")
            if status == 200 and step["path"].endswith(("/metrics", "/m")) and "api" not in step["path"]:
                answer, want = pushed(answer), TIMES.sub(r"\1 <time>", want)
            if step["path"].startswith("/api/v1/metrics"):
                answer, want = without_times(answer), without_times(want)
                same = comparable(answer) == comparable(want)
            else:
                same = answer == want or own_page or status in (301, 307)
            if status != step["status"] or not same:
                problem = f"{step['method']} {step['path']}: {status} {answer!r}, want " \
                          f"{step['status']} {want!r}"
                break
            if "content_type" in step and headers.get("Content-Type") != step["content_type"]:
                problem = f"{step['path']}: type {headers.get('Content-Type')!r}, want " \
                          f"{step['content_type']!r}"
                break
        gateway.stop()
        if problem:
            failed.append(f"{scenario['title']}: {problem}")
        else:
            passed += 1
    print(f"pushgateway scenarios: {passed} passed, {len(failed)} failed")
    assert not failed, "\n".join(failed)


def comparable(text):
    """Groups come in no order, and times of pushes differ."""
    try:
        groups = json.loads(text)["data"]
    except (ValueError, KeyError):
        return text
    for group in groups:
        for name in ("push_time_seconds", "push_failure_time_seconds"):
            for metric in group.get(name, {}).get("metrics", []):
                metric["value"] = metric["value"] if metric["value"] == "0" else "<time>"
    return sorted(json.dumps(group, sort_keys=True) for group in groups)


def random_step(rng):
    jobs = ["a", "b", "c d", "ü"]
    path = "/metrics/job/" + rng.choice(jobs)
    if rng.random() < 0.3:
        encoded = base64.urlsafe_b64encode(rng.choice(["/x/y", "z", "1"]).encode()).decode()
        path = f"/metrics/job@base64/{encoded}"
    for name in rng.sample(["instance", "zone", "1bad", "__x"], rng.choice([0, 0, 1, 1, 2])):
        path += f"/{name}/{rng.choice(['1', '2'])}"
    if rng.random() < 0.03:
        path += "/odd"
    method = rng.choice(["PUT", "POST", "POST", "DELETE"])
    lines = []
    for name in rng.sample(["m", "n", "s", "h", "m_count"], rng.randint(0, 3)):
        kind = rng.choice(["counter", "gauge", "untyped"]) if name in "mn" else "untyped"
        if name == "h" and rng.random() < 0.7:
            lines += ["# TYPE h histogram", 'h_bucket{le="1"} 1', 'h_bucket{le="+Inf"} 2',
                      "h_sum 3", "h_count 2"]
            continue
        if name == "s" and rng.random() < 0.7:
            lines += ["# TYPE s summary", 's{quantile="0.5"} 1', "s_sum 2", "s_count 1"]
            continue
        if rng.random() < 0.5:
            lines.append(f"# TYPE {name} {kind}")
        for value in range(rng.randint(1, 2)):
            lines.append(f'{name}{{x="{value}"}} {rng.choice(["1", "2.5", "NaN", "+Inf", "bad"])}')
    return method, path, "".join(line + "\n" for line in lines)


def test_answers_as_debians(folder):
    """The same random requests to both: statuses, error texts up to chance, pages."""
    if not shutil.which("prometheus-pushgateway"):
        print("skipped:", "prometheus-pushgateway is not installed")
        return
    seed = int(os.environ.get("NARTHEX_SEED", "11"))
    steps = int(os.environ.get("NARTHEX_STEPS", "400"))
    print(f"seed {seed}")
    rng = random.Random(seed)
    ours = Gateway(folder / "ours", ["--web.enable-admin-api"])
    theirs = Gateway(folder / "theirs", ["--web.enable-admin-api"],
                     program=["prometheus-pushgateway"])
    refused = 0
    for number in range(steps):
        method, path, body = random_step(rng)
        got, want = (g.ask(method, path, body.encode()) for g in (ours, theirs))
        context = f"step {number}: {method} {path} {body!r}: {got[2]!r}, theirs {want[2]!r}"
        assert got[0] == want[0], context
        # Which of two that clash it names is upstream's chance; that it clashes is not.
        if want[0] == 400 and b"inconsistent" not in want[2]:
            assert got[2] == want[2], context
        refused += want[0] == 400
        if number % 10 == 0:
            assert without_escaping(ours.page()) == without_escaping(theirs.page()), context
    assert refused > 20
    assert ours.ask("PUT", "/api/v1/admin/wipe")[0] == 202
    assert "push_time" not in ours.page()


def without_escaping(page):
    # Help texts of two groups are joined by chance, too; none is pushed here.
    return sorted(page.splitlines())


def test_state_file_goes_both_ways(folder):
    if not shutil.which("prometheus-pushgateway"):
        print("skipped:", "prometheus-pushgateway is not installed")
        return
    state = folder / "state"
    flags = [f"--persistence.file={state}"]
    first = Gateway(folder / "first", flags)
    assert first.push("/metrics/job/j/l/%C3%BC", '# HELP a x\n# TYPE a gauge\na{b="c"} NaN\n') == 200
    assert first.push("/metrics/job/k", '# TYPE h histogram\nh_bucket{le="+Inf"} 2\nh_sum 1\n'
                                        "h_count 2\n") == 200
    page = first.page()
    assert first.stop() == 0
    second = Gateway(folder / "second", flags, program=["prometheus-pushgateway"])
    assert without_escaping(second.page()) == without_escaping(page)
    assert second.push("/metrics/job/more", "more 1\n") == 200
    page = second.page()
    second.stop()
    third = Gateway(folder / "third", flags)
    assert without_escaping(third.page()) == without_escaping(page)
    third.stop()


def test_kill_loses_nothing(folder):
    """What was answered is there after kill -9, twenty times over."""
    rng = random.Random(5)
    state = folder / "state"
    flags = [f"--persistence.file={state}", "--persistence.interval=300ms"]
    answered = {}
    for crash in range(20):
        gateway = Gateway(folder / str(crash), flags)
        page = gateway.page()
        for job, value in answered.items():
            assert f'v{{instance="",job="{job}"}} {value}\n' in page, (crash, job, value)
        deadline = time.monotonic() + rng.uniform(0.05, 0.5)

        def work(thread):
            number = 0
            while True:
                number += 1
                job, value = f"t{thread}x{number % 7}", crash * 10_000 + number
                try:
                    if gateway.push(f"/metrics/job/{job}", f"v {value}\n") != 200:
                        return
                except OSError:
                    # The last push may or may not be there.
                    answered.pop(job, None)
                    return
                except Exception:  # A connection cut in the middle of an answer.
                    answered.pop(job, None)
                    return
                answered[job] = value

        threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(max(0, deadline - time.monotonic()))
        gateway.kill()
        for thread in threads:
            thread.join()
    assert len(answered) > 5


def test_bodies_and_limits(folder):
    gateway = Gateway(folder / "g", ["--push.max-group-series=10", "--push.max-body-size=1MB",
                                     "--push.enable-aggregation", "--push.enable-utf8-names"])
    packed = gzip.compress(b"a 1\n")
    assert gateway.ask("PUT", "/metrics/job/g", packed, {"Content-Encoding": "gzip"})[0] == 200
    assert gateway.ask("PUT", "/metrics/job/g", b"junk", {"Content-Encoding": "gzip"})[0] != 200
    bomb = gzip.compress(b"a 1\n" * 1_000_000)
    assert gateway.ask("PUT", "/metrics/job/g", bomb, {"Content-Encoding": "gzip"})[0] == 413
    many = "".join(f'm{{i="{i}"}} 1\n' for i in range(20))
    status, _, text = gateway.ask("PUT", "/metrics/job/many", many.encode())
    assert status == 413 and b"limit of 10" in text
    for _ in range(3):
        assert gateway.push("/metrics/job/sum?mode=aggregate", "# TYPE c counter\nc 2\n",
                            "POST") == 200
    assert 'c{instance="",job="sum"} 6\n' in gateway.page()
    assert gateway.push("/metrics/job/u", '{"my.metric","la.bel"="x"} 1\n') == 200
    status, headers, page = gateway.ask("GET", "/metrics", None, {
        "Accept": "text/plain;version=0.0.4;escaping=allow-utf-8"})
    assert '{"my.metric",instance="",job="u","la.bel"="x"} 1' in page.decode()
    short = gateway.ask("PUT", "/metrics/job/short", b"s 1\n", {"X-Push-TTL": "1s"})[0]
    assert short == 200
    deadline = time.monotonic() + 10
    while 'job="short"' in gateway.page():
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert gateway.stop() == 0


def test_quits_when_asked(folder):
    gateway = Gateway(folder / "g", ["--web.enable-lifecycle"])
    assert gateway.ask("PUT", "/-/quit")[2] == b"Requesting termination... Goodbye!"
    assert gateway.popen.wait(10) == 0


def test_page_shows_and_deletes(folder):
    root = pathlib.Path(__file__).resolve().parents[2]
    chromium = shutil.which("chromium")
    if not chromium or not shutil.which("node") or not (root / "ui/node_modules").exists():
        print("skipped:", "no Chromium or no packages of the UI")
        return
    gateway = Gateway(folder / "g", ["--web.enable-admin-api"])
    hostile = base64.urlsafe_b64encode(b"<img src=x onerror=window.hacked=1>").decode()
    assert gateway.push(f"/metrics/job@base64/{hostile}", "a 1\n") == 200
    assert gateway.push("/metrics/job/two", "# HELP b <b>help</b>\n# TYPE b gauge\nb 2\n") == 200
    script = root / "ui/e2e/pushgateway.mjs"
    done = subprocess.run(["node", str(script), gateway.url, chromium], capture_output=True,
                          text=True, timeout=120, cwd=root / "ui")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "push_time" not in gateway.page()


run_tests(globals())
