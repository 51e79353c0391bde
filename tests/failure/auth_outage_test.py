#!/usr/bin/python3
"""The auth service is dead, stopped, flapping, or says what it must not: nobody gets in without its word, and nobody else notices.

Rows F12 of failures.md and A13 of threats.md. Argument 1: false_auth, an auth service whose answers are wrong.
"""
import concurrent.futures
import os
import signal
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "integration"))
from harness.client import Client, Closed  # noqa: E402
from harness.cluster import Cluster  # noqa: E402
from harness.processes import wait_for  # noqa: E402
from harness.recorder import Recorder  # noqa: E402

FALSE_AUTH = os.path.realpath(sys.argv.pop(1)) if len(sys.argv) > 1 else None
ALICE, PASSWORD = "alice@example.com", "correct horse"
NOT_NOW = "454 4.7.0"
DEADLINE = 5.5  # 5 s, and what a loaded machine adds


class Mail(threading.Thread):
    """A session that is open before anything happens, and sends message after message."""

    def __init__(self, port, login=None):
        super().__init__(daemon=True)
        self.client = Client(port)
        self.client.hello()
        if login:
            answer = self.client.auth_plain(login, PASSWORD)
            assert answer.startswith("235"), answer
        self.sender = login or "a@in.example"
        self.going = threading.Event()
        self.going.set()
        self.replies, self.longest = {}, 0.0
        self.start()

    def run(self):
        while self.going.is_set():
            began = time.monotonic()
            try:
                for command in (f"MAIL FROM:<{self.sender}>", "RCPT TO:<b@in.example>", "DATA"):
                    self.client.command(command)
                self.client.send(b"Subject: x\r\n\r\nx\r\n.\r\n")
                reply = self.client.reply()
            except (OSError, Closed) as error:
                self.replies[repr(error)] = 1
                return
            self.longest = max(self.longest, time.monotonic() - began)
            self.replies[reply[:9]] = self.replies.get(reply[:9], 0) + 1

    def end(self):
        self.going.clear()
        self.join(30)
        return self.replies


class AuthOutage(unittest.TestCase):
    """One edge for all; each test ends with the real service at work."""

    @classmethod
    def setUpClass(cls):
        cls.upstream = Recorder()
        cls.cluster = Cluster()
        cls.cluster.start()
        cls.cluster.create_user("alice", ALICE, PASSWORD)
        common = {"local_domains": ["in.example"], "connectionLimits": {"maxPerSource": 0}, 
                  "sessionLimits": {"authFailureDelay": "0s", "maxAuthFailureDelay": "0s"}}
        cls.cluster.virtual_server("submission", cls.upstream.address, **common,
                                   authentication={"basic": {"allowClearTextCredentials": True}})
        cls.cluster.virtual_server("inbound", cls.upstream.address, **common, anonymous=True)
        cls.edge = cls.cluster.edge("edge1", threads=1)

    @classmethod
    def tearDownClass(cls):
        cls.cluster.stop()
        cls.upstream.close()

    def setUp(self):
        self.wait_served()
        wait_for(lambda: self.edge.metrics()["gatepost_edge_auth_streams"] == 2, 30, "both streams", every=0.1)
        self.mail = [Mail(self.edge.port("submission"), ALICE), Mail(self.edge.port("inbound"))]

    def tearDown(self):
        """Who was in, and who needs no login, has lost nothing."""
        for mail in self.mail:
            replies = mail.end()
            mail.client.sock.close()
            self.assertEqual(set(replies), {"250 2.0.0"}, replies)
            self.assertGreater(replies["250 2.0.0"], 10)
            self.assertLess(mail.longest, 3)

    def log_in(self, password=PASSWORD, login=ALICE):
        """(the reply's first words, seconds it took)."""
        with Client(self.edge.port("submission")) as client:
            client.hello()
            began = time.monotonic()
            reply = client.auth_plain(login, password)
            return reply[:9], time.monotonic() - began

    def wait_served(self):
        wait_for(lambda: self.log_in()[0].startswith("235"), 30, "the auth service's answers", every=0.1)

    def at_once(self, attempts, **login):
        with concurrent.futures.ThreadPoolExecutor(attempts) as pool:
            return [f.result() for f in [pool.submit(self.log_in, **login) for _ in range(attempts)]]

    def circuits(self):
        return self.edge.metrics()["gatepost_edge_auth_circuits_open"]

    def strays(self):
        return self.edge.metrics()["gatepost_edge_auth_stray_answers_total"]

    def test_dead(self):
        self.cluster.auth.kill()
        for reply, seconds in self.at_once(10):
            self.assertEqual(reply, NOT_NOW)
            self.assertLess(seconds, 2)
        self.cluster.start_auth()

    def test_stopped_with_five_hundred_pending(self):
        """As a host that is gone: connections stand, nothing answers."""
        clients = [Client(self.edge.port("submission")) for _ in range(500)]
        for client in clients:
            client.hello()
        before = len(os.listdir(f"/proc/{self.edge.pid}/task"))
        self.cluster.auth.signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            for client in clients:
                client.send(b"AUTH PLAIN AGFsaWNlQGV4YW1wbGUuY29tAGNvcnJlY3QgaG9yc2U=\r\n")
            self.assertEqual(len(os.listdir(f"/proc/{self.edge.pid}/task")), before, "no thread waits for an answer")
            self.assertEqual({client.reply()[:9] for client in clients}, {NOT_NOW})
            self.assertLess(time.monotonic() - began, DEADLINE)
            # Now nobody is asked but one at a time: the others hear it at once.
            wait_for(lambda: self.circuits() >= 2, 5, "both streams' circuits open")
            self.edge.event("auth_circuit_open")
            answers = self.at_once(20)
            self.assertEqual({reply for reply, _ in answers}, {NOT_NOW})
            took = sorted(seconds for _, seconds in answers)
            self.assertLess(took[15], 1, took)
            self.assertLess(took[-1], DEADLINE)
            for client in clients:
                client.sock.close()
        finally:
            self.cluster.auth.signal(signal.SIGCONT)
        began = time.monotonic()
        self.wait_served()
        print(f"served again {time.monotonic() - began:.1f} s after the service woke up")
        # (The other stream's circuit closes when a client tries it.)
        wait_for(lambda: self.log_in()[0].startswith("235") and self.circuits() == 0, 20, "closed circuits")
        self.edge.event("auth_circuit_closed")

    def test_flapping(self):
        """Killed and started again and again: a right password is 235 or `not now`, a wrong one never 235."""
        going, seen = threading.Event(), {"right": {}, "wrong": {}}
        going.set()

        def knock(kind, password):
            while going.is_set():
                reply, seconds = self.log_in(password=password)
                seen[kind][reply] = max(seconds, seen[kind].get(reply, 0))
        knockers = [threading.Thread(target=knock, args=args) for args in
                    [("right", PASSWORD)] * 3 + [("wrong", "x" * 30)]]
        for knocker in knockers:
            knocker.start()
        for number in range(4):
            if number % 2:
                self.cluster.auth.kill()
            else:
                self.cluster.auth.signal(signal.SIGSTOP)
                seen["right"].pop(NOT_NOW, None)
                wait_for(lambda: NOT_NOW in seen["right"], 20, "a client that was not served")
                self.cluster.auth.signal(signal.SIGKILL)
                self.cluster.auth.process.wait(20)
            self.cluster.start_auth()
        going.clear()
        for knocker in knockers:
            knocker.join(30)
        self.assertLessEqual(set(seen["right"]), {"235 2.7.0", NOT_NOW}, seen)
        self.assertLessEqual(set(seen["wrong"]), {"535 5.7.8", NOT_NOW}, seen)
        self.assertIn(NOT_NOW, seen["right"])
        self.assertLess(max(seen["right"].values()), DEADLINE)

    def test_wrong_answers(self):
        if FALSE_AUTH is None:
            self.skipTest("NOT VERIFIED: argument 1, false_auth, is missing")
        self.cluster.auth.kill()
        pki = self.cluster.folder / "pki"
        argv = [FALSE_AUTH, f"127.0.0.1:{self.cluster.auth_port}", pki / "auth-default.crt", pki / "auth-default.key", pki / "ca.crt"]
        impostor = subprocess.Popen([str(a) for a in argv], stdin=subprocess.PIPE)
        try:
            wait_for(lambda: self.log_in(login="right")[0].startswith("235"), 30, "the impostor's own answers", every=0.1)
            # At once: each that says nothing to the point takes its 5 s, and two streams hold fewer of them than open a circuit.
            logins = ["other", "empty", "acting", "unknown", "nothing", "late", "silent"]
            with concurrent.futures.ThreadPoolExecutor(len(logins)) as pool:
                answers = dict(zip(logins, pool.map(lambda login: self.log_in(login=login), logins)))
            for login, (reply, seconds) in answers.items():
                self.assertEqual(reply, NOT_NOW, login)
                self.assertLess(seconds, DEADLINE, login)
            # Exchanges that had a success before they began have none.
            self.assertEqual(self.log_in(login="early")[0], NOT_NOW)
            for _ in range(4):
                self.assertEqual(self.log_in(login="unknown")[0], NOT_NOW)
            with Client(self.edge.port("submission")) as client:
                client.hello()
                before = self.strays()
                reply = client.auth_plain("unasked", "x")
                # The challenge, if the edge heard of it before it heard that the service is out of step. It must have heard the success
                # that nobody asked for before the response: else that is what it answers.
                if reply.startswith("334"):
                    wait_for(lambda: self.strays() > before, 20, "the success that nobody asked for")
                    reply = client.command("eA==")
                self.assertEqual(reply[:9], NOT_NOW)
            self.assertEqual(self.log_in(login="ends")[0], NOT_NOW)
            wait_for(lambda: self.log_in(login="right")[0].startswith("235"), 30, "another stream", every=0.1)
            self.assertGreater(self.strays(), 5)
        finally:
            impostor.stdin.close()
            impostor.wait(20)
            self.cluster.start_auth()


if __name__ == "__main__":
    unittest.main()
