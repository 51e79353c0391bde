#!/usr/bin/python3
"""An edge with a tenth of a processor (row F27): nothing fails, it is only slow.

By a cgroup of its own, as the kubelet holds a pod to its limit. At its capacity and at four times as many clients: no error, the
liveness probe is answered within the manifest's time-out, so that nobody restarts it, a time-out ends its session when it is due, and
it does as much work as before.
"""
import os
import pathlib
import sys
import threading
import time
import unittest

import yaml

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests" / "integration"), str(TOP / "deploy" / "container")]
from harness.client import Client, Closed  # noqa: E402
from harness.cluster import Cluster  # noqa: E402
from harness.recorder import Recorder  # noqa: E402
from play import probe  # noqa: E402

SECONDS = 4  # of each load
IDLE = 10  # the least that a virtual server may be told


class ProcessorGroup:
    """A cgroup (of either version) that gives its processes a tenth of a processor. Raises OSError where none can be made."""

    def __init__(self):
        old = pathlib.Path("/sys/fs/cgroup/cpu")
        self.path = (old if old.is_dir() else pathlib.Path("/sys/fs/cgroup")) / f"gatepost-test-{os.getpid()}"
        self.path.mkdir()
        if old.is_dir():
            (self.path / "cpu.cfs_period_us").write_text("100000")
            (self.path / "cpu.cfs_quota_us").write_text("10000")
        else:
            (self.path / "cpu.max").write_text("10000 100000")

    def take(self, pid):
        (self.path / "cgroup.procs").write_text(str(pid))

    def remove(self):
        """When its processes have ended."""
        self.path.rmdir()


class Load:
    """Clients who send one message after another, each in a session of its own, for a while."""

    def __init__(self, port, clients):
        self.port, self.sent, self.failed, self.lock = port, 0, [], threading.Lock()
        self.end = time.monotonic() + SECONDS
        threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

    def _run(self):
        while time.monotonic() < self.end:
            try:
                with Client(self.port, seconds=50) as client:
                    said = client.banner
                    assert said.startswith("220"), said
                    for command in ("EHLO client.example", "MAIL FROM:<a@example.net>", "RCPT TO:<bob@example.com>", "DATA", "Subject: x\r\n\r\ny\r\n."):
                        said = client.command(command)
                        assert said[0] in "23", said
                with self.lock:
                    self.sent += 1
            except (AssertionError, OSError, Closed) as error:
                with self.lock:
                    self.failed.append(repr(error))


class SlowProcessor(unittest.TestCase):

    def test_it_is_slow_and_nothing_else(self):
        upstream = Recorder()
        self.addCleanup(upstream.close)
        self.addCleanup(GROUP.remove)
        cluster = Cluster()
        self.addCleanup(cluster.stop)
        cluster.start()
        cluster.virtual_server("mail", upstream.address, anonymous=True, local_domains=["example.com"], connectionLimits={"maxPerSource": 0},
                               sessionLimits={"idleTimeout": f"{IDLE}s"})
        edge = cluster.edge("edge1")
        cluster.wait_applied()
        deployment = next(d for d in yaml.safe_load_all((TOP / "deploy/kubernetes/base/edge.yaml").read_text()) if d["kind"] == "Deployment")
        liveness = deployment["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]
        ending, unanswered, ended = threading.Event(), [], []

        def kubelet():
            while not ending.wait(0.5):
                if not probe("127.0.0.1", {"port": edge.health_port, "service": liveness["grpc"]["service"]}, liveness["timeoutSeconds"]):
                    unanswered.append(time.monotonic())

        def dawdler():
            with Client(edge.port("mail"), seconds=60) as client:
                client.hello()
                since = time.monotonic()
                ended.append((client.reply(), time.monotonic() - since))

        GROUP.take(edge.pid)
        others = [threading.Thread(target=target, daemon=True) for target in (kubelet, dawdler)]
        for thread in others:
            thread.start()
        peak, over = Load(edge.port("mail"), 4), Load(edge.port("mail"), 16)
        others[1].join(60)
        ending.set()
        others[0].join(60)
        print(f"4 clients: {peak.sent / SECONDS:.0f} messages/s; 16: {over.sent / SECONDS:.0f}; the idle session ended after {ended[0][1]:.1f} s")
        self.assertEqual((peak.failed, over.failed), ([], []))
        self.assertEqual(unanswered, [])
        self.assertTrue(ended[0][0].startswith("421"), ended)
        self.assertTrue(IDLE - 0.5 < ended[0][1] < IDLE + 5, ended)
        self.assertGreater(peak.sent, 0)
        # The target is 80 % of the peak; other tests may take processors from both.
        self.assertGreater(over.sent, 0.6 * peak.sent)
        self.assertTrue(edge.running())


if __name__ == "__main__":
    try:
        GROUP = ProcessorGroup()
    except OSError as why:
        print(f"SKIPPED: no cgroup can be made here: {why}")
        sys.exit(0)
    unittest.main()
