#!/usr/bin/env python3
"""The public headers of the client library compile as C++17 and as C++20, with every compiler at
hand, in any order of inclusion, and include nothing but the standard library and each other."""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
INCLUDE = ROOT / "client/include"
COMPAT = ROOT / "client/compat/include"
FLAGS = ["-fsyntax-only", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Werror", "-pedantic"]

# Mistakes that the compiler has to find.
WRONG = '#include "narthex/client/typed_family.h"\n#include "narthex/client/counter.h"\n' \
        '#include "narthex/client/histogram.h"\nusing namespace narthex::client;\n'
MUST_NOT_COMPILE = [
    ('StaticFamily<Counter, "a", "a"> f;', "two labels have the same name"),
    ('StaticFamily<Counter, "__a"> f;', "do not begin with two underscores"),
    ('StaticFamily<Histogram, "le"> f;', "are not free"),
    ('void F(StaticFamily<Counter, "a"> f) { f("x", "y"); }', "no match for call"),
]


def main():
    paths = {path.relative_to(base).as_posix(): path
             for base in (INCLUDE, COMPAT) for path in base.rglob("*.h")}
    headers = sorted(paths)
    problems = []
    for header in headers:
        for name in re.findall(r"^\s*#\s*include\s*<([^>]+)>", paths[header].read_text(), re.M):
            if header.endswith("client/c.h") and name in ("stddef.h", "stdint.h"):
                continue  # Shared with C, hence C's names.
            if "/" in name or name.endswith(".h"):
                problems.append(f"{header}: <{name}> is not of the standard library")
    compilers = [name for name in ("g++", "clang++", "clang++-19", "clang++-14") if shutil.which(name)]
    if not compilers:
        print("skipped: no compiler in the path")
        return 77
    runs = 0
    with tempfile.TemporaryDirectory() as folder:
        for order, listed in (("forward", headers), ("backward", headers[::-1])):
            source = pathlib.Path(folder) / f"{order}.cc"
            source.write_text("".join(f'#include "{name}"\n' for name in listed) + "int main() {}\n")
            for compiler in compilers:
                for standard in ("c++17", "c++20"):
                    if order == "backward" and standard == "c++20":
                        continue
                    runs += 1
                    result = subprocess.run(
                        [compiler, f"-std={standard}", *FLAGS, f"-I{INCLUDE}", f"-I{COMPAT}",
                         str(source)],
                        capture_output=True, text=True)
                    if result.returncode != 0:
                        problems.append(f"{compiler} {standard} {order}:\n{result.stderr[:3000]}")
        for body, want in MUST_NOT_COMPILE:
            source = pathlib.Path(folder) / "wrong.cc"
            source.write_text(WRONG + body)
            runs += 1
            result = subprocess.run([compilers[0], "-std=c++20", "-fsyntax-only", f"-I{INCLUDE}",
                                     str(source)], capture_output=True, text=True)
            if result.returncode == 0 or want not in result.stderr:
                problems.append(f"{body}: should be refused with '{want}'\n{result.stderr[:2000]}")
    for problem in problems:
        print(problem)
    print(f"{len(headers)} headers, {runs} compilations, {len(problems)} problems")
    return 1 if problems or not headers else 0


if __name__ == "__main__":
    sys.exit(main())
