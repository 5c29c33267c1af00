#!/usr/bin/env python3
"""What describes the commands instead of running them: completions as the shells themselves compute
them, manual pages as man reads them, the installation of both, and promtool's own flags for it."""
import os
import re
import shutil
import subprocess
from pathlib import Path

from harness import NARTHEX, run_tests, skip

PROGRAMS = ["server", "up", "pushgateway", "exporter node"]


def run(*args, **options):
    done = subprocess.run([str(a) for a in args], text=True, capture_output=True, timeout=60,
                          **options)
    assert done.returncode == 0, (args, done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout


def need(program):
    if not shutil.which(program):
        skip(f"{program} is not installed")


def linked(folder, name):
    """The executable under another name, as packages install it."""
    link = folder / name
    link.symlink_to(Path(NARTHEX).resolve())
    return link


def flags_of_help(text):
    return {flag for flag in re.findall(r"^  (?:-\w, |    )--(?:\[no-\])?([\w.-]+)", text, re.M)
            if flag not in ("help", "version")}


def leaves(words):
    """The commands below these words, by what --help lists: each line with a command in front."""
    text = run(NARTHEX, *words, "--help")
    listed = re.findall(r"^([a-z][a-z -]*?)(?: [\[<-].*)?$", text.split("ommands:\n")[1], re.M)
    return [name for name in dict.fromkeys(listed) if name != "help"]


def complete_bash(folder, script_of, *words):
    """The answers of bash for a line whose last word is unfinished; `words` as bash splits it."""
    quoted = " ".join("'" + word + "'" for word in words)
    return run("bash", "--norc", "-c", f"""
        source <({script_of})
        COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}
        function=$(complete -p {words[0]} | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        "$function"
        printf '%s\\n' "${{COMPREPLY[@]}}" """,
               env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}).split()


def test_bash_completes(folder):
    linked(folder, "narthex")
    linked(folder, "promtool")
    for words, answers in [
            (["narthex", "se"], ["server"]),
            (["narthex", "tool", "tsdb", "dump"], ["dump", "dump-openmetrics"]),
            (["narthex", "tool", "check", "config", "--lint"], ["--lint", "--lint-fatal"]),
            (["narthex", "tool", "query", "-o", "j"], ["json"]),
            (["narthex", "tool", "query", "--format", "=", ""], ["promql", "json"]),
            (["narthex", "tool", "query", "--format", "=", "pr"], ["promql"]),
            (["narthex", "tool", "check", "healthy", "--url", "=", "http", ":", "//x", "--ht"],
             ["--http.config.file"]),
            (["narthex", "server", "--log.f"], ["--log.format"]),
            (["narthex", "server", "--log.level", "d"], ["debug"]),
            (["narthex", "server", "--no-storage.agent.wal"],
             ["--no-storage.agent.wal-compression"]),
            (["narthex", "exporter", ""], ["node"]),
            (["narthex", "completion", ""], ["bash", "zsh", "fish"]),
            (["narthex", "tool", "check", "rules", "fil"], [])]:  # Files: bash does it.
        got = complete_bash(folder, "narthex completion bash", *words)
        assert got == answers, (words, got)
    for source in ["promtool --completion-script-bash",
                   "narthex completion --program=promtool bash"]:
        got = complete_bash(folder, source, "promtool", "check", "rules", "--lint-")
        assert got == ["--lint-fatal"], (source, got)


def test_every_flag_is_completed_and_in_its_page(folder):
    count = 0
    for words in PROGRAMS + ["tool " + leaf for leaf in leaves(["tool"])] + [
            "query " + leaf for leaf in leaves(["query"])]:
        words = words.split()
        flags = flags_of_help(run(NARTHEX, *words, "--help"))
        completed = run(NARTHEX, "--completion-bash", *words, "--").split()
        page = run(NARTHEX, "man", words[0])
        assert flags or words[0] in ("tool", "query"), words
        for flag in flags:
            assert f"--{flag}" in completed, (words, flag)
            assert "\\-\\-" in page and flag.replace("-", "\\-") in page, (words, flag)
        count += len(flags)
    print(f"        {count} flags")
    assert count > 250, count


def test_zsh_completes(folder):
    need("zsh")
    linked(folder, "narthex")

    def complete(*words):
        quoted = " ".join("'" + word + "'" for word in words)
        return run("zsh", "-f", "-c", f"""
            compdef() {{ registered="$*" }}
            _describe() {{ print -rl -- "${{(@)answers}}" }}
            _files() {{ print FILES }}
            source {folder}/_script
            [[ "$registered" == "_narthex narthex" ]] || exit 1
            words=({quoted}); CURRENT={len(words)}
            _narthex""", env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}).splitlines()

    (folder / "_script").write_text(run(NARTHEX, "completion", "zsh"))
    assert "server:The monitoring server: scrapes, stores, answers PromQL, alerts" in complete(
        "narthex", "")
    assert complete("narthex", "tool", "query", "--format=") == ["--format=promql",
                                                                 "--format=json"]
    assert complete("narthex", "tool", "check", "rules", "") == ["FILES"]


def test_fish_completes(folder):
    need("fish")
    linked(folder, "narthex")
    (folder / "script").write_text(run(NARTHEX, "completion", "fish"))
    home = folder / "home"
    home.mkdir()

    def complete(line):
        return run("fish", "--no-config", "-c", f"source {folder}/script; complete -C '{line}'",
                   cwd=home, env={**os.environ, "HOME": str(home),
                                  "PATH": f"{folder}:{os.environ['PATH']}"}).splitlines()

    (home / "rules.yml").touch()
    assert complete("narthex tool check rul") == [
        "rules\tCheck if the rule files are valid or not"]
    assert complete("narthex tool query --format=j") == ["--format=json"]
    assert complete("narthex tool check rules ru") == ["rules.yml"]


def test_pages_are_well_formed(folder):
    run(NARTHEX, "man", f"--output-dir={folder}/man")
    pages = sorted((folder / "man").iterdir())
    subcommands = re.findall(r"^  (\w+) ", run(NARTHEX, "--help"), re.M)
    assert {page.name for page in pages} == {
        "narthex.1", *(f"narthex-{name}.1" for name in subcommands)}, pages
    pages.append(folder / "one.1")
    pages[-1].write_text(run(NARTHEX, "man", "tool", "check", "rules"))
    pages.append(folder / "promtool.1")
    pages[-1].write_text(run(linked(folder, "promtool"), "--help-man"))
    assert "tsdb create\\-blocks\\-from rules" in pages[-1].read_text()
    checked = 0
    for page in pages:
        text = page.read_text()
        assert text.startswith(".TH ") and "\n\n" not in text, page
        if shutil.which("mandoc"):
            lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], text=True,
                                  capture_output=True, timeout=60).stdout
            # No date: builds of one source are equal.
            wrong = [line for line in lint.splitlines() if "missing date" not in line]
            assert not wrong, wrong
            checked += 1
        if shutil.which("groff"):
            # URLs do not fit into lines; all else has to be right.
            done = subprocess.run(["groff", "-man", "-ww", "-Wbreak", "-Tutf8", "-Z", page],
                                  text=True, capture_output=True, timeout=60)
            assert (done.returncode, done.stderr) == (0, ""), (page, done.stderr)
            checked += 1
    print(f"        {len(pages)} pages, {checked} checks by mandoc and groff")
    done = subprocess.run([NARTHEX, "man", "nothing"], text=True, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (1, "no command 'nothing' below 'narthex'\n")


def test_long_help_is_promtools(folder):
    ours = run(linked(folder, "promtool"), "--help-long")
    assert ours.startswith(
        "usage: promtool [<flags>] <command> [<args> ...]\n\n"
        "Tooling for the Prometheus monitoring system.\n\nFlags:\n"
        "  -h, --[no-]help            Show context-sensitive help (also try --help-long\n"), ours
    assert ("\ntsdb list [<flags>] [<db path>]\n    List tsdb blocks.\n\n"
            "    -r, --[no-]human-readable  Print human readable values.\n\n") in ours, ours
    assert "\ncheck web-config <web-config-files>...\n    Check if" in ours
    assert run(NARTHEX, "tool", "--help-long") == ours


def test_installation(folder):
    build = Path(NARTHEX).resolve().parent
    if not (build / "packaging/share/man/narthex.1").exists():
        skip("no whole build around the executable")
    run("cmake", "--install", build, "--component", "programs", "--prefix", folder / "usr")
    installed = {str(path.relative_to(folder / "usr")) for path in (folder / "usr").rglob("*")
                 if path.is_file()}
    assert installed >= {
        "bin/narthex", "share/man/man1/narthex.1", "share/man/man1/narthex-tool.1",
        "share/bash-completion/completions/narthex", "share/zsh/site-functions/_narthex",
        "share/fish/vendor_completions.d/narthex.fish"}, installed
    page = (folder / "usr/share/man/man1/narthex-server.1").read_text()
    assert "\\-\\-config.file" in page


run_tests(dict(globals()))
