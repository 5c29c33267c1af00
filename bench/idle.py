#!/usr/bin/env python3
"""Time to ready and resident memory of servers on an empty folder.

  bench/idle.py "build/release/narthex server" "prometheus"

Servers take turns, so that a busy machine disturbs all of them alike.
"""
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROUNDS = 3


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def measure(command):
    with tempfile.TemporaryDirectory() as folder:
        config = os.path.join(folder, "config.yml")
        with open(config, "w") as f:
            f.write("global: {scrape_interval: 1h}\n")
        port = free_port()
        begin = time.monotonic()
        server = subprocess.Popen(
            command.split() + [f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
                               f"--web.listen-address=127.0.0.1:{port}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while True:
                if server.poll() is not None or time.monotonic() - begin > 30:
                    raise SystemExit(f"{command}: not ready")
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5).close()
                    break
                except OSError:
                    time.sleep(0.002)
            ready = time.monotonic() - begin
            time.sleep(1)
            with open(f"/proc/{server.pid}/status") as f:
                rss = next(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))
            return ready, rss / 1024
        finally:
            server.terminate()
            server.wait()


if len(sys.argv) < 2:
    raise SystemExit(__doc__)
for _ in range(ROUNDS):
    for command in sys.argv[1:]:
        ready, rss = measure(command)
        print(f"{command}: ready in {ready * 1000:.0f} ms, RSS {rss:.1f} MiB", flush=True)
