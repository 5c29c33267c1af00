"""Are two answers of the query API the same?

compare() gives one of
  same    every character that has a meaning is equal
  close   values differ, but by no more than 1e-12 of the larger one
  order   an instant vector's elements come in another order
  diff    anything else: values, labels, error texts, warnings, infos
Annotations come in random order from upstream (a map) and are compared as sets; beyond ten of a
kind upstream keeps a random ten, and only their number is compared.
"""
import json

import servers  # noqa: F401: makes the harness of ../e2e importable

from harness import numbers_equal

TOLERANCE = 1e-12
LEVELS = ["same", "close", "order", "diff"]


def compare_tree(a, b):
    if a == b:
        return "same"
    if isinstance(a, dict) and isinstance(b, dict):
        if a.keys() != b.keys():
            return "diff"
        return max((compare_tree(a[k], b[k]) for k in a), key=LEVELS.index, default="same")
    if isinstance(a, list) and isinstance(b, list):
        if len(a) != len(b):
            return "diff"
        return max((compare_tree(x, y) for x, y in zip(a, b)), key=LEVELS.index, default="same")
    if isinstance(a, str) and isinstance(b, str):
        return "close" if numbers_equal(a, b, TOLERANCE) else "diff"
    return "diff"


def by_labels(result):
    return sorted(result, key=lambda s: sorted(s["metric"].items()))


def annotations(answer, kind):
    texts = sorted(answer.get(kind, []))
    return len(texts) if len(texts) > 10 else texts


def compare(ref, ours, lenient=False):
    """`lenient`: for a reference of another version. Of refusals only the fact counts, annotations
    and the order of vectors do not."""
    (ref_status, ref_body), (our_status, our_body) = ref, ours
    if lenient and ref_status != 200 and our_status != 200:
        return "same"
    if ref_status != our_status:
        return "diff"
    if ref_body == our_body:
        return "same"
    try:
        a, b = json.loads(ref_body), json.loads(our_body)
    except ValueError:
        return "diff"
    for kind in ("warnings", "infos"):
        if not lenient and annotations(a, kind) != annotations(b, kind):
            return "diff"
        a.pop(kind, None)
        b.pop(kind, None)
    level = compare_tree(a, b)
    if level != "diff":
        return level
    data, our_data = a.get("data"), b.get("data")
    if (isinstance(data, dict) and isinstance(our_data, dict) and
            data.get("resultType") == our_data.get("resultType") == "vector"):
        level = compare_tree(by_labels(data["result"]), by_labels(our_data["result"]))
        if level != "diff":
            return level if lenient else "order"
    return "diff"
