#!/usr/bin/env python3
"""narthex tool beside what the real promtool printed: recorded cases, a recorded data directory, and
questions to a running server."""
import http.server
import json
import shutil
import subprocess
import tarfile
import threading

from harness import CONFORMANCE, NARTHEX, Server, run_tests, skip, unpack_data_dir

# The recorded promtool was built without service discovery of clouds and refuses these sections.
OTHER_BUILD = {"prometheus-aws-sd-empty-region.good.yml"}
EVERYTHING = "2026-01-01T00:00:00Z"


def tool(*args, cwd=None, stdin=""):
    done = subprocess.run([NARTHEX, "tool", *map(str, args)], cwd=cwd, input=stdin, text=True,
                          capture_output=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


def writable_copy(name, folder):
    source = CONFORMANCE / name
    if not source.exists():
        skip(f"{source} is not there")
    shutil.copytree(source, folder, copy_function=shutil.copy)
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


def compare(cases, cwd):
    wrong = []
    for case in cases:
        for name, text in case.get("files", {}).items():
            (cwd / name).write_text(text)
        got = tool(*case["args"], cwd=cwd, stdin=case.get("stdin", ""))
        want = (case["exit"], case["stdout"], case["stderr"])
        if got != want:
            wrong.append(f"{case['args']}\n  want {want}\n  got  {got}")
    print(f"        {len(cases) - len(wrong)} of {len(cases)} cases agree")
    assert not wrong, "\n".join(wrong)


def test_recorded_cases(folder):
    cwd = writable_copy("promtool", folder / "promtool")
    cases = [json.loads(line) for line in (cwd / "expected.jsonl").read_text().splitlines()]
    compare([case for case in cases if not OTHER_BUILD & set(case["args"])], cwd)


def test_recorded_rule_files(folder):
    cwd = writable_copy("rules", folder / "rules")
    cases = [json.loads(line) for line in (cwd / "expected.jsonl").read_text().splitlines()]
    compare([dict(case, args=["check", "rules", case["file"]]) for case in cases],
            cwd / "rulefmt")


def test_dump_of_a_recorded_directory(folder):
    data = unpack_data_dir(folder / "data")
    recorded = CONFORMANCE / "tsdb/data-dir-dump.sorted.txt.zst"
    want = subprocess.run(["zstd", "-dc", recorded], check=True, capture_output=True).stdout
    before = sorted(str(path) for path in data.rglob("*"))
    code, out, err = tool("tsdb", "dump", data)
    assert (code, err) == (0, ""), err
    assert sorted(out.encode().splitlines()) == sorted(want.splitlines())
    assert sorted(str(path) for path in data.rglob("*")) == before, "dump left something behind"

    code, out, _ = tool("tsdb", "list", data)
    assert code == 0 and len(out.splitlines()) == 2, out
    code, out, _ = tool("tsdb", "analyze", data)
    assert code == 0 and "Highest cardinality metric names:" in out, out
    code, _, err = tool("tsdb", "dump", folder / "none")
    assert code == 1 and err.startswith("opening the db dir: stat "), err


def test_usage_errors(folder):
    for args, text in [
            (["foo"], 'expected command but got "foo"'),
            (["check"], "must select a subcommand of 'check'"),
            (["check", "config"], "required argument 'config-files' not provided"),
            (["query", "series", "http://x"], "required flag(s) '--match' not provided"),
            (["tsdb", "list", "-z"], "unknown short flag '-z'"),
            (["check", "rules", "--x"], "unknown long flag '--x'")]:
        assert tool(*args) == (1, "", f"promtool: error: {text}, try --help\n"), args
    code, out, _ = tool("check", "rules", "--help")
    assert code == 0 and out.startswith("usage: promtool check rules [<flags>] [<rule-files>...]")


def test_queries(folder):
    server = Server(folder, data=unpack_data_dir(folder / "data"),
                    flags=["--storage.tsdb.retention.time=100y"])
    at = "1767243600"
    code, out, err = tool("query", "instant", server.url, "vector(1.5)", f"--time={at}")
    assert (code, out, err) == (0, "{} => 1.5 @[1767243600]\n", "")
    code, out, _ = tool("query", "-o", "json", "instant", server.url, "vector(1)", f"--time={at}")
    assert (code, out) == (0, '[{"metric":{},"value":[1767243600,"1"]}]\n')
    code, out, _ = tool("query", "range", server.url, "time()", f"--start={at}",
                        "--end=1767243601")
    assert (code, out) == (0, "{} =>\n1767243600 @[1767243600]\n1767243601 @[1767243601]\n")
    code, out, _ = tool("query", "labels", server.url, "__name__", f"--start={EVERYTHING}")
    assert code == 0 and "up" in out.splitlines(), out
    code, out, _ = tool("query", "series", server.url, "--match=up", f"--start={EVERYTHING}")
    assert code == 0 and out.startswith('{__name__="up", '), out
    code, out, err = tool("query", "instant", server.url, "foo(")
    assert (code, out) == (1, "") and err.startswith("query error: bad_data: "), err
    code, _, err = tool("check", "ready", f"--url={server.url}/")
    assert code == 0 and err.startswith("  SUCCESS:  "), err
    own = subprocess.run([NARTHEX, "query", "instant", server.url, "1", f"--time={at}"], text=True,
                         capture_output=True, timeout=60)
    assert own.stdout == "scalar: 1 @[1767243600]\n", own


def test_service_discovery(folder):
    (folder / "c.yml").write_text("""
scrape_configs:
  - job_name: a
    static_configs: [{targets: [h:1]}]
    relabel_configs: [{target_label: x, replacement: y}]
""")
    code, out, err = tool("check", "service-discovery", "--timeout=300ms", folder / "c.yml", "a")
    assert code == 0, err
    assert [t["labels"]["x"] for t in json.loads(out)] == ["y"], out
    code, _, err = tool("check", "service-discovery", folder / "c.yml", "b")
    assert (code, err) == (1, "Job b not found. Select one of:\n\ta\n")


def test_backfill(folder):
    (folder / "in.om").write_text(
        "".join(f'm{{i="{i}"}} {t} {t}\n' for i in range(2) for t in range(0, 9000, 30)) + "# EOF\n")
    out_dir = folder / "blocks"
    code, out, err = tool("tsdb", "create-blocks-from", "openmetrics", "--label=job=b",
                          folder / "in.om", out_dir)
    assert (code, err) == (0, ""), err
    assert len(out.splitlines()) == 3, out  # A header, and a block for each two hours.
    code, out, _ = tool("tsdb", "dump", out_dir)
    assert code == 0 and len(out.splitlines()) == 600, out[:300]
    assert out.startswith('{__name__="m", i="0", job="b"} 0 0\n'), out[:300]
    (folder / "bad.om").write_text("a 1\n# EOF\n")
    code, _, err = tool("tsdb", "create-blocks-from", "openmetrics", folder / "bad.om", out_dir)
    assert (code, err) == (1, "getting min and max timestamp: expected timestamp for series got "
                           "none\n"), err


def test_backfill_of_rules_and_analysis_of_queries(folder):
    samples = "# TYPE h histogram\n"
    for t in range(0, 7200, 60):
        samples += "".join(f'h_bucket{{le="{le}"}} {n * t} {t}\n' for le, n in
                           [("1.0", 0), ("2.0", 1), ("+Inf", 3)])
    (folder / "in.om").write_text(samples + "# EOF\n")
    data = folder / "data"
    assert tool("tsdb", "create-blocks-from", "openmetrics", folder / "in.om", data)[0] == 0
    server = Server(folder, data=data, flags=["--storage.tsdb.retention.time=100y"])

    code, out, err = tool("query", "analyze", f"--server={server.url}", "--type=histogram",
                          "--match=h_bucket", "--time=3600", "--duration=10m")
    assert (code, err) == (0, ""), err
    assert "\n- h_bucket{} (classic): 2/2.000/2/3\n" in out, out
    assert out.endswith("\nClassic histogram series (1 in total):\n- min populated: 2/2.000/2\n"
                        "- avg populated: 2/2.000/2\n- max populated: 2/2.000/2\n"
                        "- total: 3/3.000/3\n"), out
    code, _, err = tool("query", "analyze", f"--server={server.url}", "--type=summary",
                        "--match=x")
    assert (code, err) == (1, "analyze type is summary, must be 'histogram'\n")

    (folder / "rules.yml").write_text("""
groups:
- name: g
  interval: 120s
  labels: {team: a}
  rules:
  - {record: r, expr: 'sum(h_bucket{le="2.0"})', labels: {x: "y"}}
  - {alert: A, expr: 'h_bucket > 0'}
""")
    blocks = folder / "blocks"
    rules = ["tsdb", "create-blocks-from", "rules", f"--url={server.url}",
             f"--output-dir={blocks}", folder / "rules.yml"]
    code, _, err = tool(*rules, "--start=0", "--end=7100")
    assert code == 0, err
    (blocks / "wal").mkdir()
    code, out, err = tool("tsdb", "dump", blocks)
    lines = [line.split() for line in out.splitlines()]
    assert len(lines) in (59, 60) and {" ".join(line[:-2]) for line in lines} == {
        '{__name__="r", team="a", x="y"}'}, (out[:300], err)
    # Each is what the expression gave then: the newest sample, which is of the full minute.
    assert all(float(value) == int(t) // 60_000 * 60 for *_, value, t in lines), out[:300]
    assert {int(b[-1]) - int(a[-1]) for a, b in zip(lines, lines[1:])} == {120_000}
    code, _, err = tool(*rules, "--start=5", "--end=4")
    assert (code, err) == (1, "start time is not before end time\n")


def test_write_benchmark(folder):
    (folder / "series.json").write_text(
        "".join(f'{{"__name__":"m","i":"{i % 1100}"}}\n' for i in range(1200)))
    code, out, err = tool("tsdb", "bench", "write", f"--out={folder / 'out'}", "--scrapes=200",
                          folder / "series.json")
    assert code == 0 and "\n > total samples: 220000\n" in out, (out, err)
    code, out, _ = tool("tsdb", "dump", "--match={i=\"7\"}", folder / "out/storage")
    assert len(out.splitlines()) == 200, out[:300]
    (folder / "bad.json").write_text("{x}\n")
    code, _, err = tool("tsdb", "bench", "write", f"--out={folder / 'out'}", folder / "bad.json")
    assert code == 1 and "no label in" in err, err


def test_promql_scripts(folder):
    good = folder / "good.test"
    good.write_text("load 1m\n  a 1+1x5\n\neval instant at 5m a\n  a 6\n")
    assert tool("test", "promql", good)[:2] == (
        0, f"Processing test script: {good}\n  SUCCESS: 1 evaluations\n")
    bad = folder / "bad.test"
    bad.write_text("load 1m\n  a 1+1x5\n\neval instant at 5m a\n  a 7\n")
    code, _, err = tool("test", "promql", bad)
    assert code == 1 and err.startswith(f"  FAILED: {bad}:4: a: "), err


def test_push_and_debug(folder):
    seen = []

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.path, dict(self.headers), body))
            self.send_response(204 if self.path == "/api/v1/write" else 404)
            self.end_headers()

        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"a 1\n")

        def log_message(self, *args):
            pass

    (folder / "m.txt").write_text("# TYPE a counter\na 1\n")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        code, out, err = tool("push", "metrics", "--header=X-Scope=1", url, "m.txt", cwd=folder)
        assert (code, out, err) == (
            0, "Parsing metrics file m.txt\n"
               "  SUCCESS: metrics file m.txt pushed to remote write.\n", "")
        path, headers, body = seen[0]
        assert path == "/api/v1/write" and headers["Content-Encoding"] == "snappy", seen
        assert headers["X-Scope"] == "1" and b"promtool" in body, seen
        code, _, err = tool("push", "metrics", "--remote-write.path=/x", url, "m.txt", cwd=folder)
        assert code == 1 and err.startswith("  FAILED: server returned HTTP status 404"), err

        code, out, _ = tool("debug", "metrics", url, cwd=folder)
        assert code == 0 and out.startswith(f"collecting: {url}/metrics\n"), out
        server.shutdown()
    with tarfile.open(folder / "debug.tar.gz") as archive:
        assert archive.extractfile("metrics.txt").read() == b"a 1\n"


run_tests(dict(globals()))
