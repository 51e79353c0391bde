#!/usr/bin/python3
"""200 clients log in at once and no password has been verified before. Row A8 of threats.md; limits.md, Authentication.

The auth service's memory is bounded by its slots, who waits over 2 s is told `454 4.7.0` and gets in when it tries again, and a session
that is authenticated already does not notice.
"""
import collections
import os
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "integration"))
from harness.client import Client  # noqa: E402
from harness.cluster import Cluster  # noqa: E402
from harness.recorder import Recorder  # noqa: E402

CLIENTS = 200
SLOTS = 1
ARGON2_KIB = 19 * 1024
# What streams, threads, their arenas and 200 exchanges may add besides.
MORE_KIB = 40 * 1024
PASSWORD = "correct horse"
NOT_NOW = "454 4.7.0"
# All are in within 15 s of two idle cores (measured by tests/bench/login); here the machine has other work too.
PATIENCE = 60


def resident_kib(pid, what="VmRSS"):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(what + ":"))


class AuthLoad(unittest.TestCase):
    """One edge, one auth service with one slot."""

    def test_two_hundred_cold_logins(self):
        upstream = Recorder()
        self.addCleanup(upstream.close)
        cluster = Cluster()
        self.addCleanup(cluster.stop)
        cluster.auth_options = ["--verifiers", SLOTS, "--scram-iterations", 4096]
        cluster.start()
        base = resident_kib(cluster.auth.pid)
        users = [f"user{n}@example.com" for n in range(CLIENTS)]
        cluster.apply(*[{"kind": "User", "name": f"users/{login.split('@')[0]}", "login": login, "password": PASSWORD}
                        for login in users])
        cluster.create_user("early", "early@example.com", PASSWORD)
        cluster.virtual_server("submission", upstream.address, local_domains=["example.com"],
                               authentication={"basic": {"allowClearTextCredentials": True}}, connectionLimits={"maxPerSource": 0})
        edge = cluster.edge("edge1")
        early = Client(edge.port("submission"))
        self.addCleanup(early.sock.close)
        early.hello()
        self.assertTrue(early.auth_plain("early@example.com", PASSWORD).startswith("235"))
        going, delivered = threading.Event(), collections.Counter()
        going.set()

        def deliver():
            while going.is_set():
                for command in ("MAIL FROM:<early@example.com>", "RCPT TO:<b@example.com>", "DATA"):
                    early.command(command)
                early.send(b"Subject: x\r\n\r\nx\r\n.\r\n")
                delivered[early.reply()[:9]] += 1

        clients = [Client(edge.port("submission")) for _ in range(CLIENTS)]
        for client in clients:
            self.addCleanup(client.sock.close)
            client.hello()
        mail = threading.Thread(target=deliver)
        mail.start()
        replies, began = collections.Counter(), time.monotonic()

        def log_in(number):
            while time.monotonic() < began + PATIENCE:
                reply = clients[number].auth_plain(users[number], PASSWORD)
                replies[reply[:9]] += 1
                if reply.startswith("235"):
                    return
        threads = [threading.Thread(target=log_in, args=(n,)) for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE + 20)
        took = time.monotonic() - began
        going.clear()
        mail.join(30)
        peak = resident_kib(cluster.auth.pid, "VmHWM")
        print(f"{CLIENTS} logins in {took:.1f} s, {dict(replies)}; auth {base >> 10} MiB at its start, {peak >> 10} at the most; "
              f"{delivered.total()} messages meanwhile")
        self.assertEqual(replies["235 2.7.0"], CLIENTS)
        self.assertLessEqual(set(replies), {"235 2.7.0", NOT_NOW}, replies)
        self.assertEqual(set(delivered), {"250 2.0.0"}, delivered)
        self.assertLess(peak, base + SLOTS * ARGON2_KIB + MORE_KIB)


if __name__ == "__main__":
    unittest.main()
