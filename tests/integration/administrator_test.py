#!/usr/bin/python3
"""The administrator's side: CheckDns against a DNS server that lies, is silent or says nothing (R4), host names looked up when a list is
stored (R8), mistakes told in one line, the import of Exchange's receive connectors.
"""
import json
import os
import pathlib
import sys
import time
import unittest

from harness.client import Client
from harness.cluster import Cluster
from harness.dns import DnsServer
from harness.processes import wait_for
from harness.recorder import Recorder

FIXTURES = pathlib.Path("services/ctl/testdata")  # the build runs tests where its data are


class Administrator(unittest.TestCase):
    def setUp(self):
        self.dns = DnsServer()
        self.addCleanup(self.dns.close)
        self.cluster = Cluster()
        self.cluster.config_options = ["--dns-server", self.dns.address]
        self.addCleanup(self.cluster.stop)
        self.cluster.start()

    def ctl(self, *arguments, code=0, stdin=None):
        """What gatepostctl prints, checked for its exit code; a mistake is one line."""
        done = self.cluster.ctl(*arguments, check=False, stdin=stdin)
        self.assertEqual(done.returncode, code, f"{arguments}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def get(self, identifier):
        return json.loads(self.ctl("virtual-server", "get", identifier, "-o", "json"))


class CheckDns(Administrator):
    def test_a_name_that_points_back_is_as_it_should_be(self):
        self.dns.client("127.0.0.1", "mail.example.com")
        self.cluster.apply(self.cluster.document("inbound", "127.0.0.1:1"))
        said = self.ctl("virtual-server", "check-dns", "inbound")
        self.assertRegex(said, r"127\.0\.0\.1 +mail\.example\.com +yes +yes")
        self.assertIn("the reverse name of 127.0.0.1 is mail.example.com", said)
        self.assertIn("warning  127.0.0.1 is a private address", said)

    def test_what_is_wrong_is_said_and_the_exit_code_says_it_too(self):
        self.dns.a("mail.example.com", "192.0.2.1", "192.0.2.2", "2001:db8::1")
        self.dns.ptr("192.0.2.1", "host-1.provider.example")
        said = self.ctl("virtual-server", "check-dns", "mail.example.com")
        self.assertIn("the reverse name of 192.0.2.1 is host-1.provider.example, not mail.example.com", said)
        self.assertIn("192.0.2.2 has no reverse name", said)
        self.assertIn("2001:db8::1 has no reverse name", said)
        answer = json.loads(self.ctl("virtual-server", "check-dns", "mail.example.com", "-o", "json"))
        self.assertEqual([a["address"] for a in answer["addresses"]], ["192.0.2.1", "192.0.2.2", "2001:db8::1"])
        said = self.ctl("virtual-server", "check-dns", "nobody.example.com", code=1)
        self.assertIn("ERROR    nobody.example.com does not resolve", said)
        self.assertIn("does not exist", self.ctl("virtual-server", "check-dns", "nobody", code=1))
        self.assertEqual(self.ctl("virtual-server", "check-dns", "a..example", code=2), "gatepostctl: fqdn: has an empty label\n")

    def test_a_server_that_is_silent_or_fails_is_an_answer_in_time(self):
        self.dns.fail["slow.example"] = "silence"
        self.dns.fail["broken.example"] = "servfail"
        before = time.monotonic()
        said = self.ctl("virtual-server", "check-dns", "slow.example", code=1)
        self.assertLess(time.monotonic() - before, 10)
        self.assertIn("whether slow.example has IPv4 addresses cannot be said: the DNS servers did not answer in time", said)
        said = self.ctl("virtual-server", "check-dns", "broken.example", code=1)
        self.assertIn("answered with a failure", said)
        self.assertNotIn("does not resolve", said)

    def test_reverse_names_of_a_liar_do_no_harm(self):
        self.dns.a("mail.example.com", "192.0.2.1")
        for octets in (b"a\r\nb", b"\x1b[2J", b"a b"):
            self.dns.add("1.2.0.192.in-addr.arpa", "PTR", bytes([len(octets)]) + octets + b"\7example\0")
        said = self.ctl("virtual-server", "check-dns", "mail.example.com")
        self.assertIn("192.0.2.1 has no reverse name", said)
        self.assertNotIn("\x1b", said)


class HostNames(Administrator):
    def setUp(self):
        super().setUp()
        self.upstream = Recorder()
        self.addCleanup(self.upstream.close)
        self.cluster.virtual_server("inbound", self.upstream.address, anonymous=True, local_domains=["in.example"])
        self.edge = self.cluster.edge("edge1")

    def relays(self):
        with Client(self.edge.port("inbound")) as client:
            client.hello()
            client.command("MAIL FROM:<a@in.example>")
            return client.command("RCPT TO:<x@far.example>").startswith("250")

    def test_a_host_name_is_looked_up_once_and_its_addresses_decide(self):
        self.dns.a("scanner.example", "127.0.0.1", "2001:db8::7")
        self.assertFalse(self.relays())
        self.ctl("virtual-server", "update", "inbound", "--add-relay-entry", "host:Scanner.example", "--protocol-log", "on")
        self.assertEqual(self.get("inbound")["relay"]["entries"], [{"address": "127.0.0.1", "hostName": "scanner.example"},
                                                                   {"address": "2001:db8::7", "hostName": "scanner.example"}])
        self.assertTrue(self.get("inbound")["logging"]["protocolLog"])
        self.cluster.wait_applied()
        self.assertTrue(self.relays())
        # Other addresses later, or none, change nothing; the list that is stored is not looked up again.
        self.dns.everything = "servfail"
        self.ctl("virtual-server", "update", "inbound", "--set", "displayName=x")
        self.cluster.wait_applied()
        self.assertTrue(self.relays())
        self.ctl("virtual-server", "update", "inbound", "--remove-relay-entry", "host:scanner.example")
        self.cluster.wait_applied()
        self.assertFalse(self.relays())

    def test_a_name_that_cannot_be_looked_up_is_a_mistake_beside_all_others(self):
        self.dns.fail["broken.example"] = "servfail"
        said = self.ctl("virtual-server", "update", "inbound", "--add-relay-entry", "host:nobody.example", "--add-connection-entry",
                        "host:broken.example", "--set", "fqdn=a..b", code=2)
        for line in ("connection_control.entries[0].host_name: cannot be looked up", "fqdn: ",
                     "relay.entries[0].host_name: does not resolve: DNS knows no address of this name"):
            self.assertIn(line, said)
        self.assertNotIn("entries", self.get("inbound").get("relay", {}))

    def test_silence_of_dns_is_a_mistake_within_the_time_of_a_call(self):
        self.dns.fail["slow.example"] = "silence"
        before = time.monotonic()
        said = self.ctl("virtual-server", "update", "inbound", "--add-relay-entry", "host:slow.example", code=2)
        self.assertLess(time.monotonic() - before, 9)
        self.assertIn("the DNS servers did not answer in time", said)

    def test_applying_the_same_file_again_changes_nothing(self):
        self.dns.a("scanner.example", "192.0.2.9", "192.0.2.1")
        document = self.cluster.document("inbound", self.upstream.address, anonymous=True, local_domains=["in.example"],
                                         relay={"entries": [{"hostName": "scanner.example", "comment": "prints"}]})
        path = self.cluster.folder / "file.json"
        path.write_text(json.dumps([document]))
        said = self.ctl("apply", "-f", path, "--dry-run", "--diff")
        self.assertIn("192.0.2.1", said)
        self.assertIn("would be updated", said)
        self.assertIn("updated", self.ctl("apply", "-f", path))
        self.assertIn("unchanged", self.ctl("apply", "-f", path))
        self.dns.a("scanner.example", "192.0.2.2")
        # (For a moment the config service remembers what DNS said.)
        wait_for(lambda: "virtualServers/inbound updated" in self.ctl("apply", "-f", path), 20, "the new address")
        self.assertEqual(len(self.get("inbound")["relay"]["entries"]), 3)


class Exchange(Administrator):
    def test_what_is_imported_is_valid_and_a_dry_run_changes_nothing(self):
        self.cluster.certificate("mail", "mail.example.com")
        for fixture, count in (("exchange_names.json", 3), ("exchange_numbers.json", 1)):
            surroundings = ["--certificate", "mail", "--local-domain", "example.com", "--next-hop", "127.0.0.1:2525"]
            said = self.ctl("import", "exchange", FIXTURES / fixture, "--dry-run", *surroundings)
            self.assertEqual(said.count("would be created"), count, said)
            self.assertNotIn("not judged", said)
            documents = self.cluster.ctl("import", "exchange", FIXTURES / fixture, "-o", "yaml", *surroundings)
            self.assertEqual(self.ctl("apply", "-f", "-", "--dry-run", stdin=documents).count("would be created"), count)
        self.assertIn("There are no virtual servers", self.ctl("virtual-server", "list"))

    def test_an_import_opens_no_relay_and_lists_what_it_left_out(self):
        said = self.ctl("import", "exchange", FIXTURES / "exchange_names.json")
        for line in ("MAIL01\\Anonymous relay -> virtualServers/anonymous-relay", "that would be an open relay: 0.0.0.0-127.255.255.255",
                     "Some Future Property: is not known here", "certificates/exchange-import, self-signed, stands in",
                     "virtualServers/default-frontend-mail01 created"):
            self.assertIn(line, said)
        said = self.ctl("virtual-server", "list")
        self.assertNotIn("OPEN-RELAY", said)
        self.assertRegex(said, r"client-frontend-mail01 +STARTED +smtp\.example\.com")
        self.assertEqual(len(self.get("anonymous-relay")["relay"]["entries"]), 3)
        self.assertEqual(self.ctl("import", "exchange", FIXTURES / "exchange_names.json").count(" unchanged"), 4)

    def test_a_file_that_is_none_is_a_mistake_of_one_line(self):
        path = self.cluster.folder / "nonsense.json"
        path.write_text("{")
        said = self.ctl("import", "exchange", path, code=2)
        self.assertEqual(said.count("\n"), 1, said)
        self.assertIn("not JSON", said)


class Users(Administrator):
    """A company's users from a table, groups, passwords for devices: all by gatepostctl."""
    TABLE = ("login,display_name,password,groups,may_relay\r\n"
             'anna@in.example,"Anna, of sales",correct horse,staff sales,no\r\n'
             "bob@in.example,Bob,battery staple,staff,\r\n")

    def test_a_table_makes_users_and_can_be_imported_again(self):
        said = self.ctl("user", "import", "-", stdin=self.TABLE, code=1)
        self.assertIn("line 2, users/anna", said)
        self.assertIn("groups/staff", said, "a group that does not exist is named")
        for group in ("staff", "sales"):
            self.ctl("group", "create", group)
        self.assertIn("2 would be created", self.ctl("user", "import", "-", "--dry-run", stdin=self.TABLE))
        self.assertIn("There are no users", self.ctl("user", "list"))
        self.assertIn("2 created, 0 updated, 0 there already", self.ctl("user", "import", "-", stdin=self.TABLE))
        self.assertIn("0 created, 0 updated, 2 there already", self.ctl("user", "import", "-", stdin=self.TABLE))
        changed = self.TABLE.replace("Bob,battery staple", "Robert,another password")
        self.assertIn("0 created, 2 updated", self.ctl("user", "import", "-", "--update", stdin=changed))
        anna, bob = (json.loads(self.ctl("user", "get", user, "-o", "json")) for user in ("anna", "bob"))
        self.assertEqual((anna["displayName"], anna["groups"], anna["mayRelay"]), ("Anna, of sales", ["groups/sales", "groups/staff"], False))
        self.assertEqual((bob["displayName"], bob["mayRelay"]), ("Robert", True))
        self.assertLess(bob["passwordSetTime"], bob["updateTime"], "a table changes no password of who is there")
        self.assertIn("line 4: it has 1 cells, the header 5", self.ctl("user", "import", "-", stdin=self.TABLE + "x\n", code=2))

    def test_a_table_takes_nobody_elses_account(self):
        self.cluster.create_user("alice", "alice@a.example", "correct horse")
        for option in ([], ["--update"], ["--update", "--dry-run"]):
            said = self.ctl("user", "import", "-", *option, stdin="login\nalice@b.example\n", code=1)
            self.assertIn("line 2, users/alice: is alice@a.example; give the table a column `id`", said)
            self.assertIn("0 there already", said)
        said = self.ctl("user", "import", "-", stdin="id,login\nalice,alice@b.example\n", code=1)
        self.assertIn("line 2, users/alice: is alice@a.example; --update gives it the login of the table", said)
        self.assertEqual(json.loads(self.ctl("user", "get", "alice", "-o", "json"))["login"], "alice@a.example")
        self.assertIn("1 there already", self.ctl("user", "import", "-", stdin="login\nAlice@A.example\n"))
        self.assertIn("1 created", self.ctl("user", "import", "-", stdin="id,login\nalice-b,alice@b.example\n"))
        self.assertIn("1 updated", self.ctl("user", "import", "-", "--update", stdin="id,login\nalice,alice@c.example\n"))

    def test_groups_take_members_and_let_them_go(self):
        self.ctl("group", "create", "staff", "--display-name", "Everybody")
        self.cluster.create_user("anna", "anna@in.example", "correct horse")
        self.assertIn("joined groups/staff", self.ctl("group", "add-member", "staff", "anna"))
        self.assertIn("is in groups/staff", self.ctl("group", "add-member", "staff", "anna"))
        self.assertRegex(self.ctl("group", "members", "staff"), r"anna +anna@in\.example")
        self.assertRegex(self.ctl("group", "list"), r"staff +1 +Everybody")
        self.assertIn("has 1 members (--force takes them out of it)", self.ctl("group", "delete", "staff", code=1))
        self.assertIn("left groups/staff", self.ctl("group", "remove-member", "staff", "anna"))
        self.assertIn("deleted", self.ctl("group", "delete", "staff"))

    def test_a_password_for_a_device_is_shown_once_and_bound(self):
        self.cluster.create_user("anna", "anna@in.example", "correct horse")
        done = self.cluster.ctl("credential", "create", "anna", "scanner", "--network", "192.0.2.0/24", "--sender", "scans@in.example",
                                check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"^([a-z0-9]{4}-){6}[a-z0-9]{4}\n$", "standard output is the password alone")
        said = self.ctl("credential", "list", "anna")
        self.assertRegex(said, r"scanner +application password +192\.0\.2\.0/24 +scans@in\.example +never +never")
        self.assertRegex(said, r"scram +password \(SCRAM\) +any +any")
        self.assertNotIn(done.stdout.strip(), said + self.ctl("credential", "get", "anna", "scanner", "-o", "json"))
        self.ctl("credential", "update", "anna", "scanner", "--clear", "senders", "--network", "2001:db8::/32")
        self.assertRegex(self.ctl("credential", "list", "anna"), r"scanner +application password +2001:db8::/32 +any")
        self.assertIn("revoked", self.ctl("credential", "delete", "anna", "scanner"))
        self.assertNotIn("scanner", self.ctl("credential", "list", "anna"))

    def test_an_applied_file_makes_groups_before_their_members(self):
        text = ("kind: User\nname: users/anna\nlogin: anna@in.example\ngroups: [groups/staff]\n---\n"
                "kind: Group\nname: groups/staff\ndisplayName: Everybody\n")
        self.assertRegex(self.ctl("apply", "-f", "-", stdin=text), r"groups/staff.*created\n(.*\n)*.*users/anna.*created")
        self.assertRegex(self.ctl("apply", "-f", "-", stdin=text), r"groups/staff.*unchanged\n(.*\n)*.*users/anna.*unchanged")


if __name__ == "__main__":
    os.environ["PYTHONUNBUFFERED"] = "1"
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]])
