"""A reference server and ours, started on copies of one data directory."""
import http.client
import os
import pathlib
import shutil
import sys
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import dataset
import harness

FEATURES = "promql-experimental-functions,promql-binop-fill-modifiers"
# Sets of feature flags under which the same queries mean different things.
PROFILES = {
    "default": FEATURES,
    "delayed": FEATURES + ",promql-delayed-name-removal",
    "typed": FEATURES + ",type-and-unit-labels,promql-unquoted-utf8-names",
    "plain": "",
}


def find_peer():
    """The reference: NARTHEX_PEER_PROMETHEUS, or prometheus in PATH; None when there is none."""
    return os.environ.get("NARTHEX_PEER_PROMETHEUS") or shutil.which("prometheus")


def start_pair(folder, seed, features, peer, floats_only=False):
    """(reference, ours): the reference takes the data, then both open a copy of its directory."""
    folder = pathlib.Path(folder)
    flags = ["--storage.tsdb.retention.time=100y"]
    if features:
        flags.append(f"--enable-feature={features}")
    intake = ["--web.enable-remote-write-receiver"]
    if floats_only is False:
        intake.append("--enable-feature=native-histograms")
    first = harness.Server(folder / "intake", program=peer, flags=flags[:1] + intake,
                           data=folder / "data")
    dataset.write(first.url, dataset.make(seed), floats_only)
    first.stop()
    shutil.copytree(folder / "data", folder / "copy")
    flags.append("--query.timeout=20s")
    return (harness.Server(folder / "reference", program=peer, flags=flags, data=folder / "data"),
            harness.Server(folder / "ours", flags=flags, data=folder / "copy"))


class Connection:
    """Keep-alive requests to one server; send() and receive() apart, so that two can overlap."""

    def __init__(self, url):
        self.address = urllib.parse.urlparse(url).netloc
        self.http = http.client.HTTPConnection(self.address, timeout=60)

    def send(self, path, params):
        body = urllib.parse.urlencode(params)
        for attempt in (0, 1):
            try:
                self.http.request("POST", path, body,
                                  {"Content-Type": "application/x-www-form-urlencoded"})
                return
            except OSError:  # A server may close an idle connection; a dead one refuses the next.
                self.http.close()
                if attempt:
                    raise

    def receive(self):
        answer = self.http.getresponse()
        return answer.status, answer.read()

    def ask(self, path, params):
        self.send(path, params)
        return self.receive()
