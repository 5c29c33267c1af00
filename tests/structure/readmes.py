#!/usr/bin/env python3
"""Every folder of code has a README, and no README names a file that is gone."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAMED = re.compile(r"`([A-Za-z0-9_./-]+\.(?:h|cc|py|md|cmake|txt|sh|ts|tsx|mjs))`")


def main():
    problems, readmes = [], 0
    for listing in sorted((ROOT / "src").rglob("CMakeLists.txt")):
        if not (listing.parent / "README.md").exists():
            problems.append(f"{listing.parent.relative_to(ROOT)}: no README.md")
    for base in ("src", "client", "apps", "ui", "docs", "tests", "bench"):
        for readme in sorted((ROOT / base).rglob("*.md")):
            if "node_modules" in readme.parts:
                continue
            readmes += 1
            for name in NAMED.findall(readme.read_text()):
                places = (readme.parent, ROOT, ROOT / "src", ROOT / "client" / "include")
                if not any((place / name).exists() for place in places):
                    problems.append(f"{readme.relative_to(ROOT)}: names {name}, which is not there")
    for problem in problems:
        print(problem)
    print(f"{readmes} pages, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
