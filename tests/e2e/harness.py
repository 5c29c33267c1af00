"""What the end-to-end tests share: real processes on free ports of 127.0.0.1 with folders of their
own, a tiny test runner, and questions to the HTTP API. Standard library only.

A test file has functions named test_…; run_tests(globals()) runs them, prints a line each and
`N passed, N failed`, and exits accordingly. skip("why") exits 77, which ctest shows as skipped.
"""
import contextlib
import json
import math
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
NARTHEX = os.environ.get("NARTHEX", str(ROOT / "build/release/narthex"))
CONFORMANCE = pathlib.Path(
    os.environ.get("NARTHEX_CONFORMANCE_DIR", ROOT.parent / "shared/conformance"))


def skip(why):
    print(f"SKIPPED: {why}")
    sys.exit(77)


def need(*programs):
    """Skips the whole file when a program is missing."""
    for program in programs:
        if shutil.which(program) is None:
            skip(f"{program} is not installed")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(what, check, seconds=30.0):
    """Polls until check() gives something true, which is returned."""
    deadline = time.monotonic() + seconds
    last = None
    while time.monotonic() < deadline:
        try:
            value = check()
            if value:
                return value
        except Exception as error:  # Not yet: whatever it was, it is told at the end.
            last = error
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s for {what}" + (f": {last!r}" if last else ""))


class Process:
    """A program that is stopped when the test ends, however it ends."""

    live = []

    def __init__(self, command, log, ready_url=None, cwd=None):
        self.command = [str(word) for word in command]
        self.log_path = pathlib.Path(log)
        self.log_file = open(log, "ab")
        self.popen = subprocess.Popen(self.command, stdout=self.log_file, stderr=self.log_file,
                                      stdin=subprocess.DEVNULL, cwd=cwd)
        Process.live.append(self)
        if ready_url:
            wait_for(f"{self.command[0]} at {ready_url}", lambda: self.check_ready(ready_url), 60)

    def check_ready(self, url):
        if self.popen.poll() is not None:
            raise SystemExit(f"{self.command} ended with {self.popen.returncode}:\n{self.log()}")
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200

    def log(self):
        return self.log_path.read_text(errors="replace")[-6000:]

    def stop(self, sig=signal.SIGTERM, seconds=30):
        if self.popen.poll() is None:
            self.popen.send_signal(sig)
            try:
                self.popen.wait(seconds)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
                raise AssertionError(f"{self.command[0]} did not stop on signal {sig}")
        self.log_file.close()
        if self in Process.live:
            Process.live.remove(self)
        return self.popen.returncode

    def kill(self):
        return self.stop(signal.SIGKILL)


class Server(Process):
    """narthex server, or a real Prometheus when `program` names one: both take the same flags."""

    def __init__(self, folder, config="scrape_configs: []\n", flags=(), program=None, data=None,
                 port=None, wait=True):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data = pathlib.Path(data or self.folder / "data")
        self.config_path = self.folder / "prometheus.yml"
        if config is not None:
            self.config_path.write_text(config)
        command = [program] if program else [NARTHEX, "server"]
        command += [f"--config.file={self.config_path}", f"--storage.tsdb.path={self.data}",
                    f"--web.listen-address=127.0.0.1:{self.port}", *flags]
        name = pathlib.Path(command[0]).name
        super().__init__(command, self.folder / f"{name}.log",
                         self.url + "/-/ready" if wait else None)

    def get(self, path, params=None, method="GET"):
        """(status, text)"""
        url = self.url + path
        data = None
        query = urllib.parse.urlencode(params or {}, doseq=True)
        if method == "POST":
            data = query.encode()
        elif query:
            url += "?" + query
        request = urllib.request.Request(url, data=data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def api(self, path, **params):
        status, text = self.get("/api/v1" + path, params)
        answer = json.loads(text)
        assert status == 200 and answer["status"] == "success", f"{path} {params}: {text[:500]}"
        return answer["data"]

    def query(self, query, **params):
        """{label text: value text} of an instant vector."""
        data = self.api("/query", query=query, **params)
        if data["resultType"] == "scalar":
            return data["result"][1]
        return {labels_text(r["metric"]): r["value"][1] for r in data["result"] if "value" in r}


def numbers_equal(a, b, tolerance):
    """Texts or numbers that stand for the same value, to a relative tolerance; NaN equals NaN."""
    if a == b:
        return True
    try:
        x, y = float(a), float(b)
    except (TypeError, ValueError):
        return False
    if math.isnan(x) or math.isnan(y):
        return math.isnan(x) and math.isnan(y)
    if math.isinf(x) or math.isinf(y):
        return x == y
    return math.isclose(x, y, rel_tol=tolerance)


def labels_text(metric):
    rest = ",".join(f'{k}="{v}"' for k, v in sorted(metric.items()) if k != "__name__")
    return metric.get("__name__", "") + "{" + rest + "}"


@contextlib.contextmanager
def scratch():
    folder = tempfile.mkdtemp(prefix="narthex-e2e-")
    try:
        yield pathlib.Path(folder)
    except Exception:
        for log in sorted(pathlib.Path(folder).rglob("*.log")):
            print(f"--- {log.name}\n{log.read_text(errors='replace')[-4000:]}")
        raise
    finally:
        for process in list(Process.live):
            process.kill()
        shutil.rmtree(folder, ignore_errors=True)


def unpack_data_dir(folder):
    """A copy of the recorded data directory."""
    archive = CONFORMANCE / "api/data-dir.tar.zst"
    if not archive.exists():
        skip(f"{archive} is not there")
    need("zstd", "tar")
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    subprocess.run(["tar", "--zstd", "-xf", archive, "-C", folder], check=True)
    inside = list(pathlib.Path(folder).iterdir())
    return inside[0] if len(inside) == 1 and inside[0].name != "wal" else pathlib.Path(folder)


def run_tests(names):
    passed = failed = 0
    wanted = sys.argv[1:]
    for name, function in list(names.items()):
        if not name.startswith("test_") or (wanted and name not in wanted):
            continue
        started = time.monotonic()
        try:
            with scratch() as folder:
                function(folder)
            passed += 1
            print(f"ok      {name} ({time.monotonic() - started:.1f} s)", flush=True)
        except Exception:
            failed += 1
            print(f"FAILED  {name}\n{traceback.format_exc()}", flush=True)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)
