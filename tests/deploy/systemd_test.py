#!/usr/bin/python3
"""The systemd units: systemd finds no fault in them, their exposure is low, and the programs have the flags that they are given."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

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


if __name__ == "__main__":
    if shutil.which("systemd-analyze") is None:
        sys.exit("systemd-analyze is not installed: deploy/local/install test")
    unittest.main(verbosity=2)
