#!/usr/bin/python3
"""10,000 open sessions and 100 changes of policy, pushed through the API: none is dropped, none sees two policies.

A session lives on the version that it began with: it answers NOOP, keeps the verdicts of the old rule, and the line of its end names that
one version. Listeners that a change does not concern take connections all the while, and so does the one whose policy changes (R18).
"""
import json
import os
import resource
import socket
import threading
import time
import unittest

from harness.client import Client
from harness.cluster import Cluster
from harness.processes import wait_for
from harness.recorder import Recorder

SESSIONS = int(os.environ.get("LIVE_SESSIONS", "10000"))
PUSHES = int(os.environ.get("LIVE_PUSHES", "100"))
AFTER_EACH_PUSH = 5
FAR = b"RSET\r\nMAIL FROM:<a@in.example>\r\nRCPT TO:<x@far.example>\r\nRSET\r\n"


class Session:
    """A connection of which only the socket and the version are kept: there are very many."""

    def __init__(self, port, source, version):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=60, source_address=(source, 0))
        self.name = "%s:%d" % self.sock.getsockname()
        self.version = version
        self.pending = b""
        self.greeting = self.lines(1)[0]

    def lines(self, count):
        """So many whole reply lines (not of EHLO)."""
        while self.pending.count(b"\r\n") < count:
            octets = self.sock.recv(4096)
            if not octets:
                raise AssertionError(f"{self.name} was dropped; it said {self.pending!r}")
            self.pending += octets
        *lines, self.pending = self.pending.split(b"\r\n", count)
        return lines

    def say(self, octets, replies):
        self.sock.sendall(octets)
        return self.lines(replies)


class Knocker(threading.Thread):
    """Connects to a port again and again until it is told to stop; what was refused or odd is in `failures`."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.knocks, self.failures, self.over = port, 0, [], threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(0.002):  # the ports of loopback are not without number
            try:
                with Client(self.port, seconds=30) as client:
                    if not client.banner.startswith("220 ") or not client.command("QUIT").startswith("221 "):
                        self.failures.append(client.banner)
                self.knocks += 1
            except Exception as error:  # noqa: BLE001 - any of them is a finding
                self.failures.append(repr(error))

    def stop(self):
        self.over.set()
        self.join(60)


class LiveChange(unittest.TestCase):
    """The one story."""

    def setUp(self):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < SESSIONS + 1000:
            self.skipTest(f"NOT VERIFIED: {SESSIONS} sessions need more than the {hard} descriptors that a process may have here")
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.upstream = Recorder()
        self.addCleanup(self.upstream.close)
        self.cluster = Cluster()
        self.addCleanup(self.cluster.stop)
        self.cluster.start()
        settings = {"anonymous": True, "local_domains": ["in.example"], "connectionLimits": {"maxPerSource": 0}}
        self.cluster.apply(*(self.cluster.document(name, self.upstream.address, **settings) for name in ("changing", "steady")))
        self.edge = self.cluster.edge("edge1")
        self.port = self.edge.port("changing")
        self.sessions = []
        self.addCleanup(lambda: [s.sock.close() for s in self.sessions])

    def version(self):
        return int(json.loads(self.cluster.ctl("virtual-server", "get", "changing", "--output", "json"))["revision"])

    def push(self, relays):
        """One change through the API, in force at the edge; its version."""
        entries = '[{"subnet":"127.0.0.0/8"}]' if relays else "[]"
        answer = self.cluster.ctl("virtual-server", "update", "changing", "--set", f"relay.entries={entries}", "--output", "json")
        version = int(json.loads(answer)["revision"])
        wait_for(lambda: self.edge.metrics()["gatepost_edge_config_revision"] >= version, 20, "the applied change")
        return version

    def open(self, count, version):
        for _ in range(count):
            self.sessions.append(Session(self.port, f"127.0.0.{2 + len(self.sessions) % 200}", version))
            self.assertTrue(self.sessions[-1].greeting.startswith(b"220 "), self.sessions[-1].greeting)

    def test_no_session_is_dropped_and_each_has_one_policy(self):
        began = time.monotonic()
        first = self.version()
        self.open(SESSIONS - PUSHES * AFTER_EACH_PUSH, first)
        relays = {first: False}
        opened = time.monotonic()
        knockers = [Knocker(self.port), Knocker(self.edge.port("steady"))]
        for number in range(PUSHES):
            version = self.push(number % 2 == 0)
            self.assertNotIn(version, relays)
            relays[version] = number % 2 == 0
            self.open(AFTER_EACH_PUSH, version)
        for knocker in knockers:
            knocker.stop()
            self.assertEqual(knocker.failures, [])
            self.assertGreater(knocker.knocks, PUSHES // 10)
        pushed = time.monotonic()
        self.assertGreaterEqual(self.edge.sessions("changing"), SESSIONS)

        # All alive, each on its own rule.
        for session in self.sessions:
            session.sock.sendall(b"NOOP\r\n")
        for session in self.sessions:
            self.assertEqual(session.lines(1), [b"250 2.0.0 OK"])
        for session in self.sessions:
            session.say(b"HELO client.example\r\n", 1)
            verdict = session.say(FAR, 4)[2]
            wanted = b"250 2.1.5 Recipient OK" if relays[session.version] else b"550 5.7.1 Unable to relay for x@far.example"
            self.assertEqual(verdict, wanted, f"policy {session.version}")
            self.assertTrue(session.say(b"QUIT\r\n", 1)[0].startswith(b"221 "))
        judged = time.monotonic()

        # The log: one line an end, one version a line, the one of the beginning.
        def ends():
            return [e for e in self.edge.events if e.get("event") == "session_end" and e.get("virtual_server") == "changing"]
        versions = {s.name: s.version for s in self.sessions}
        wait_for(lambda: sum(e["client"] in versions for e in ends()) >= SESSIONS, 30, "the sessions' last lines")
        self.assertEqual(self.edge.metrics()["gatepost_edge_log_dropped_lines"], 0)
        seen = [e for e in ends() if e["client"] in versions]
        self.assertEqual(len(seen), SESSIONS)
        self.assertEqual({e["client"]: e["policy"] for e in seen}, versions)
        self.assertEqual({e["end"] for e in seen}, {"quit"})
        refused = {}
        for event in self.edge.events:
            if event.get("event") == "refused" and event.get("client") in versions:
                refused.setdefault(event["client"], set()).add(event["policy"])
        self.assertEqual(refused, {n: {v} for n, v in versions.items() if not relays[v]})
        print(f"{SESSIONS} sessions opened in {opened - began:.1f} s, {PUSHES} pushes in {pushed - opened:.1f} s while "
              f"{[k.knocks for k in knockers]} others came, all judged in {judged - pushed:.1f} s")


if __name__ == "__main__":
    unittest.main()
