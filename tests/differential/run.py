#!/usr/bin/env python3
"""Random queries to a real Prometheus and to narthex; every difference is shrunk and told.

  run.py --queries N [--seed S] [--profile NAME] [--workers W] [--out FILE] [--core]

Exits 0 without differences, 1 with some, 77 when there is no Prometheus. README.md tells the rest.
"""
import argparse
import collections
import json
import multiprocessing
import os
import random
import sys
import time

import grammar
import servers
from compare import LEVELS, compare
from dataset import SAMPLES, STEP_MS, T0

import harness

SHRINK_ASKS_MAX = 400
CHANCE_ASKS = 16


def random_request(r, core):
    """(path, parameters without the query)"""
    span = SAMPLES * STEP_MS // 1000
    if core:  # No sample at the edge of a range: which edge belongs to it changed with version 3.
        at = r.randrange(0, span) + 0.37
        if r.random() < 0.5:
            return "/api/v1/query", {"time": str(T0 + at)}
        return "/api/v1/query_range", {"start": str(T0 + at), "end": str(T0 + at + 600),
                                       "step": r.choice(["15", "30", "60"])}
    if r.random() < 0.5:
        at = r.choice([r.randrange(0, span + 400), r.randrange(0, span // 15) * 15,
                       round(r.random() * span, 3)])
        return "/api/v1/query", {"time": str(T0 + at)}
    start = r.choice([r.randrange(-100, span), r.randrange(0, span // 60) * 60,
                      round(r.random() * span, 3)])
    step = r.choice(["15", "30", "60", "120", "7.3", "300", "61.7", "1000"])
    return "/api/v1/query_range", {"start": str(T0 + start), "step": step,
                                   "end": str(T0 + start + float(step) * r.choice([0, 1, 5, 20]))}


class Pair:
    def __init__(self, ref_url, our_url, lenient):
        self.lenient = lenient
        self.ref, self.ours = servers.Connection(ref_url), servers.Connection(our_url)
        self.asked = 0

    def ask(self, path, params):
        self.asked += 1
        self.ref.send(path, params)
        self.ours.send(path, params)
        return self.ref.receive(), self.ours.receive()

    def judge(self, path, params):
        """(level, reference's answer, our answer). `chance`: the reference contradicts itself, and
        one of its answers is ours but perhaps for the order, or none of its orders is stable.
        `unstable`: it contradicts itself and never said what we say."""
        ref, ours = self.ask(path, params)
        level = compare(ref, ours, self.lenient)
        first = ref
        if level in ("diff", "order"):
            contradicts = ordered_otherwise = False
            for _ in range(CHANCE_ASKS):
                again = self.ref.ask(path, params)
                agrees = compare(again, ours, self.lenient)
                level = min(level, agrees, key=LEVELS.index)
                if agrees not in ("diff", "order"):
                    return "chance", ref, ours
                itself = compare(first, again)
                contradicts = contradicts or itself == "diff"
                ordered_otherwise = ordered_otherwise or itself == "order"
            if level == "order" and (ordered_otherwise or contradicts):
                level = "chance"
            elif level == "diff" and contradicts:
                level = "unstable"
        return level, ref, ours

    def shrink(self, tree, path, params):
        """The smallest query found that differs too, with its request."""
        def differs(p, q):
            return compare(*self.ask(p, q), self.lenient) == "diff"
        left = SHRINK_ASKS_MAX
        if path.endswith("_range"):
            for at in (params["start"], params["end"]):
                instant = {"query": str(tree), "time": at}
                if differs("/api/v1/query", instant):
                    path, params = "/api/v1/query", instant
                    break
        progress = isinstance(tree, grammar.Node)
        while progress and left > 0:
            progress = False
            for candidate in grammar.smaller(tree):
                left -= 1
                smaller = dict(params, query=str(candidate))
                if len(str(candidate)) < len(str(tree)) and differs(path, smaller):
                    tree, params, progress = candidate, smaller, True
                    break
                if left <= 0:
                    break
        return path, params


def work(index, args, urls, queue):
    pair = Pair(*urls, args.core)
    counts = collections.Counter()
    levels = ["faults", "clean", "damaged"]
    shrunk = 0
    for i in range(index, args.queries, args.workers):
        seed = args.seed * 1_000_000_007 + i
        r = random.Random(seed)
        kind = levels[0] if r.random() < 0.1 else levels[2] if r.random() < 0.06 else levels[1]
        if args.core:
            kind = "clean"
        g = grammar.Grammar(seed, core=args.core, faults=0.1 if kind == "faults" else 0)
        tree = g.query()
        text = g.damage(str(tree)) if kind == "damaged" else str(tree)
        path, params = random_request(r, args.core)
        params["query"] = text
        try:
            level, ref, ours = pair.judge(path, params)
        except Exception as error:
            queue.put(("broken", {"path": path, "params": params, "error": repr(error)}))
            counts["broken"] += 1
            time.sleep(0.5)
            if counts["broken"] > 5:
                break
            pair = Pair(*urls, args.core)
            continue
        counts["asked"] += 1
        counts[level] += 1
        counts["refused" if ref[0] != 200 else
               "empty" if b'"result":[]' in ref[1] else "with result"] += 1
        counts["annotated"] += b'"infos":' in ref[1] or b'"warnings":' in ref[1]
        if level in ("diff", "order", "unstable") or (level == "close" and args.show_close):
            found = {"level": level, "seed": seed, "path": path, "params": dict(params),
                     "ref": ref[1].decode(errors="replace"),
                     "ours": ours[1].decode(errors="replace")}
            if level == "diff" and shrunk < args.shrink:
                shrunk += 1
                small_path, small = pair.shrink(tree if kind != "damaged" else text, path, params)
                small_ref, small_ours = pair.ask(small_path, small)
                found["small"] = {"path": small_path, "params": small,
                                  "ref": small_ref[1].decode(errors="replace"),
                                  "ours": small_ours[1].decode(errors="replace")}
            queue.put(("found", found))
    queue.put(("counts", counts))


def run(args, reference, ours):
    queue = multiprocessing.Queue()
    workers = [multiprocessing.Process(target=work, args=(
        i, args, (reference.url, ours.url), queue)) for i in range(args.workers)]
    started = time.monotonic()
    for w in workers:
        w.start()
    total, done = collections.Counter(), 0
    out = open(args.out, "a") if args.out else None
    while done < len(workers):
        what, data = queue.get()
        if what == "counts":
            total += data
            done += 1
            continue
        line = json.dumps(data, ensure_ascii=False)
        if out:
            out.write(line + "\n")
            out.flush()
        elif total["told"] < 20:
            total["told"] += 1
            print(line[:2000], flush=True)
    for w in workers:
        w.join()
    seconds = time.monotonic() - started
    del total["told"]
    print(f"profile {args.profile}, seed {args.seed}: "
          + ", ".join(f"{k} {v}" for k, v in sorted(total.items()))
          + f"; {total['asked'] / seconds:.0f} queries/s", flush=True)
    return total


def parse_arguments(words=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--profile", default="default", choices=servers.PROFILES)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", help="append differences as JSON lines instead of printing")
    parser.add_argument("--shrink", type=int, default=100, help="differences shrunk by a worker")
    parser.add_argument("--suite", action="store_true",
                        help="the whole language if NARTHEX_PEER_PROMETHEUS is set, else --core")
    parser.add_argument("--core", action="store_true", help="what Prometheus 2.42 knows")
    parser.add_argument("--show-close", action="store_true")
    return parser.parse_args(words)


def main():
    args = parse_arguments()
    args.core = args.core or (args.suite and "NARTHEX_PEER_PROMETHEUS" not in os.environ)
    peer = servers.find_peer()
    if not peer:
        harness.skip("no Prometheus to compare with (NARTHEX_PEER_PROMETHEUS or PATH)")
    with harness.scratch() as folder:
        reference, ours = servers.start_pair(folder, args.seed, servers.PROFILES[args.profile],
                                             peer, floats_only=args.core)
        total = run(args, reference, ours)
    sys.exit(1 if total["diff"] or total["unstable"] or total["broken"] else 0)


if __name__ == "__main__":
    main()
