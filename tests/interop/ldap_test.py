#!/usr/bin/python3
"""Users of a directory (LDAP, a real slapd) log in by PLAIN and LOGIN through the edge over TLS, beside users of our own.

The sources of passwords, our own and the directory, meet one conformance table. Then what is the directory's alone: groups, LDAP
injection, two entries of one login, certificates of another CA, a directory that is slow, dead, and back (threats.md A4, A6).
"""
import base64
import concurrent.futures
import json
import os
import shutil
import ssl
import subprocess
import sys
import time
import unittest
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "integration"))
from harness import slapd as ldap  # noqa: E402
from harness.authority import Authority, pem  # noqa: E402
from harness.cluster import Cluster, binary, free_port  # noqa: E402
from harness.processes import wait_for  # noqa: E402
from harness.recorder import Recorder  # noqa: E402
from harness.sasl import ACCEPTED, MALFORMED, REJECTED, UNAVAILABLE, SaslClient, judged, stranger, wait_offered  # noqa: E402

PASSWORD = "correct horse battery"
OWN, CORP = "example.com", "corp.example"
NINE = "\N{ROMAN NUMERAL NINE}"  # SASLprep makes IX of it
MESSAGE = b"From: alice@corp.example\r\nTo: bob@example.net\r\nSubject: login\r\n\r\nHello\r\n"
# Every character that RFC 4514 has escaped, and one that is not ASCII.
ODD_CN = ' #Müller, "J" +;<>=\\ '
ODD_DN = f'cn=\\20#Müller\\2c \\22J\\22 \\2b\\3b\\3c\\3e\\3d\\5c\\20,{ldap.PEOPLE}'


def people():
    """The directory's; displayName is the login, since it may hold UTF-8."""
    def login(name):
        return f"{name}@{CORP}"
    return [ldap.person("alice", PASSWORD, displayName=login("alice"), mail=["smtp:alice@corp.example", "sales@CORP.example", "no address"]),
            ldap.person("bob", PASSWORD, displayName=login("bob")),
            ldap.person("changing", PASSWORD, displayName=login("changing")),
            ldap.person("odd", PASSWORD, dn=ODD_DN, displayName=login("odd")).replace(ldap.value("cn", "odd"), ldap.value("cn", ODD_CN)),
            ldap.person("jörg", "IX", displayName=login("jörg")),
            ldap.person("twin one", PASSWORD, displayName=login("twin")),
            ldap.person("twin two", PASSWORD, displayName=login("twin")),
            ldap.person("disabled", None, displayName=login("disabled")),
            ldap.group("relay", f"CN=Alice, {ldap.PEOPLE}", f"cn=changing,{ldap.PEOPLE}"),
            ldap.group("other", f"cn=bob,{ldap.PEOPLE}")]


class Directory(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        missing = ldap.available() + [tool for tool in ("curl",) if not shutil.which(tool)]
        if missing:
            raise AssertionError(f"missing: {missing}")
        cls.recorder = Recorder()
        cls.addClassCleanup(cls.recorder.close)
        cls.cluster = Cluster()
        cls.addClassCleanup(cls.cluster.stop)
        cls.slapd = ldap.Slapd(cls.cluster.folder / "slapd", people())
        cls.addClassCleanup(cls.slapd.stop)
        cls.slapd.start()
        cls.cluster.auth_options = ["--directory", cls.settings("directory")]
        cls.cluster.start()
        cls.cluster.apply({"kind": "Group", "name": "groups/relay"},
                          {"kind": "User", "name": "users/alice", "login": f"alice@{OWN}", "password": PASSWORD, "groups": ["groups/relay"]},
                          {"kind": "User", "name": "users/bob", "login": f"bob@{OWN}", "password": PASSWORD},
                          {"kind": "User", "name": "users/joerg", "login": f"jörg@{OWN}", "password": NINE},
                          {"kind": "User", "name": "users/disabled", "login": f"disabled@{OWN}"},
                          {"kind": "User", "name": "users/shadow", "login": f"shadow@{CORP}", "password": PASSWORD})
        cls.cluster.virtual_server(
            "mail", cls.recorder.address, listeners=("STARTTLS",), local_domains=[OWN, CORP],
            relay={"authenticated": {"mode": "ONLY_LIST", "principals": ["groups/relay"]}},
            authentication={"basic": {"defaultDomain": CORP}},
            sessionLimits={"maxAuthFailures": 10, "authFailureDelay": "0s", "authFailureJitter": "0s"})
        # One worker: when it has found the auth service again, all of the edge has.
        cls.edge = cls.cluster.edge("edge1", threads=1)
        cls.port = cls.edge.port("mail", "STARTTLS")
        wait_offered(cls.port, "PLAIN", "LOGIN")

    @classmethod
    def settings(cls, name, **more):
        """A file of --directory."""
        path = cls.cluster.folder / f"{name}.json"
        content = {"name": "corp", "uris": [cls.slapd.uri], "ca_file": str(cls.slapd.ca_file), "bind_dn": ldap.SERVICE,
                   "bind_password_file": str(cls.slapd.password_file), "domains": [CORP],
                   "users": {"base": ldap.PEOPLE, "filter": "(&(objectClass=inetOrgPerson)(displayName={login}))",
                             "login_attribute": "displayName", "address_attribute": "mail"},
                   "groups": {"base": f"ou=groups,{ldap.BASE}", "filter": "(member={dn})",
                              "map": {f"CN=Relay,OU=groups, {ldap.BASE}": "groups/relay"}}}
        path.write_text(json.dumps({**content, **more}))
        return path

    def with_settings(self, name, **more):
        """The auth service runs with these until the test ends."""
        def restart(options):
            self.cluster.auth.stop()
            self.cluster.auth_options = options
            self.cluster.start_auth()
            wait_for(lambda: self.client().login("PLAIN", self.plain(f"bob@{OWN}"), initial=True) == ACCEPTED, 30, "the auth service", every=0.2)
        before = self.cluster.auth_options
        self.addCleanup(restart, before)
        restart(["--directory", self.settings(name, **more)])

    def client(self, source=None):
        client = SaslClient(self.port, source=source)
        self.addCleanup(client.sock.close)
        return client

    @staticmethod
    def plain(login, password=PASSWORD):
        return b"\0" + login.encode() + b"\0" + password.encode()

    def login(self, login, password=PASSWORD, client=None):
        return (client or self.client()).login("PLAIN", self.plain(login, password), initial=True)

    def log_in(self, login, password=PASSWORD):
        """As a client would: again when it is told to. The session."""
        def accepted():
            client = self.client()
            reply = self.login(login, password, client)
            self.assertIn(reply, (ACCEPTED, UNAVAILABLE))
            return client if reply == ACCEPTED else None
        return wait_for(accepted, 40, f"{login} logged in", every=0.2)

    def metrics(self):
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.cluster.auth_metrics}/metrics", timeout=10).read().decode()
        rows = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
        return {key: float(figure) for key, figure in rows}

    def work(self, act):
        """(searches, binds, argon2) that it cost."""
        def figures():
            now = self.metrics()
            return [now[f"gatepost_auth_{name}_total"] for name in ("directory_searches", "directory_binds", "argon2")]
        before = figures()
        act()
        return tuple(int(b - a) for a, b in zip(before, figures()))

    # --- every source of passwords

    def test_conformance_of_the_sources(self):
        table = [("right", "alice", PASSWORD, ACCEPTED), ("in capitals", "ALICE", PASSWORD, ACCEPTED),
                 ("wrong", "alice", "wrong", REJECTED), ("part of it", "alice", PASSWORD[:-1], REJECTED),
                 ("more than it", "alice", PASSWORD + " ", REJECTED), ("unknown", "nobody", PASSWORD, REJECTED),
                 ("disabled", "disabled", PASSWORD, REJECTED), ("too long a password", "alice", "x" * 1025, REJECTED),
                 ("the longest password", "alice", "x" * 1024, REJECTED), ("a control character", "alice", "a\x07b", REJECTED),
                 ("normalised", "jo\u0308rg", "IX", ACCEPTED), ("normalised", "jörg", NINE, ACCEPTED)]
        for domain in (OWN, CORP):
            for what, login, password, reply in table:
                with self.subTest(domain, what=what):
                    self.assertEqual(self.login(f"{login}@{domain}", password), reply)
                    self.assertEqual(self.client().login("LOGIN", f"{login}@{domain}".encode(), password.encode()), reply)
            with self.subTest(domain, what="no password"):
                self.assertNotEqual(self.login(f"alice@{domain}", ""), ACCEPTED)
                self.assertNotEqual(self.client().login("LOGIN", f"alice@{domain}".encode(), b""), ACCEPTED)
            for name, octets in ((f"alice@{domain}\0", PASSWORD), (f"alice@{domain}", PASSWORD + "\0"), (f"alice@{domain}", PASSWORD + "\0x"),
                                 (f"alice\0@{domain}", PASSWORD)):
                with self.subTest(domain, what="a NUL", name=name, password=octets):
                    self.assertNotEqual(self.login(name, octets), ACCEPTED)
                    self.assertNotEqual(self.client().login("LOGIN", name.encode(), octets.encode()), ACCEPTED)
            with self.subTest(domain, what="the longest login, and one beyond"):
                self.assertEqual(self.login(f"{'a' * (254 - len(domain))}@{domain}"), REJECTED)
                self.assertEqual(self.login(f"{'a' * (255 - len(domain))}@{domain}"), MALFORMED)
            with self.subTest(domain, what="not UTF-8"):
                self.assertEqual(self.client().login("PLAIN", b"\0alice@" + domain.encode() + b"\0\xff\xfe", initial=True), MALFORMED)
                self.assertEqual(self.client().login("LOGIN", f"alice@{domain}".encode(), b"\xff\xfe"), MALFORMED)
            with self.subTest(domain, what="as somebody else"):
                claim = f"bob@{domain}\0alice@{domain}\0{PASSWORD}".encode()
                self.assertEqual(self.client().login("PLAIN", claim, initial=True), REJECTED)
            with self.subTest(domain, what="groups"):
                for name, code in (("alice", "250"), ("bob", "550")):
                    client = self.log_in(f"{name}@{domain}")
                    self.assertEqual(client.command(f"MAIL FROM:<{name}@{domain}>")[:3], "250")
                    self.assertEqual(client.command("RCPT TO:<x@elsewhere.example>")[:3], code, name)

    # --- the directory's own

    def test_curl_logs_in_and_a_message_arrives(self):
        trusted, body = self.cluster.folder / "mail.pem", self.cluster.folder / "message.eml"
        trusted.write_text(self.cluster.ctl("certificate", "get", "mail", "--pem"))
        body.write_bytes(MESSAGE)
        for mechanism, user in (("PLAIN", f"alice@{CORP}"), ("LOGIN", "alice")):
            before = len(self.recorder.messages)
            done = subprocess.run(["curl", "--verbose", "--silent", "--show-error", "--ssl-reqd", "--cacert", str(trusted), "--resolve",
                                   f"mail.example.com:{self.port}:127.0.0.1", f"smtp://mail.example.com:{self.port}/client.example", "--user",
                                   f"{user}:{PASSWORD}", "--login-options", f"AUTH={mechanism}", "--mail-from", f"alice@{CORP}",
                                   "--mail-rcpt", "bob@example.net", "--upload-file", str(body)], capture_output=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 0, done.stderr.decode(errors="replace"))
            self.recorder.wait(lambda r: len(r.messages) == before + 1, what=f"the message by {mechanism}")  # noqa: B023
        event = self.cluster.auth.event(lambda e: e.get("event") == "login" and e.get("outcome") == "success")
        self.assertIn(event["user"], (f"directories/corp/users/alice@{CORP}", "users/alice", "users/bob", "users/joerg"))

    def test_any_dn_can_be_bound(self):
        self.log_in(f"odd@{CORP}")

    def test_a_user_of_our_own_comes_first(self):
        client = self.log_in(f"shadow@{CORP}")
        judged(self.cluster, client)
        self.assertEqual(self.work(lambda: self.login(f"shadow@{CORP}", "wrong"))[:2], (0, 0))

    def test_injected_filters_find_nobody(self):
        for name in ("*", "a*", "alice*", "alice)(displayName=*", f"*)(|(displayName=alice@{CORP}", f"alice@{CORP})(&", "\\00", "\\2a", "(", ")", "\\",
                     "alice@corp.example)(userPassword=*)(cn=", "cn=alice", f"cn=alice,{ldap.PEOPLE}", "&", "|", "!", "ä*", "%2a", "\\c3"):
            with self.subTest(name):
                client = self.client()
                self.assertEqual(self.login(f"{name}@{CORP}", client=client), REJECTED)
                self.assertEqual(judged(self.cluster, client), ("credentials", "unknown"))

    def test_another_spelling_that_the_directory_takes_for_the_login_is_nobody(self):
        for name in (" alice", "  alice", "JÖRG"):
            with self.subTest(name):
                client = self.client()
                self.assertEqual(self.login(f"{name}@{CORP}", "IX" if name == "JÖRG" else PASSWORD, client), REJECTED)
                self.assertEqual(judged(self.cluster, client), ("credentials", "unknown"))

    def test_two_entries_of_one_login_are_nobody(self):
        client = self.client()
        self.assertEqual(self.login(f"twin@{CORP}", client=client), REJECTED)
        self.assertEqual(judged(self.cluster, client), ("credentials", "ambiguous"))

    # threats.md A6.
    def test_who_is_nobody_costs_as_much_as_who_is_mistaken(self):
        self.log_in(f"bob@{CORP}")
        for name in ("bob", "nobody", "twin", "disabled", " alice", "*"):
            with self.subTest(name):
                self.assertEqual(self.work(lambda: self.login(f"{name}@{CORP}", "wrong")), (1, 1, 0))  # noqa: B023

    def test_names_that_are_nobodys_and_passwords_are_not_logged(self):
        self.assertEqual(self.login(f"zaphod@{CORP}", "heart of gold"), REJECTED)
        self.assertEqual(self.login(f"bob@{CORP}", "heart of gold"), REJECTED)
        log = self.cluster.auth.log.read_bytes()
        for secret in (b"zaphod", b"heart of gold", PASSWORD.encode(), ldap.SERVICE_PASSWORD.encode()):
            self.assertNotIn(secret, log)

    def test_a_changed_password_is_in_force_at_once(self):
        login = f"changing@{CORP}"
        self.log_in(login)
        self.slapd.modify(f"dn: cn=changing,{ldap.PEOPLE}\nchangetype: modify\nreplace: userPassword\nuserPassword: another one\n")
        self.assertEqual(self.login(login), REJECTED)
        self.log_in(login, "another one")

    def test_sessions_of_one_of_its_users_are_ended_by_name(self):
        kept = [self.log_in(f"bob@{CORP}"), self.log_in(f"alice@{OWN}")]
        ended = self.log_in(f"Alice@{CORP}")
        told = self.cluster.ctl("user", "revoke-sessions", f"directories/corp/users/ALICE@{CORP}")
        begin = time.monotonic()
        self.assertIn(f"directories/corp/users/alice@{CORP}: sessions end", told)
        self.assertEqual(ended.reply(), "421 4.7.0 mail.example.com Login revoked")
        self.assertLess(time.monotonic() - begin, 5)  # far under a second where nothing else runs
        for client in kept:
            self.assertEqual(client.command("NOOP")[:3], "250")
        self.log_in(f"alice@{CORP}")
        for name in (f"directories/corp/users/alice@{OWN}", f"directories/other/users/alice@{CORP}"):
            done = self.cluster.ctl("user", "revoke-sessions", name, check=False)
            self.assertIn(f"{name} does not exist", done.stderr)
            self.assertEqual(done.returncode, 1)

    # --- when it does not answer

    def test_slow_and_dead_directories_are_cannot_say_and_come_back(self):
        source = stranger()
        waiting = [self.client() for _ in range(50)]
        self.slapd.pause()
        try:
            with concurrent.futures.ThreadPoolExecutor(len(waiting) + 1) as threads:
                def ask(client):
                    begin = time.monotonic()
                    return self.login(f"alice@{CORP}", client=client), time.monotonic() - begin
                pending = [threads.submit(ask, client) for client in waiting]
                own = threads.submit(self.login, f"bob@{OWN}", "not bob's").result()
                answers = [one.result() for one in pending]
        finally:
            self.slapd.resume()
        self.assertEqual(own, REJECTED, "a login of our own waits for nobody else's")
        for reply, seconds in answers:
            self.assertEqual(reply, UNAVAILABLE)
            self.assertLess(seconds, 5)
        for client in waiting:
            self.assertIn(judged(self.cluster, client)[1], ("directory", "no_slot"))
        self.log_in(f"alice@{CORP}")

        self.slapd.stop()
        begin = time.monotonic()
        for n in range(12):
            self.assertEqual(self.login(f"alice@{CORP}", f"wrong {n}", self.client(source)), UNAVAILABLE)
        self.assertLess(time.monotonic() - begin, 5, "a dead directory costs nothing")
        self.log_in(f"bob@{OWN}")
        self.assertEqual(self.metrics()["gatepost_auth_directory_up"], 0)
        self.slapd.start()
        self.log_in(f"alice@{CORP}")
        self.assertEqual(self.login(f"alice@{CORP}", client=self.client(source)), ACCEPTED, "what nobody could judge counts for nobody")
        self.assertEqual(self.metrics()["gatepost_auth_directory_up"], 1)
        self.cluster.auth.event("directory_server_down")
        self.cluster.auth.event("directory_server_up")

    def test_failover_ldaps_cache_and_an_attribute_for_groups(self):
        self.slapd.modify(f"dn: cn=bob,{ldap.PEOPLE}\nchangetype: modify\nreplace: seeAlso\nseeAlso: cn=relay,ou=groups,{ldap.BASE}\n")
        self.with_settings("cached", uris=[f"ldap://127.0.0.1:{free_port()}", self.slapd.tls_uri], cache_ttl_seconds=600,
                           groups={"attribute": "seeAlso", "map": {f"cn=relay,ou=groups,{ldap.BASE}": "groups/relay"}})
        client = self.log_in(f"bob@{CORP}")
        self.assertEqual(client.command(f"MAIL FROM:<bob@{CORP}>")[:3], "250")
        self.assertEqual(client.command("RCPT TO:<x@elsewhere.example>")[:3], "250")
        self.assertEqual(self.work(lambda: self.assertEqual(self.login(f"bob@{CORP}"), ACCEPTED)), (0, 0, 0))
        self.assertEqual(self.work(lambda: self.assertEqual(self.login(f"bob@{CORP}", "wrong"), REJECTED)), (1, 1, 0))
        self.slapd.modify(f"dn: cn=bob,{ldap.PEOPLE}\nchangetype: modify\nreplace: userPassword\nuserPassword: {PASSWORD}\n")

    def test_a_certificate_of_another_ca_is_no_directory(self):
        other = self.cluster.folder / "other-ca.pem"
        other.write_text(pem(Authority("Another CA").certificate))
        # StartTLS; then ldaps, once the first has failed.
        self.with_settings("other-ca", uris=[self.slapd.uri, self.slapd.tls_uri], ca_file=str(other))
        client = self.client()
        self.assertEqual(self.login(f"alice@{CORP}", client=client), UNAVAILABLE)
        self.assertEqual(judged(self.cluster, client), ("unavailable", "directory"))
        for uri in (self.slapd.uri, self.slapd.tls_uri):
            self.cluster.auth.event(lambda e: e.get("event") == "directory_server_down" and e["server"] == uri)  # noqa: B023

    def test_a_server_that_refuses_the_service_says_nothing_of_its_users(self):
        # This one lets nobody bind without TLS.
        self.with_settings("clear", start_tls=False)
        self.assertEqual(self.login(f"alice@{CORP}"), UNAVAILABLE)

    def test_settings_that_are_wrong_end_the_program(self):
        for name, more, said in (("unknown", {"start_tsl": True}, "`start_tsl` is not a setting"), ("base", {"users": {}}, "`users.base` must be given"),
                                 ("clear-text", {"uris": ["ldap://ldap.example.com"], "start_tls": False}, "`start_tls` may be false")):
            with self.subTest(name):
                done = subprocess.run([binary("AUTH"), "--listen", "127.0.0.1:0", *map(str, self.cluster.identity("auth", "default")), "--database",
                                       str(self.cluster.folder / f"{name}.db"), "--master-key-file", str(self.cluster.folder / "master.key"),
                                       "--health-listen", "", "--metrics-listen", "", "--directory", str(self.settings(name, **more))],
                                      capture_output=True, text=True, timeout=30, check=False)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(said, done.stderr)
                self.assertEqual(done.stderr.count("\n"), 1, done.stderr)


if __name__ == "__main__":
    unittest.main()
