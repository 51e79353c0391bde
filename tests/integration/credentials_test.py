#!/usr/bin/python3
"""Who the auth service says that a client is, and what the edge makes of it: credentials bound to networks and senders and revoked one by
one, groups that a virtual server names, addresses of one's own. One cluster, a real edge; requirements.md 8, threats.md A15; api.md.
"""
import itertools
import time
import unittest

from harness.auth_api import AuthApi
from harness.client import Client, Closed
from harness.cluster import Cluster
from harness.processes import wait_for
from harness.recorder import Recorder

PASSWORD = "correct horse battery"
LOCAL, FOREIGN = "<b@in.example>", "<b@elsewhere.example>"
OFFICE, HOME = "127.0.7.1", "127.0.8.1"
ACCEPTED, WRONG = "235 2.7.0 Authentication successful", "535 5.7.8 Authentication credentials invalid"
NO_RELAY = "550 5.7.1 Unable to relay for b@elsewhere.example"


class Credentials(unittest.TestCase):
    numbers = itertools.count(1)

    @classmethod
    def setUpClass(cls):
        cls.upstream = Recorder()
        cls.addClassCleanup(cls.upstream.close)
        cls.cluster = Cluster()
        cls.addClassCleanup(cls.cluster.stop)
        cls.cluster.start()
        cls.api = AuthApi(cls.cluster)
        cls.addClassCleanup(cls.api.close)
        clear = {"basic": {"allowClearTextCredentials": True}}
        staff = {"mode": "ONLY_LIST", "principals": ["groups/staff"]}
        common = {"local_domains": ["in.example"], "sessionLimits": {"authFailureDelay": "0s", "authFailureJitter": "0s"}}
        cls.cluster.virtual_server("any", cls.upstream.address, authentication=clear, **common)
        cls.cluster.virtual_server("staff", cls.upstream.address, authentication=clear, relay={"authenticated": staff}, **common)
        cls.cluster.virtual_server("own", cls.upstream.address, authentication={**clear, "sendAs": "OWN_ADDRESSES"}, **common)
        cls.edge = cls.cluster.edge("edge1", threads=1)

    def setUp(self):
        user = f"u{next(self.numbers)}"
        self.login, self.name = f"{user}@in.example", f"users/{user}"
        self.cluster.create_user(user, self.login, PASSWORD)

    def application_password(self, identifier, **credential):
        return self.api.call("CredentialService.CreateCredential", parent=self.name, credential_id=identifier,
                             credential=credential)["applicationPassword"]

    def client(self, virtual_server="any", source=OFFICE):
        client = Client(self.edge.port(virtual_server), source=source)
        self.addCleanup(lambda: client.sock.close())
        client.hello()
        return client

    def log_in(self, password=PASSWORD, virtual_server="any", source=OFFICE):
        """Who is in, and the answer; tried again while the service cannot say."""
        for _ in range(10):
            client = self.client(virtual_server, source)
            answer = client.auth_plain(self.login, password)
            if not answer.startswith("454"):
                return client, answer
        raise AssertionError(answer)

    def logged_in(self, *arguments, **options):
        client, answer = self.log_in(*arguments, **options)
        self.assertEqual(answer, ACCEPTED)
        return client

    def mail(self, client, sender):
        answer = client.command(f"MAIL FROM:<{sender}>")
        client.command("RSET")
        return answer

    def recipient(self, client, recipient=FOREIGN):
        client.command(f"MAIL FROM:<{self.login}>")
        answer = client.command(f"RCPT TO:{recipient}")
        client.command("RSET")
        return answer

    def test_a_credential_logs_in_from_its_networks_alone(self):
        password = self.application_password("scanner", networks=["127.0.7.0/24"])
        self.assertRegex(password, r"^([a-z2-7]{4}-){6}[a-z2-7]{4}$")
        client = self.logged_in(password)
        client.send(f"MAIL FROM:<{self.login}>\r\nRCPT TO:{LOCAL}\r\nDATA\r\n".encode())
        self.assertEqual([client.reply()[:3] for _ in range(3)], ["250", "250", "354"])
        client.send(b"Subject: x\r\n\r\nhello\r\n.\r\n")
        self.assertTrue(client.reply().startswith("250 2.0.0 Accepted "))
        self.assertEqual(self.log_in(password, source=HOME)[1], WRONG)
        self.assertEqual(self.log_in("wrong", source=HOME)[1], WRONG)
        self.logged_in(PASSWORD, source=HOME)
        self.assertIn('"reason":"network"', self.cluster.auth.log.read_text())
        self.assertNotIn(password, self.cluster.auth.log.read_text() + self.edge.log.read_text())

        def shown():
            credentials = {c["name"].rsplit("/", 1)[-1]: c for c in
                           self.api.call("CredentialService.ListCredentials", parent=self.name)["credentials"]}
            return "lastUseTime" in credentials["scanner"] and credentials
        credentials = wait_for(shown, 20, "the last use", every=0.2)
        self.assertEqual(credentials["scanner"]["lastUseNetwork"], OFFICE)
        self.assertEqual(list(credentials), ["password", "scanner", "scram"])
        self.assertIn("lastLoginTime", self.api.call("UserService.GetUser", name=self.name))

    def test_a_bound_credential_is_refused_other_senders(self):
        password = self.application_password("news", senders=["news@in.example", "@lists.example"])
        client = self.logged_in(password)
        for sender in ("news@in.example", "news@IN.example", "anybody@lists.example", ""):
            self.assertEqual(self.mail(client, sender), "250 2.1.0 Sender OK", sender)
        for sender in (self.login, "News@in.example", "a@sub.lists.example"):
            self.assertEqual(self.mail(client, sender), f"550 5.7.1 {self.login} may not send as {sender}")
        self.assertEqual(self.mail(self.logged_in(), self.login), "250 2.1.0 Sender OK")
        wait_for(lambda: '"rule":"credential.senders"' in self.edge.log.read_text(), what="the rule in the log")

    def test_a_user_sends_as_its_own_addresses(self):
        self.assertEqual(self.mail(self.logged_in(virtual_server="own"), self.login), "250 2.1.0 Sender OK")
        sales = "sales@in.example"
        self.assertEqual(self.mail(self.logged_in(virtual_server="own"), sales),
                         f"550 5.7.1 {self.login} may not send as {sales}")
        self.api.call("UserService.UpdateUser", user={"name": self.name, "addresses": [sales, self.login]})
        client = self.logged_in(virtual_server="own")
        self.assertEqual(self.mail(client, sales), "250 2.1.0 Sender OK")
        self.assertEqual(self.mail(client, self.login), "250 2.1.0 Sender OK")

    def test_a_group_gives_the_right_to_relay(self):
        self.api.call("GroupService.CreateGroup", group_id="staff", group={"displayName": "Staff"})
        before = self.logged_in(virtual_server="staff")
        self.assertEqual(self.recipient(before), NO_RELAY)
        self.assertEqual(self.recipient(before, LOCAL), "250 2.1.5 Recipient OK")
        self.api.call("UserService.UpdateUser", user={"name": self.name, "groups": ["groups/staff"]})
        member = self.logged_in(virtual_server="staff")
        self.assertEqual(self.recipient(member), "250 2.1.5 Recipient OK")
        self.assertEqual(self.recipient(before), NO_RELAY, "a session goes on with the groups that it began with")
        self.api.call("GroupService.DeleteGroup", name="groups/staff", force=True)
        self.assertEqual(self.recipient(self.logged_in(virtual_server="staff")), NO_RELAY)
        self.assertEqual(self.recipient(member), "250 2.1.5 Recipient OK")

    def test_a_revoked_credential_ends_sessions_within_a_second(self):
        phone, tablet = self.application_password("phone"), self.application_password("tablet")
        idle = self.logged_in(phone)
        busy = self.logged_in(tablet)
        self.assertEqual(busy.command(f"MAIL FROM:<{self.login}>"), "250 2.1.0 Sender OK")
        self.api.call("CredentialService.DeleteCredential", name=f"{self.name}/credentials/phone")
        began = time.monotonic()
        self.assertEqual(idle.reply(), "421 4.7.0 mail.example.com Login revoked")
        self.assertLess(time.monotonic() - began, 1)
        self.assertIs(idle.at_end(), True)
        # A transaction is finished first.
        busy.send(f"RCPT TO:{LOCAL}\r\nDATA\r\n".encode())
        self.assertEqual([busy.reply()[:3] for _ in range(2)], ["250", "354"])
        busy.send(b"Subject: x\r\n\r\nhello\r\n.\r\n")
        self.assertTrue(busy.reply().startswith("250 2.0.0 Accepted "))
        try:
            self.assertEqual(busy.reply(), "421 4.7.0 mail.example.com Login revoked")
        except Closed as closed:
            self.fail(f"closed without a word: {closed}")
        self.assertEqual(self.log_in(phone)[1], WRONG)
        self.logged_in(tablet)
        self.logged_in(PASSWORD)


if __name__ == "__main__":
    unittest.main()
