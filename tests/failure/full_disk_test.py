#!/usr/bin/python3
"""The disk under both databases is full (row F19): changes are refused, everything else goes on, and it recovers without a restart.

Both databases lie on a file system of 4 MiB that a ballast fills. Meanwhile mail flows, users log in, what is stored is read, the edges'
watch stands. Afterwards both databases are whole, and each change that was acknowledged is in them; those that were refused are not.
"""
import os
import sqlite3
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "integration"))
from harness.client import Client  # noqa: E402
from harness.cluster import Cluster  # noqa: E402
from harness.processes import wait_for  # noqa: E402
from harness.recorder import Recorder  # noqa: E402

PASSWORD = "correct horse"
MOST_CHANGES = 400  # a change takes a few KiB


class FullDisk(unittest.TestCase):

    def setUp(self):
        self.upstream = Recorder()
        self.addCleanup(self.upstream.close)
        self.cluster = Cluster()
        self.disk = self.cluster.folder / "disk"
        self.disk.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "gatepost-test", self.disk], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            self.cluster.stop()
            self.skipTest(f"NOT VERIFIED: no file system can be mounted: {done.stderr.strip()}")
        # In this order: the programs end, then it can be taken away, then its folder.
        self.addCleanup(self.cluster.stop)
        self.addCleanup(self.unmount)
        self.cluster.config_database, self.cluster.auth_database = self.disk / "config.db", self.disk / "auth.db"
        self.cluster.start()
        self.cluster.create_user("alice", "alice@example.com", PASSWORD)
        self.cluster.virtual_server("mail", self.upstream.address, listeners=("STARTTLS",), anonymous=True, local_domains=["example.com"])
        self.edge = self.cluster.edge("edge1")
        wait_for(lambda: self.edge.metrics()["gatepost_edge_auth_streams"] >= 1, 30, "the edge's stream to the auth service")

    def unmount(self):
        for process in (*self.cluster.edges.values(), *self.cluster.services):
            process.kill()
        subprocess.run(["umount", self.disk], check=True)

    def deliver(self):
        """A login and a message."""
        with Client(self.edge.port("mail", "STARTTLS")) as client:
            client.hello()
            client.starttls()
            client.hello()
            said = [client.auth_plain("alice@example.com", PASSWORD)]
            for command in ("MAIL FROM:<alice@example.com>", "RCPT TO:<bob@example.com>", "DATA", "Subject: x\r\n\r\ny\r\n."):
                said.append(client.command(command))
        self.assertEqual([s[:3] for s in said], ["235", "250", "250", "354", "250"], said)

    def fill(self):
        """What is left of the disk, but for a few changes."""
        with (self.disk / "ballast").open("wb") as ballast:
            free = os.statvfs(self.disk)
            ballast.write(b"x" * max(0, free.f_bavail * free.f_frsize - 64 * 1024))

    def until_refused(self, change):
        """Makes changes until one is refused; the numbers of those that were acknowledged, and what the refusal says."""
        acknowledged = []
        for number in range(MOST_CHANGES):
            done = change(number)
            if done.returncode != 0:
                return acknowledged, done.stdout + done.stderr
            acknowledged.append(number)
        raise AssertionError("the disk was never full")

    def test_changes_are_refused_and_nothing_else_is(self):
        cluster, ctl = self.cluster, self.cluster.ctl
        self.deliver()
        changes = {
            "config": lambda n: ctl("certificate", "create", f"c{n}", "--self-signed", "--dns", "mail.example.com", check=False),
            "auth": lambda n: ctl("user", "create", f"u{n}", "--login", f"u{n}@example.com", "--password-stdin", stdin=PASSWORD + "\n", check=False),
        }
        listed = {"config": lambda: ctl("certificate", "list"), "auth": lambda: ctl("user", "list")}
        letter = {"config": "c", "auth": "u"}
        acknowledged = {}
        for name, change in changes.items():
            self.fill()
            acknowledged[name], said = self.until_refused(change)
            self.assertRegex(said, "UNAVAILABLE|RESOURCE_EXHAUSTED|full|cannot be written")
            for number in acknowledged[name]:
                self.assertRegex(listed[name](), rf"(?m)^{letter[name]}{number} ")
        # Full it is: mail goes on, and both are read.
        self.deliver()
        self.assertEqual(self.edge.metrics()["gatepost_edge_config_connected"], 1)
        self.assertTrue(cluster.config.running() and cluster.auth.running())

        # Room again: without a restart.
        (self.disk / "ballast").unlink()
        for name, change in changes.items():
            next_one = len(acknowledged[name])
            wait_for(lambda: change(next_one).returncode == 0, 30, f"{name} writes again", every=0.5)  # noqa: B023
            acknowledged[name].append(next_one)
        self.deliver()
        cluster.wait_applied()

        for process in (cluster.config, cluster.auth):
            self.assertEqual(process.stop(), 0)
        for name in changes:
            with sqlite3.connect(self.disk / f"{name}.db") as database:
                self.assertEqual(database.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
            database.close()
        cluster.start_config()
        cluster.start_auth()
        for name in changes:
            for number in acknowledged[name]:
                self.assertRegex(listed[name](), rf"(?m)^{letter[name]}{number} ")
        print({name: f"{len(numbers) - 1} changes until the disk was full" for name, numbers in acknowledged.items()})


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("SKIPPED: mounting a file system needs root")
        sys.exit(0)
    unittest.main()
