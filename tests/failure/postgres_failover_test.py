#!/usr/bin/python3
"""The primary of two PostgreSQL servers dies and its standby is promoted, under load: two auth and two config replicas with both in their
URI. Row F20.

With synchronous replication nothing that was acknowledged is lost, no program ends, and edges see one history; without the database
logins are 454, sessions that are logged in go on, and mail flows. Where the standby lacks commits that were acknowledged, programs end
rather than go on as if nothing were missing, and edges learn that it is another history.
"""
import contextlib
import json
import os
import sys
import threading
import time
import unittest

import grpc

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "integration"))
from harness import postgres  # noqa: E402
from harness.auth_api import AuthApi  # noqa: E402
from harness.client import Client  # noqa: E402
from harness.cluster import Cluster  # noqa: E402
from harness.processes import wait_for  # noqa: E402
from harness.recorder import Recorder  # noqa: E402

A, B = "127.0.0.1", "127.0.0.2"
PASSWORD = "correct horse"
SYNCHRONOUS = ("synchronous_standby_names=*", "synchronous_commit=on")


class Repeated(threading.Thread):
    """Calls act(number) again and again until it is stopped; an exception ends it, and is stop()'s."""

    def __init__(self, act, pause=0.02):
        super().__init__(daemon=True)
        self.act, self.pause, self.end, self.error = act, pause, threading.Event(), None
        self.start()

    def run(self):
        number = 0
        try:
            while not self.end.wait(self.pause):
                self.act(number)
                number += 1
        except BaseException as error:  # pylint: disable=broad-exception-caught
            self.error = error

    def stop(self):
        self.end.set()
        self.join(60)
        if self.error is not None:
            raise self.error


class Failover(unittest.TestCase):
    def setUp(self):
        self.upstream = Recorder()
        self.addCleanup(self.upstream.close)
        self.cluster = Cluster()
        self.addCleanup(self.cluster.stop)

    def replicate(self, *settings):
        """A primary with these, and a standby that streams."""
        self.primary = postgres.Postgres()
        self.addCleanup(self.primary.remove)
        self.primary.start(*settings)
        self.standby = postgres.Postgres(standby_of=self.primary)
        self.addCleanup(self.standby.remove)
        self.standby.start()
        wanted = "streaming|sync" if settings else "streaming|async"
        wait_for(lambda: self.primary.sql("SELECT state, sync_state FROM pg_stat_replication") == wanted, 20, "the standby")

    def start_programs(self):
        cluster = self.cluster
        cluster.config_database = cluster.auth_database = self.primary.uri(self.standby)
        cluster.start()
        self.programs = [cluster.auth, cluster.config, cluster.replica("auth", B), cluster.replica("config", B)]
        cluster.create_user("alice", "alice@example.com", PASSWORD)
        self.change("at first")
        for role in ("auth", "config"):
            port = getattr(cluster, role + "_port")
            setattr(cluster, role + "_target", f"ipv4:{A}:{port},{B}:{port}")
        self.edge = cluster.edge("edge1", extra=("--config-server-name", "localhost", "--auth-server-name", "localhost"))

    def change(self, text):
        document = self.cluster.document("submission", self.upstream.address, anonymous=True, local_domains=["example.com"], bannerText=f"ESMTP {text}",
                                         authentication={"basic": {"allowClearTextCredentials": True}}, connectionLimits={"maxPerSource": 0})
        path = self.cluster.folder / "change.json"
        path.write_text(json.dumps([document]))
        self.cluster.ctl("apply", "-f", path)

    def client(self):
        client = Client(self.edge.port("submission"))
        client.hello()
        return client

    def login(self, login="alice@example.com"):
        with self.client() as client:
            return client.auth_plain(login, PASSWORD)[:3]

    def until(self, reply, **who):
        """Logs in until that is the reply; the seconds it took."""
        start = time.monotonic()
        wait_for(lambda: self.login(**who) == reply, 20, reply)
        return time.monotonic() - start

    def logged_in(self):
        client = self.client()
        self.addCleanup(client.sock.close)
        wait_for(lambda: client.auth_plain("alice@example.com", PASSWORD).startswith("235"), 20, "a login")
        return client

    def send(self, client):
        for command, code in (("MAIL FROM:<alice@example.com>", "250"), ("RCPT TO:<bob@example.com>", "250"), ("DATA", "354"), ("hello\r\n.", "250")):
            answer = client.command(command)
            self.assertTrue(answer.startswith(code), f"{command}: {answer}")

    def banner(self):
        with Client(self.edge.port("submission")) as client:
            return client.banner

    def applied(self):
        return [(e["epoch"], e["revision"]) for e in self.edge.events if e.get("event") == "config_applied"]

    def test_a_promoted_standby_goes_on_where_the_primary_ended(self):
        self.replicate(*SYNCHRONOUS)
        self.start_programs()
        api = AuthApi(self.cluster)
        self.addCleanup(api.close)
        acknowledged, replies, sent = [], [], []
        sessions = [self.logged_in() for _ in range(4)]

        def write(number):
            with contextlib.suppress(grpc.RpcError):
                api.call("UserService.CreateUser", user_id=f"u{number}", user={"login": f"u{number}@example.com"})
                acknowledged.append(f"u{number}")

        def send(number):
            self.send(sessions[number % len(sessions)])
            sent.append(number)
        load = [Repeated(write), Repeated(send), Repeated(lambda _: replies.append(self.login()))]
        wait_for(lambda: len(acknowledged) >= 20 and len(sent) >= 20 and "235" in replies, 30, "load")

        self.primary.kill()
        before, flowing = len(acknowledged), len(sent)
        self.until("454")
        wait_for(lambda: len(sent) >= flowing + 20, 20, "mail without the database")
        self.standby.promote()
        promoted = time.monotonic()
        login = self.until("235")
        wait_for(lambda: len(acknowledged) > before + 5, 20, "writes")
        written = time.monotonic() - promoted
        for thread in load:
            thread.stop()
        print(f"promoted: a login {1000 * login:.0f} ms later, writes {1000 * written:.0f} ms later; {len(replies)} logins, {replies.count('454')} of "
              f"them 454; {len(acknowledged)} users, {len(sent)} messages of {len(sessions)} sessions")
        self.assertLess(login, 15)
        self.assertLess(written, 20)
        self.assertLessEqual(set(replies), {"235", "454"})
        there = {user["name"].split("/")[1] for user in json.loads(self.cluster.ctl("user", "list", "--output", "json"))}
        self.assertLessEqual(set(acknowledged), there, "what was acknowledged before is there")

        # A commit at one replica is heard of at the other: both listen to the new primary.
        self.cluster.ctl("user", "revoke-sessions", "alice", host=B)
        for client in sessions:
            self.assertEqual(client.reply()[:9], "421 4.7.0")
        self.change("afterwards")
        wait_for(lambda: "afterwards" in self.banner(), 20, "the change at the edge")
        for program in self.programs:
            self.assertTrue(program.running(), f"{program.name} ended:\n{program.tail()}")
        history = self.applied()
        self.assertEqual(len({epoch for epoch, _ in history}), 1, "one history")
        revisions = [revision for _, revision in history]
        self.assertEqual(revisions, sorted(set(revisions)), "revisions never go back")

    def test_a_standby_that_lacks_commits_is_another_history(self):
        self.replicate()
        self.start_programs()
        session = self.logged_in()
        self.standby.stop()
        self.cluster.create_user("lost", "lost@example.com", PASSWORD)
        self.change("lost")
        wait_for(lambda: "lost" in self.banner(), 20, "the change that will be lost")

        self.primary.kill()
        self.standby.start()
        self.standby.promote()
        for program in self.programs:
            wait_for(lambda: not program.running(), 20, f"the end of {program.name}")  # noqa: B023
            self.assertRegex(program.tail(), "lost commits that were acknowledged|epoch has changed", program.name)
        self.send(session)
        self.assertEqual(self.login(), "454")
        # As a supervisor would.
        self.cluster.start_config()
        self.cluster.start_auth()
        for role in ("auth", "config"):
            self.cluster.replica(role, B)
        self.until("235")
        self.until("535", login="lost@example.com")
        wait_for(lambda: "at first" in self.banner(), 20, "the history that is there, at the edge")
        self.change("afterwards")
        wait_for(lambda: "afterwards" in self.banner(), 20, "the change at the edge")
        self.send(session)
        self.assertEqual(len({epoch for epoch, _ in self.applied()}), 2, "edges were told that it is another one")


if __name__ == "__main__":
    postgres.skip_unless_available()
    unittest.main()
