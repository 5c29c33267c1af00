#!/usr/bin/env python3
"""Installs the client library and builds a small project against it: once with find_package, once
with pkg-config. Usage: install_test.py BUILD_FOLDER"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
WANT = {
    "core": "# HELP jobs_total Jobs done.\n# TYPE jobs_total counter\njobs_total 2\n",
    "migrated": "# HELP c_total C.\n# TYPE c_total counter\nc_total{a=\"b\"} 1\n",
    "plain": "# HELP jobs_total Jobs done.\n# TYPE jobs_total counter\njobs_total 2\n",
    "server": "http://gateway:9091/metrics/job@base64/YS9i\n",
}


def run(*command, **options):
    result = subprocess.run(list(command), capture_output=True, text=True, **options)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}:\n{result.stdout[-2000:]}{result.stderr[-3000:]}")
    return result.stdout


def check(way, folder, library_folder):
    environment = dict(os.environ, LD_LIBRARY_PATH=str(library_folder))
    for name, want in WANT.items():
        got = run(str(folder / name), env=environment)
        if got != want:
            sys.exit(f"{way}: {name} printed {got!r}, not {want!r}")
    print(f"{way}: {len(WANT)} programs built and run")


def check_exports(library):
    """The shared library shows the functions of c.h, each of them, and nothing else."""
    header = (HERE.parents[1] / "client/include/narthex/client/c.h").read_text()
    declared = set(re.findall(r"NARTHEX_API[^;(]*?(narthex_\w+)\(", header))
    lines = run("nm", "-D", "--defined-only", library).splitlines()
    shown = {line.split()[-1].split("@")[0] for line in lines if " A " not in line}
    if shown != declared:
        sys.exit(f"{library.name} lacks {declared - shown} and shows {shown - declared}")
    print(f"{library.name}: {len(shown)} functions")


def main():
    build = pathlib.Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        prefix = folder / "prefix"
        run("cmake", "--install", build, "--component", "client", "--prefix", prefix)
        installed = [path.relative_to(prefix).as_posix() for path in prefix.rglob("*") if path.is_file()]
        strangers = [name for name in installed if "narthex" not in name]
        if strangers:
            sys.exit(f"installed what is not ours: {strangers}")

        run("cmake", "-S", HERE / "downstream", "-B", folder / "cmake",
            f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_BUILD_TYPE=Release")
        run("cmake", "--build", folder / "cmake")
        library = next(prefix.rglob("libnarthex_client_c.so.*"))
        check("find_package", folder / "cmake", library.parent)
        check_exports(library)

        if shutil.which("pkg-config") is None or shutil.which("g++") is None:
            print("pkg-config: skipped, no pkg-config or no g++")
            return
        paths = [path.parent for path in prefix.rglob("narthex-client.pc")]
        environment = dict(os.environ, PKG_CONFIG_PATH=str(paths[0]))
        for name, package in (("core", "narthex-client"),
                              ("migrated", "narthex-prometheus-cpp"),
                              ("plain", "narthex-client-c"),
                              ("server", "narthex-client-tls narthex-client-http")):
            # The prefix that was configured is not the one of this installation.
            flags = run("pkg-config", f"--define-variable=prefix={prefix}", "--cflags", "--libs",
                        *package.split(), env=environment).split()
            compiler = ["gcc", "-std=c11"] if name == "plain" else ["g++", "-std=c++17"]
            source = HERE / "downstream" / (name + (".c" if name == "plain" else ".cc"))
            run(*compiler, source, *flags, "-o", folder / name)
        check("pkg-config", folder, library.parent)


if __name__ == "__main__":
    main()
