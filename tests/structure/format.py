#!/usr/bin/env python3
"""Fails when a C++ file differs from what clang-format-19 makes of it; names every such file.
Skipped (77) without clang-format-19: other versions lay some lines out differently."""
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FORMATTER = "clang-format-19"
# clang-format reports every replacement; one line a file is enough.
REPORT = re.compile(r"^(.+?):\d+:\d+: (?:error|warning): code should be clang-formatted")


def main():
    if shutil.which(FORMATTER) is None:
        print(f"{FORMATTER} is not installed")
        return 77
    files = sorted(path for base in ("src", "apps", "client", "cmake")
                   for path in (ROOT / base).rglob("*") if path.suffix in (".h", ".cc"))
    run = subprocess.run([FORMATTER, "--dry-run", "-Werror", *map(str, files)],
                         capture_output=True, text=True)
    differing = sorted({match.group(1) for line in run.stderr.splitlines()
                        if (match := REPORT.match(line))})
    for path in differing:
        print(f"{pathlib.Path(path).relative_to(ROOT)}: run {FORMATTER} -i on it")
    if run.returncode != 0 and not differing:
        print(run.stderr)
    print(f"{len(files)} files, {len(differing)} differ")
    return 1 if run.returncode != 0 or not files else 0


if __name__ == "__main__":
    sys.exit(main())
