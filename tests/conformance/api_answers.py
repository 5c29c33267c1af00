#!/usr/bin/env python3
"""Asks the recorded questions of conformance/api and compares the answers with the recorded ones.

Usage: api_answers.py answers.jsonl|promql-answers.jsonl [--required PERCENT] [--show N]
Numbers are equal to 1e-9 relative; fields that tell of the build are only compared by presence.
"""
import argparse
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from harness import CONFORMANCE, Server, numbers_equal, scratch, skip, unpack_data_dir  # noqa: E402

# Values here depend on the program that answers, not on the data.
BUILD_DEPENDENT = {"/api/v1/features"}


def equal(a, b):
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b))
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, (str, int, float)) and isinstance(b, (str, int, float)):
        return numbers_equal(a, b, 1e-9)
    return a == b


def shape(value):
    """Which keys there are, without the values."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    return type(value).__name__


def normalize(body, request):
    if not isinstance(body, dict):
        return body
    data, query = body.get("data"), str(request["params"].get("query", ""))
    ordered = any(word in query for word in ("sort", "topk", "bottomk"))
    if isinstance(data, dict) and data.get("resultType") in ("vector", "matrix") and not ordered:
        data["result"].sort(key=lambda r: json.dumps(r["metric"], sort_keys=True))
    if "found duplicate series" in str(body.get("error")):
        body["error"] = body["error"].split(" [{")[0]  # Which two it names depends on map order.
    for key in ("warnings", "infos"):
        if key in body:
            body[key] = sorted(body[key])
    return body


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--required", type=float, default=100.0)
    parser.add_argument("--show", type=int, default=20)
    options = parser.parse_args()
    path = CONFORMANCE / "api" / options.file
    if not path.exists():
        skip(f"{path} is not there")
    cases = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    failed = []
    with scratch() as folder:
        data = unpack_data_dir(folder / "unpacked")
        server = Server(folder / "n", "global:\n  scrape_interval: 1h\n", data=data, flags=[
            "--storage.tsdb.retention.time=100y",
            "--enable-feature=promql-experimental-functions,exemplar-storage,"
            "promql-binop-fill-modifiers"])
        for case in cases:
            request = case["request"]
            status, text = server.get(request["path"], request["params"],
                                      request.get("method", "GET"))
            try:
                answer = json.loads(text)
            except ValueError:
                answer = text
            want = normalize(case["response"], request)
            got = normalize(answer, request)
            if request["path"] in BUILD_DEPENDENT:
                want, got = shape(want), shape(got)
            if request["path"] == "/api/v1/features":
                # The recorded build left most discovery mechanisms out; ours may have more.
                providers = got["data"]["service_discovery_providers"]
                recorded = want["data"]["service_discovery_providers"]
                for name in set(providers) - set(recorded):
                    del providers[name]
            if status != case["status"] or not equal(want, got):
                failed.append((request, case["status"], want, status, got))
        server.stop()
    for request, want_status, want, status, got in failed[:options.show]:
        print(f"{json.dumps(request, ensure_ascii=False)}\n"
              f"  want {want_status} {json.dumps(want, ensure_ascii=False)[:600]}\n"
              f"  got  {status} {json.dumps(got, ensure_ascii=False)[:600]}")
    passed = len(cases) - len(failed)
    percent = 100.0 * passed / len(cases)
    print(f"{options.file}: {percent:.2f} % (required {options.required} %)")
    print(f"{passed} passed, {len(failed)} failed")
    sys.exit(0 if percent >= options.required else 1)


main()
