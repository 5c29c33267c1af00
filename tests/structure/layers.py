#!/usr/bin/env python3
"""Fails when a folder of src/ includes a folder of a higher or equal layer that cmake/layers.txt
does not allow, when client/ includes anything of ours outside itself, or when a header of a
third-party library stands in one of our headers that must not show it."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
# Libraries that only .cc files may show, whatever the folder.
HIDDEN = ("boost/asio", "boost/beast", "curl/", "yaml-cpp/", "ares.h", "re2/")


def read_layers():
    ranks, allowed = {}, set()
    for line in (ROOT / "cmake/layers.txt").read_text().splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] == "layer":
            for folder in words[2:]:
                ranks[folder] = int(words[1])
        elif words[0] == "allow" and len(words) > 3:
            allowed.add((words[1], words[2]))
        else:
            sys.exit(f"cmake/layers.txt: cannot read '{line}'")
    return ranks, allowed


def folder_of(path, ranks):
    """The longest listed folder that holds the path."""
    parts = pathlib.PurePosixPath(path).parts
    for length in range(len(parts) - 1, 0, -1):
        folder = "/".join(parts[:length])
        if folder in ranks:
            return folder
    return None


def main():
    ranks, allowed = read_layers()
    problems, files = [], 0
    for base in ("src", "apps"):
        for path in sorted((ROOT / base).rglob("*")):
            if path.suffix not in (".h", ".cc"):
                continue
            files += 1
            relative = path.relative_to(ROOT)
            inner = path.relative_to(ROOT / "src") if base == "src" else relative
            folder = folder_of(inner.as_posix(), ranks)
            if folder is None:
                problems.append(f"{relative}: its folder is not in cmake/layers.txt")
                continue
            is_test = path.stem.endswith(("_test", "_bench", "_fuzz"))
            for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
                match = INCLUDE.match(line)
                if not match:
                    continue
                quote, target = match.groups()
                if path.suffix == ".h" and target.startswith(HIDDEN):
                    problems.append(f"{relative}:{number}: {target} in a header")
                if quote == "<":
                    continue
                other = folder_of(target, ranks)
                if other is None or other == folder or is_test:
                    continue
                if ranks[other] >= ranks[folder] and (folder, other) not in allowed:
                    problems.append(f"{relative}:{number}: {folder} may not include {other}")
    for path in sorted((ROOT / "client").rglob("*.h")):
        files += 1
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if match and "/" in match.group(2) and not match.group(2).startswith(("narthex/", "prometheus/")):
                problems.append(f"{path.relative_to(ROOT)}:{number}: {match.group(2)} in a public header")
    for problem in problems:
        print(problem)
    print(f"{files} files, {len(problems)} problems")
    return 1 if problems or files == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
