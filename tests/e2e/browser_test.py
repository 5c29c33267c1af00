#!/usr/bin/env python3
"""Every page of the UI in Debian's Chromium, on a server that scrapes this machine."""
import os
import subprocess
import urllib.request

from harness import NARTHEX, ROOT, Process, free_port, need, run_tests, skip, wait_for

need("chromium", "node")
if not (ROOT / "ui/node_modules/playwright-core").is_dir():
    skip("the UI's packages are not installed")


def test_pages(folder):
    folder.mkdir(exist_ok=True)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    Process([NARTHEX, "up", f"--web.listen-address=127.0.0.1:{port}"], folder / "up.log",
            url + "/-/ready", cwd=folder)

    def scraped():
        with urllib.request.urlopen(url + "/api/v1/query?query=node_load1") as answer:
            return b"node_load1" in answer.read()

    wait_for("data", scraped)
    result = subprocess.run(["node", "e2e/pages.mjs"], cwd=ROOT / "ui", text=True,
                            capture_output=True, timeout=400,
                            env={**os.environ, "NARTHEX_URL": url})
    print(result.stdout)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]


run_tests(globals())
