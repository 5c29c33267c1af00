#!/usr/bin/env python3
"""The conformance expressions through /api/v1/parse_query and /api/v1/format_query of both servers.

  expressions.py [FILE.jsonl…]     default: all inputs of promql-parse and corpus

Every answer must be equal: the tree as JSON, the formatted text, the errors.
"""
import json
import pathlib
import sys

import servers

import harness


def inputs(files):
    for file in files:
        for line in pathlib.Path(file).read_text().splitlines():
            text = json.loads(line).get("input")
            if text is not None:
                yield text


def main():
    peer = servers.find_peer()
    files = sys.argv[1:] or [harness.CONFORMANCE / "promql-parse/cases.jsonl",
                             harness.CONFORMANCE / "corpus/expressions.jsonl"]
    if not peer or not all(pathlib.Path(f).exists() for f in files):
        harness.skip("no Prometheus to compare with, or no expressions")
    asked = different = 0
    with harness.scratch() as folder:
        flags = [f"--enable-feature={servers.FEATURES}"]
        ours = harness.Server(folder / "ours", flags=flags)
        reference = harness.Server(folder / "reference", program=peer, flags=flags)
        ask = [servers.Connection(server.url) for server in (reference, ours)]
        for text in inputs(files):
            for path in ("/api/v1/parse_query", "/api/v1/format_query"):
                asked += 1
                ref, got = [connection.ask(path, {"query": text}) for connection in ask]
                if ref[0] != got[0] or json.loads(ref[1]) != json.loads(got[1]):
                    different += 1
                    print(f"{path} {text!r}\n  reference {ref}\n  ours      {got}")
    print(f"{asked} answers compared, {different} different")
    sys.exit(1 if different or not asked else 0)


main()
