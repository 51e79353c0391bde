#!/usr/bin/python3
"""The wall clock jumps under the programs, by an hour and by ten years, forward and back (row F21).

libfaketime moves each program's wall clock while it runs; the monotonic clock, on which every time-out is, goes on as it does on a machine
that is set by NTP or wakes up. No session is dropped, a message half sent is taken, logins and changes of configuration go on.
"""
import contextlib
import glob
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "integration"))
from harness.client import Client  # noqa: E402
from harness.cluster import Cluster  # noqa: E402
from harness.recorder import Recorder  # noqa: E402

HOUR, DECADE = 3600, 10 * 365 * 86400
PASSWORD = "correct horse"
SESSIONS = 20


@contextlib.contextmanager
def environment(**variables):
    """These variables for programs that are started within; None: without it."""
    before = dict(os.environ)
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class Clock(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.upstream = Recorder()
        cls.addClassCleanup(cls.upstream.close)
        cls.cluster = Cluster()
        cls.addClassCleanup(cls.cluster.stop)
        cls.files = {name: cls.cluster.folder / f"time-of-{name}" for name in ("config", "auth", "edge")}
        # All begin before anything is made, so that each program is given its own clock as it starts.
        for name in cls.files:
            cls.jump(name, 0)
        starts = {name: getattr(cls.cluster, f"start_{name}") for name in ("config", "auth")}
        for name, start in starts.items():
            setattr(cls.cluster, f"start_{name}", lambda name=name, start=start: cls.in_its_own_time(name, start))
        # Identities are of yesterday: one that is made now would not be valid yet an hour ago.
        with environment(LD_PRELOAD=LIBRARY, FAKETIME="-1d"):
            cls.cluster.start()
        cls.cluster.create_user("alice", "alice@example.com", PASSWORD)
        cls.cluster.virtual_server("mail", cls.upstream.address, listeners=("STARTTLS",), anonymous=True, local_domains=["example.com"],
                                   connectionLimits={"maxPerSource": 0})
        cls.edge = cls.in_its_own_time("edge", lambda: cls.cluster.edge("edge1"))
        cls.cluster.wait_applied()

    @classmethod
    def in_its_own_time(cls, name, start):
        """Starts a program whose wall clock is what jump() says."""
        with environment(LD_PRELOAD=LIBRARY, FAKETIME=None, FAKETIME_TIMESTAMP_FILE=str(cls.files[name]), FAKETIME_NO_CACHE="1", FAKETIME_DONT_FAKE_MONOTONIC="1"):
            return start()

    @classmethod
    def jump(cls, name, seconds):
        fresh = cls.files[name].with_suffix(".new")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.rename(cls.files[name])

    def login(self):
        with Client(self.edge.port("mail", "STARTTLS")) as client:
            client.hello()
            client.starttls()
            client.hello()
            return client.auth_plain("alice@example.com", PASSWORD)[:3]

    def change(self, text):
        """A change of configuration reaches the edge."""
        self.cluster.ctl("virtual-server", "update", "mail", "--set", f"bannerText=ESMTP {text}")
        self.cluster.wait_applied()
        with Client(self.edge.port("mail", "STARTTLS")) as client:
            self.assertIn(text, client.banner)

    def under_way(self):
        """Sessions that wait, and one in the middle of a message."""
        clients = [Client(self.edge.port("mail", "STARTTLS")) for _ in range(SESSIONS)]
        for client in clients:
            client.hello()
            self.addCleanup(client.sock.close)
        for command in ("MAIL FROM:<a@example.net>", "RCPT TO:<bob@example.com>", "DATA"):
            self.assertIn(clients[0].command(command)[0], "23")
        clients[0].send(b"Subject: half ")
        return clients

    def go_on(self, clients):
        self.assertTrue(clients[0].command("sent\r\n\r\nhello\r\n.").startswith("250 2.0.0"))
        for client in clients:
            self.assertTrue(client.command("NOOP").startswith("250"))
            client.sock.close()

    def test_the_edges_clock(self):
        self.assertEqual(self.login(), "235")
        self.year = int(self.edge.events[-1]["time"][:4])
        for seconds in (HOUR, -HOUR, DECADE, -DECADE, 0):
            with self.subTest(seconds=seconds):
                clients = self.under_way()
                self.jump("edge", seconds)
                self.go_on(clients)
                year = self.year + seconds // (365 * 86400)
                self.edge.event(lambda e: e.get("event") == "session_end" and abs(int(e["time"][:4]) - year) <= 1)  # noqa: B023
                self.assertEqual(self.login(), "235")
                self.change(f"after{abs(seconds)}")
        metrics = self.edge.metrics()
        self.assertEqual(metrics["gatepost_edge_config_stale"], 0)
        self.assertEqual(metrics["gatepost_edge_config_connected"], 1)

    def test_the_services_clocks(self):
        for seconds in (HOUR, -HOUR, 0):
            with self.subTest(seconds=seconds):
                clients = self.under_way()
                self.jump("auth", seconds)
                self.jump("config", seconds)
                self.go_on(clients)
                self.assertEqual(self.login(), "235")
                self.change(f"at{abs(seconds)}")


if __name__ == "__main__":
    found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    if not found:
        print("SKIPPED: faketime is not installed (deploy/local/install test)")
        sys.exit(0)
    LIBRARY = found[0]
    unittest.main()
