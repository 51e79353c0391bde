#!/usr/bin/python3
"""A botnet guesses passwords over three edges, and the owner logs in throughout. Row A7 of threats.md; limits.md, Authentication.

The figures: 50 different wrong passwords of one login from anywhere, 100 failures from one network, in 5 minutes. Beyond them every edge
answers 454 without asking the verifier: the auth service's counter of argon2id runs stands still.
"""
import concurrent.futures
import json
import threading
import time
import unittest
import urllib.request

from harness.client import Client
from harness.cluster import Cluster
from harness.recorder import Recorder

OWNER, PASSWORD = "owner@example.com", "correct horse"
SOURCES = 1000
AT_ONCE = 32
THROTTLED, REFUSED = "454 4.7.0", "535 5.7.8"
OF_A_LOGIN, OF_A_NETWORK = 50, 100
HOME = "127.0.0.1"


def source(number):
    """One of the botnet's machines."""
    return f"127.{60 + number // 250}.7.{1 + number % 250}"


class Botnet(unittest.TestCase):
    """Three edges, one auth service; each test uses logins and networks of its own."""

    @classmethod
    def setUpClass(cls):
        cls.upstream = Recorder()
        cls.cluster = Cluster()
        cls.cluster.start()
        for name in ("owner", "neighbour"):
            cls.cluster.create_user(name, f"{name}@example.com", PASSWORD)
        # What delays a failure is another defence; here it would only cost time.
        cls.cluster.virtual_server("submission", cls.upstream.address, local_domains=["example.com"],
                                   authentication={"basic": {"allowClearTextCredentials": True}},
                                   connectionLimits={"maxPerSource": 0},
                                   sessionLimits={"authFailureDelay": "0s", "maxAuthFailureDelay": "0s"})
        cls.edges = [cls.cluster.edge(f"edge{n + 1}", offset=5000 * n, threads=1) for n in range(3)]
        cls.ports = [edge.port("submission") for edge in cls.edges]

    @classmethod
    def tearDownClass(cls):
        cls.cluster.stop()
        cls.upstream.close()

    def try_once(self, edge, address, login, password):
        with Client(self.ports[edge], source=address) as client:
            client.hello()
            return client.auth_plain(login, password)

    def runs_of_argon2(self):
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.cluster.auth_metrics}/metrics", timeout=10).read().decode()
        return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith("gatepost_auth_argon2_total"))

    def throttles(self):
        return json.loads(self.cluster.ctl("throttle", "list", "--output", "json"))

    def attack(self, attempts):
        """attempts: [(edge, source, login, password)]. [(reply, when it came)], in that order."""
        def one(attempt):
            return self.try_once(*attempt), time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as bots:
            return list(bots.map(one, attempts))

    def judge(self, outcomes, figure):
        """Guesses were answered up to the figure; then `not now` alone, in force within a second."""
        replies = [reply[:9] for reply, _ in outcomes]
        self.assertLessEqual(set(replies), {THROTTLED, REFUSED}, set(replies))
        # Two at a time are verified: the last of them may be answered beside each other.
        self.assertLessEqual(replies.count(REFUSED), figure + 2)
        self.assertGreaterEqual(replies.count(REFUSED), figure)
        answered = sorted(when for reply, when in outcomes if reply.startswith(REFUSED))
        self.assertLess(answered[-1] - answered[figure - 1], 1, "in force on every edge within a second")

    def test_one_user_guessed_from_a_thousand_sources(self):
        self.assertTrue(self.until_answered(0, HOME, OWNER).startswith("235 "))
        going, owner = threading.Event(), []
        going.set()

        def log_in():
            edge = 0
            while going.is_set():
                owner.append(self.try_once(edge := (edge + 1) % 3, HOME, OWNER, PASSWORD))
        at_home = threading.Thread(target=log_in)
        at_home.start()
        began = time.monotonic()
        outcomes = self.attack([(n % 3, source(n), OWNER, f"guess {n}") for n in range(SOURCES // 2)])
        self.judge(outcomes, OF_A_LOGIN)
        # From here on nobody asks the verifier, on any edge.
        before = self.runs_of_argon2()
        outcomes = self.attack([(n % 3, source(n), OWNER, f"guess {n}") for n in range(SOURCES // 2, SOURCES)])
        self.assertEqual({reply[:9] for reply, _ in outcomes}, {THROTTLED})
        # Nor is the right password an oracle, from where its owner never was.
        for edge in range(3):
            self.assertTrue(self.try_once(edge, "127.9.9.9", OWNER, PASSWORD).startswith(THROTTLED))
        self.assertEqual(self.runs_of_argon2(), before)
        going.clear()
        at_home.join(30)
        self.assertEqual({reply[:4] for reply in owner}, {"235 "}, "the owner was kept out")
        print(f"{SOURCES} sources in {time.monotonic() - began:.1f} s; the owner logged in {len(owner)} times")
        # Another user's counter is another one.
        self.assertTrue(self.until_answered(1, "127.9.9.9", "neighbour@example.com").startswith("235 "))

        mine = [t for t in self.throttles() if t.get("login") == OWNER]
        self.assertEqual([(t["kind"], t.get("network", ""), t["failures"]) for t in mine], [("LOGIN", "", OF_A_LOGIN)])
        self.cluster.ctl("throttle", "clear", "--login", OWNER)
        self.assertEqual([t for t in self.throttles() if t.get("login") == OWNER], [])
        for edge in range(3):
            self.assertTrue(self.until_answered(edge, "127.9.9.9", OWNER).startswith("235 "), "cleared for every edge")

    def until_answered(self, edge, address, login):
        """As a client that tries again after a 454: verifiers may be busy."""
        deadline = time.monotonic() + 15
        while (reply := self.try_once(edge, address, login, PASSWORD)).startswith("454") and time.monotonic() < deadline:
            time.sleep(0.2)
        return reply

    def test_one_password_sprayed_over_many_users(self):
        spray = [(n % 3, "127.40.0.1", f"user{n}@example.com", "Winter2026") for n in range(2 * OF_A_NETWORK)]
        outcomes = self.attack(spray)
        self.judge(outcomes, OF_A_NETWORK)
        before = self.runs_of_argon2()
        for edge in range(3):
            self.assertTrue(self.try_once(edge, "127.40.0.1", "neighbour@example.com", PASSWORD).startswith(THROTTLED))
        self.assertEqual(self.runs_of_argon2(), before)
        # Who sits elsewhere does not notice.
        self.assertTrue(self.until_answered(2, "127.40.0.2", "neighbour@example.com").startswith("235 "))
        self.assertIn(("NETWORK", "127.40.0.1"), [(t["kind"], t.get("network")) for t in self.throttles()])
        self.cluster.ctl("throttle", "clear", "--network", "127.40.0.1")
        self.assertTrue(self.until_answered(0, "127.40.0.1", "neighbour@example.com").startswith("235 "))

    def test_three_failures_end_the_session(self):
        with Client(self.ports[0], source="127.41.0.1") as client:
            client.hello()
            for n in range(3):
                self.assertTrue(client.auth_plain("nobody@example.com", f"guess {n}").startswith(REFUSED))
            self.assertTrue(client.reply().startswith("421 4.7.0"))
            self.assertIs(client.at_end(), True)


if __name__ == "__main__":
    unittest.main()
