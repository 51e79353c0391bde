#!/usr/bin/python3
"""Two auth and two config replicas on one PostgreSQL, and the database stopped, read-only and started again. Rows F20, F29.

What one replica is told holds at the other at once: users, passwords, revocations, counters of failed logins. A replica that is killed
ends no session that is logged in. Without the database mail flows, logins are 454, writes say why; all comes back by itself.
"""
import json
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "integration"))
from harness import postgres  # noqa: E402
from harness.client import Client, Closed  # noqa: E402
from harness.cluster import Cluster  # noqa: E402
from harness.processes import wait_for  # noqa: E402
from harness.recorder import Recorder  # noqa: E402

A, B = "127.0.0.1", "127.0.0.2"
PASSWORD = "correct horse"


class OnPostgres(unittest.TestCase):
    """Edge `both` spreads over the replicas, `a` and `b` know one each: who answers is known."""

    @classmethod
    def setUpClass(cls):
        cls.database = postgres.Postgres()
        cls.addClassCleanup(cls.database.remove)
        cls.database.start()
        cls.upstream = Recorder()
        cls.addClassCleanup(cls.upstream.close)
        cls.cluster = cluster = Cluster()
        cls.addClassCleanup(cluster.stop)
        cluster.config_database = cluster.auth_database = cls.database.uri()
        cluster.start()
        cls.auth_b = cluster.replica("auth", B)
        cls.config_b = cluster.replica("config", B)
        cluster.create_user("alice", "alice@example.com", PASSWORD)
        cluster.virtual_server("submission", cls.upstream.address, anonymous=True, local_domains=["example.com"],
                               authentication={"basic": {"allowClearTextCredentials": True}}, connectionLimits={"maxPerSource": 0})

        def targets(role, hosts):
            return "ipv4:" + ",".join(f"{host}:{getattr(cluster, role + '_port')}" for host in hosts)
        for number, (name, hosts) in enumerate((("both", (A, B)), ("a", (A,)), ("b", (B,)))):
            cluster.config_target, cluster.auth_target = targets("config", hosts), targets("auth", hosts)
            cluster.edge(name, offset=number * 5000, extra=("--config-server-name", "localhost", "--auth-server-name", "localhost"))

    def client(self, edge, source=None):
        client = Client(self.cluster.edges[edge].port("submission"), source=source)
        client.hello()
        return client

    def login(self, edge, login="alice@example.com", password=PASSWORD, source=None):
        """The reply to one AUTH PLAIN, the connection closed."""
        with self.client(edge, source) as client:
            return client.auth_plain(login, password)

    def judged(self, edge, **credentials):
        """As login, tried again while it is 454, as clients do."""
        reply = ""

        def is_judged():
            nonlocal reply
            reply = self.login(edge, **credentials)
            return not reply.startswith("454")
        wait_for(is_judged, 20, f"a judgement at {edge}")
        return reply

    def until(self, edge, code, seconds=10, **credentials):
        """Logs in again and again until the reply begins so; the seconds it took."""
        start = time.monotonic()
        wait_for(lambda: self.login(edge, **credentials).startswith(code), seconds, f"{code} at {edge}")
        return time.monotonic() - start

    def logged_in(self, edge, **credentials):
        """A session that is logged in, tried again when it is 454, as clients do."""
        client = None

        def succeeds():
            nonlocal client
            client = self.client(edge)
            self.addCleanup(client.sock.close)
            answer = client.auth_plain(credentials.get("login", "alice@example.com"), credentials.get("password", PASSWORD))
            self.assertRegex(answer, "^(235|454)")
            return answer.startswith("235")
        wait_for(succeeds, 20, f"a login at {edge}")
        return client

    def send(self, client):
        for command, code in (("MAIL FROM:<alice@example.com>", "250"), ("RCPT TO:<bob@example.com>", "250"), ("DATA", "354"), ("hello\r\n.", "250")):
            answer = client.command(command)
            self.assertTrue(answer.startswith(code), f"{command}: {answer}")

    # --------------------------------------------------------------------------------------------------- auth replicas

    def test_a_user_and_a_password_hold_at_every_replica_at_once(self):
        for edge in ("a", "b"):
            self.until(edge, "235")
        self.cluster.create_user("carol", "carol@example.com", "first one")
        carol = {"login": "carol@example.com"}
        self.assertRegex(self.judged("b", password="first one", **carol), "^235")
        self.assertRegex(self.judged("a", password="first one", **carol), "^235")
        self.cluster.ctl("user", "set-password", "carol", "--password-stdin", stdin="second one\n", host=B)
        for edge in ("a", "b", "both"):
            self.assertRegex(self.judged(edge, password="first one", **carol), "^535")
            self.assertRegex(self.judged(edge, password="second one", **carol), "^235")

    def test_a_revocation_at_one_replica_ends_the_others_sessions_within_a_second(self):
        self.cluster.create_user("erin", "erin@example.com", PASSWORD)
        client = self.logged_in("b", login="erin@example.com")
        start = time.monotonic()
        self.cluster.ctl("user", "revoke-sessions", "erin")
        told = time.monotonic()
        answer = ""
        while not answer.startswith("421"):
            self.assertLess(time.monotonic() - told, 5, "still there")
            try:
                answer = client.command("NOOP")
            except Closed:
                break
            time.sleep(0.01)
        took = time.monotonic() - told
        print(f"revoked at one replica, ended at the other {1000 * took:.0f} ms after the answer ({1000 * (told - start):.0f} ms)")
        self.assertLess(took, 2, "a second, and another for a loaded machine")

    def test_failures_are_counted_over_the_replicas(self):
        self.cluster.create_user("dora", "dora@example.com", PASSWORD)
        dora = {"login": "dora@example.com", "source": "127.0.9.9"}
        for attempt in range(5):
            for edge in ("a", "b"):
                self.assertRegex(self.judged(edge, password=f"wrong {attempt} {edge}", **dora), "^535")
        start = time.monotonic()
        for edge in ("a", "b"):
            self.until(edge, "454", **dora)
        took = time.monotonic() - start
        print(f"throttled at both replicas {1000 * took:.0f} ms after the last of ten failures, five at each")
        self.assertLess(took, 2, "a second, and another for a loaded machine")
        self.assertIn("dora@example.com", self.cluster.ctl("throttle", "list", host=B))

    def test_a_killed_replica_ends_no_session_and_logins_go_on(self):
        sessions = [self.logged_in(edge) for edge in ("b", "b", "both", "both")]
        self.auth_b.kill()
        for client in sessions:
            self.send(client)
        start = time.monotonic()
        answers = []

        def twenty():
            answers[:0] = [self.login("both")[:3] for _ in range(20)]
            return answers[:20] == ["235"] * 20
        wait_for(twenty, 20, "twenty logins in a row")
        print(f"one of two replicas killed: 20 logins in a row after {1000 * (time.monotonic() - start):.0f} ms; before, {answers.count('454')} of "
              f"{len(answers)} were told to come again")
        self.assertLessEqual(set(answers), {"235", "454"})
        for client in sessions:
            self.send(client)
        type(self).auth_b = self.cluster.replica("auth", B)
        self.logged_in("b").command("QUIT")

    # ------------------------------------------------------------------------------------------------- config replicas

    def applied(self, edge):
        return [(e["epoch"], e["revision"]) for e in self.cluster.edges[edge].events if e.get("event") == "config_applied"]

    def change(self, number, host, edges=("both", "a", "b")):
        """Makes a change at one replica, and waits until these edges say it; the seconds it took."""
        document = self.cluster.document("submission", self.upstream.address, anonymous=True, local_domains=["example.com"],
                                         authentication={"basic": {"allowClearTextCredentials": True}}, connectionLimits={"maxPerSource": 0}, bannerText=f"ESMTP change {number}")
        path = self.cluster.folder / "change.json"
        path.write_text(json.dumps([document]))
        self.cluster.ctl("apply", "-f", path, host=host)
        start = time.monotonic()

        def says(edge):
            with Client(self.cluster.edges[edge].port("submission")) as client:
                return f"change {number}" in client.banner
        for edge in edges:
            wait_for(lambda: says(edge), 20, f"change {number} at {edge}")  # noqa: B023
        return time.monotonic() - start

    def test_edges_of_two_config_replicas_have_one_history(self):
        times = [self.change(number, host) for number, host in enumerate((A, B, A, B, B, A))]
        print(f"a change at either config replica is in force at all edges after {1000 * max(times):.0f} ms (longest of {len(times)})")
        for host, known, unknown in ((A, "a", "b"), (B, "b", "a")):
            listed = self.cluster.ctl("edge", "list", host=host)
            self.assertRegex(listed, rf"(?m)^{known} ")
            self.assertNotRegex(listed, rf"(?m)^{unknown} ")
            self.assertIn(f"As the config service at {host}:{self.cluster.config_port} has seen them", listed)
        self.config_b.kill()
        self.change(10, A, edges=("both", "a"))
        type(self).config_b = self.cluster.replica("config", B)
        self.change(11, B)
        for edge in ("both", "a", "b"):
            history = self.applied(edge)
            self.assertEqual(len({epoch for epoch, _ in history}), 1)
            revisions = [revision for _, revision in history]
            self.assertEqual(revisions, sorted(set(revisions)), "no rollback")

    # ------------------------------------------------------------------------------------------- the database goes away

    def test_without_the_database_mail_flows_and_all_comes_back(self):
        session = self.logged_in("both")
        self.database.stop()
        self.assertRegex(self.login("both"), "^454")
        self.send(session)
        with self.client("both") as client:
            self.send(client)
        for command in (("user", "create", "frank", "--login", "frank@example.com", "--password-stdin"), ("virtual-server", "list")):
            start = time.monotonic()
            refused = self.cluster.ctl(*command, check=False, stdin="a password\n")
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn("the database", refused.stderr)
            self.assertLess(time.monotonic() - start, 8)
        self.database.start()
        start = time.monotonic()
        wait_for(lambda: self.cluster.ctl("user", "create", "frank", "--login", "frank@example.com", "--password-stdin", check=False,
                                          stdin=PASSWORD + "\n").returncode == 0, 20, "a write", every=0.05)
        written = time.monotonic() - start
        self.until("both", "235", login="frank@example.com")
        self.change(20, A)
        print(f"database started: a write {1000 * written:.0f} ms later, a login {1000 * (time.monotonic() - start):.0f} ms later at most")
        self.send(session)

    def test_a_read_only_database_is_a_read_only_control_plane(self):
        self.database.read_only(True)
        self.assertRegex(self.judged("both"), "^235")
        self.cluster.ctl("user", "list")
        self.cluster.ctl("virtual-server", "list", host=B)
        for command in (("user", "create", "grace", "--login", "grace@example.com", "--password-stdin"),
                        ("certificate", "create", "late", "--self-signed", "--dns", "late.example.com")):
            refused = self.cluster.ctl(*command, check=False, stdin="a password\n")
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn("read-only", refused.stderr)
        # A replica that starts now serves.
        self.auth_b.stop()
        type(self).auth_b = self.cluster.replica("auth", B)
        self.logged_in("b").command("QUIT")
        self.database.read_only(False)
        start = time.monotonic()
        wait_for(lambda: self.cluster.ctl("user", "create", "grace", "--login", "grace@example.com", "--password-stdin", check=False,
                                          stdin=PASSWORD + "\n").returncode == 0, 20, "a write", every=0.05)
        print(f"no more read-only: a write {1000 * (time.monotonic() - start):.0f} ms later")
        self.change(30, B)


if __name__ == "__main__":
    postgres.skip_unless_available()
    unittest.main()
