#!/usr/bin/python3
"""The systemd units: systemd finds no fault in them, their exposure is low, the programs have the flags that they are given, and tell
systemd (Type=notify) when they serve and when they end."""
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "integration"))
from harness.cluster import Cluster, Edge  # noqa: E402
from harness.processes import wait_for  # noqa: E402

UNITS = pathlib.Path("deploy/systemd").resolve()
SERVICES = ("edge", "config", "auth")
# systemd-analyze's scale times ten; 100 is the worst. What is left is the network, which they are for.
EXPOSURE = {"edge": 20, "config": 15, "auth": 15}


class Units(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        """A root of its own: this machine's units, our programs where they are installed, our units."""
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="gatepost-systemd-", dir="/tmp"))
        cls.addClassCleanup(shutil.rmtree, cls.root, True)
        for folder in ("usr/bin", "usr/lib/systemd", "etc/systemd/system"):
            (cls.root / folder).mkdir(parents=True)
        shutil.copytree("/lib/systemd/system", cls.root / "usr/lib/systemd/system", symlinks=True, ignore_dangling_symlinks=True)
        (cls.root / "lib").symlink_to("usr/lib")
        for name in SERVICES:
            shutil.copy(os.environ[f"GATEPOST_BIN_{name.upper()}"], cls.root / "usr/bin" / f"gatepost-{name}")
            shutil.copy(UNITS / f"gatepost-{name}.service", cls.root / "etc/systemd/system")

    def analyze(self, *arguments):
        return subprocess.run(["systemd-analyze", f"--root={self.root}", *arguments], capture_output=True, text=True, timeout=60, check=False,
                              env={**os.environ, "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": ""})

    def test_systemd_finds_no_fault(self):
        done = self.analyze("verify", *(f"gatepost-{name}.service" for name in SERVICES))
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))
        # It would: a directive that there is not, a program that is missing.
        broken = self.root / "etc/systemd/system/broken.service"
        broken.write_text((UNITS / "gatepost-edge.service").read_text().replace("UMask=", "Umask=").replace("/usr/bin/gatepost-edge", "/usr/bin/missing"))
        self.addCleanup(broken.unlink)
        said = self.analyze("verify", "broken.service").stderr
        self.assertIn("Umask", said)
        self.assertIn("/usr/bin/missing", said)

    def test_their_exposure_is_low(self):
        for name, most in EXPOSURE.items():
            done = self.analyze("security", "--offline=true", "--no-pager", f"--threshold={most}", f"gatepost-{name}.service")
            self.assertEqual(done.returncode, 0, done.stdout)

    def test_the_programs_have_the_flags_that_they_are_given(self):
        for name in SERVICES:
            unit = (UNITS / f"gatepost-{name}.service").read_text()
            usage = subprocess.run([os.environ[f"GATEPOST_BIN_{name.upper()}"], "--help"], capture_output=True, text=True, timeout=30, check=True).stdout
            flags = re.findall(r"--([a-z-]+)=", re.search(r"(?m)^ExecStart=(.*)$", unit).group(1))
            self.assertGreater(len(flags), 4)
            for flag in flags:
                self.assertRegex(usage, rf"(?m)^ +--{flag} ")
            # Each credential that is named is loaded, and the other way round.
            self.assertEqual(set(re.findall(r"=%d/(\S+)", unit)), set(re.findall(r"(?m)^LoadCredential=([^:]+):", unit)))

    def test_an_edge_is_given_the_time_that_a_drain_may_take(self):
        self.assertIn("\nTimeoutStopSec=660s\n", (UNITS / "gatepost-edge.service").read_text())

    def test_all_are_of_type_notify(self):
        for name in SERVICES:
            self.assertIn("\nType=notify\n", (UNITS / f"gatepost-{name}.service").read_text())


class Supervisor:
    """systemd's end of $NOTIFY_SOCKET: what each process said, by its pid."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.bind(str(path))
        self.said = {}

    def heard(self, process):
        while True:
            try:
                text, attached, _, _ = self.socket.recvmsg(200, 100)
            except BlockingIOError:
                return self.said.get(process.pid, [])
            self.said.setdefault(struct.unpack("iii", attached[0][2])[0], []).append(text.decode())

    def wait(self, process, *states):
        wait_for(lambda: self.heard(process) == list(states), 30, f"{process.name} says {states}")


class Notify(unittest.TestCase):

    def test_each_program_says_when_it_serves_and_when_it_ends(self):
        cluster = Cluster()
        self.addCleanup(cluster.stop)
        supervisor = Supervisor(cluster.folder / "notify")
        self.addCleanup(supervisor.socket.close)
        os.environ["NOTIFY_SOCKET"] = str(cluster.folder / "notify")
        self.addCleanup(os.environ.pop, "NOTIFY_SOCKET")
        cluster.start()
        supervisor.wait(cluster.config, "READY=1")
        supervisor.wait(cluster.auth, "READY=1")
        # An edge is not ready without a configuration, and is with one that has no virtual server yet.
        cluster.config.kill()
        edge = cluster.edges["edge1"] = Edge(cluster, "edge1", 0, 1, [])
        edge.event("start")
        self.assertEqual(supervisor.heard(edge), [])
        cluster.start_config()
        supervisor.wait(edge, "READY=1")
        for process in (edge, cluster.auth, cluster.config):
            process.signal(signal.SIGTERM)
            supervisor.wait(process, "READY=1", "STOPPING=1")
        for process in (edge, cluster.auth, cluster.config):
            self.assertEqual(process.stop(), 0)


if __name__ == "__main__":
    if shutil.which("systemd-analyze") is None:
        sys.exit("systemd-analyze is not installed: deploy/local/install test")
    unittest.main(verbosity=2)
