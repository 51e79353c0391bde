#!/usr/bin/python3
"""NTLM as attackers speak it, over the wire (threats.md A11; R13): messages that are none, old versions, MICs, replay, relay, channel
bindings in each mode. Every reply is held against protocol.md, and the reason against the auth service's log, so that a refusal is
for what is wrong and for nothing else. gss-ntlmssp says independently what is right: as initiator before us, and as acceptor beside us.

ntlmrelayx's own SMTP client knows no TLS; the relay is ours, a server between two connections as an attacker would set it up.
"""
import itertools
import os
import socket
import ssl
import struct
import sys
import threading
import unittest
import unittest.mock

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "integration"))
from harness import authority, ntlm  # noqa: E402
from harness.cluster import Cluster  # noqa: E402
from harness.ntlm import Ntlm  # noqa: E402
from harness.sasl import ACCEPTED, REJECTED, TOO_LONG, SaslClient, challenge, encode, judged, wait_offered  # noqa: E402

PASSWORD = "correct horse battery"
DOMAIN = "example.com"
MODES = ("off", "when", "required")
VICTIMS = tuple(f"victim{n}" for n in range(8))
NTLMSSP = "1.3.6.1.4.1.311.2.2.10"
# gss-ntlmssp's, of GSS_SPNEGO_REQUIRE_MIC: asked for, it announces a MIC.
REQUIRE_MIC = "1.3.6.1.4.1.7165.655.1.2"


class Attack(unittest.TestCase):
    """One edge, a virtual server for each setting. Each test attacks a user of its own: fifty failures make one unreachable."""

    @classmethod
    def setUpClass(cls):
        cls.cluster, cls.edge = World.cluster, World.edge

    def setUp(self):
        self.user = next(World.victims)

    def client(self, server="when", tls=True):
        client = SaslClient(self.edge.port(server, "STARTTLS"), tls)
        self.addCleanup(client.sock.close)
        return client

    def try_ntlm(self, server="when", bind=None, client=None, **options):
        """(reply, reason): bind: "ours", or octets."""
        client = client or self.client(server)
        bound_to = client.end_point() if bind == "ours" else bind or b""
        peer = Ntlm(options.pop("user", self.user), options.pop("password", PASSWORD), bound_to=bound_to, **options)
        reply = client.login("NTLM", peer.negotiate(), peer.authenticate)
        return reply, judged(self.cluster, client)[1]

    def refuse(self, steps, reason="ntlm_message", server="when", reply=REJECTED):
        client = self.client(server)
        self.assertEqual(client.login("NTLM", *steps), reply)
        if reason:
            self.assertEqual(judged(self.cluster, client)[1], reason)
        self.assertEqual(client.command("NOOP"), "250 2.0.0 OK")


class World:
    """What all tests share."""
    cluster = edge = victims = None

    @classmethod
    def build(cls):
        cls.cluster = Cluster()
        unittest.addModuleCleanup(cls.cluster.stop)
        cls.cluster.start()
        cls.cluster.certificate("mail", "mail.example.com")
        users = [{"kind": "User", "name": f"users/{name}", "login": f"{name}@{DOMAIN}", "password": PASSWORD, "ntlm": True}
                 for name in VICTIMS]
        settings = {"off": {"channelBinding": "OFF"}, "when": {}, "required": {"channelBinding": "REQUIRED"}, "mic": {"requireMic": True}}
        servers = [cls.cluster.document(
            name, "127.0.0.1:9", listeners=("STARTTLS",), local_domains=[DOMAIN], certificates=["certificates/mail"],
            authentication={"basic": {"defaultDomain": DOMAIN}, "integrated": {"ntlm": options}},
            sessionLimits={"maxAuthFailures": 10, "authFailureDelay": "0s", "authFailureJitter": "0s"})
            for name, options in settings.items()]
        cls.cluster.apply(*users, *servers)
        cls.edge = cls.cluster.edge("edge1")
        wait_offered(cls.edge.port("when", "STARTTLS"), "NTLM")
        cls.victims = itertools.cycle(VICTIMS)


def setUpModule():  # noqa: N802
    World.build()


class Messages(Attack):
    """What is no NTLM exchange."""

    def test_an_authenticate_first_is_refused(self):
        peer = Ntlm(self.user, PASSWORD)
        peer.negotiate()
        third = peer.authenticate(self.challenge_of_another())
        self.refuse([third])
        client = self.client()
        self.assertEqual(client.login("NTLM", third, initial=True), REJECTED)

    def challenge_of_another(self):
        client = self.client()
        client.command("AUTH NTLM")
        return challenge(client.command(encode(ntlm.negotiate())))

    def test_messages_out_of_order_are_refused(self):
        first = ntlm.negotiate()
        self.refuse([first, first])
        self.refuse([first, lambda octets: octets])
        self.refuse([self.challenge_of_another()])
        self.refuse([first, b"NTLMSSP\0\3\0\0\0"])
        self.refuse([b"junk"])
        self.refuse([first, b""])

    def test_a_cut_message_is_refused_at_every_length(self):
        first = ntlm.negotiate()
        for size in (1, 7, 8, 11, 12, 15):
            self.refuse([first[:size]])
        whole = Ntlm(self.user, PASSWORD)
        whole.negotiate()
        for size in (8, 12, 20, 28, 36, 44, 52, 60, 63, 64, 72, 87, 88, 100, 120):
            self.refuse([first, lambda octets: whole.authenticate(octets)[:size]])  # noqa: B023

    def test_fields_that_lie_elsewhere_are_refused(self):
        """Each field's length and offset beyond the end, behind the last octet, in the header (CVE-2023-42114, CVE-2023-42116)."""
        def forged(field, place):
            def authenticate(octets):
                values = {"nt": b"p" * 16 + b"\1\1" + b"\0" * 30, "user": self.user.encode("utf-16-le")}
                size = len(ntlm.write_authenticate(values))
                return ntlm.write_authenticate(values, header={field: place(size)})
            return authenticate
        places = {"beyond": lambda size: (16, size), "one over": lambda size: (2, size - 1), "huge offset": lambda size: (16, 0xffffffff),
                  "offset that wraps": lambda size: (0xffff, 0xffff8000), "huge length": lambda size: (0xffff, ntlm.PAYLOAD),
                  "in the header": lambda size: (16, 4)}
        for field in ntlm.FIELDS:
            client = self.client()
            for name, place in places.items():
                with self.subTest(f"{field} {name}"):
                    self.assertEqual(client.login("NTLM", ntlm.negotiate(), forged(field, place)), REJECTED)
                    self.assertEqual(judged(self.cluster, client)[1], "ntlm_message")

    def test_fields_of_a_negotiate_that_lie_elsewhere_are_refused(self):
        first = bytearray(ntlm.negotiate())
        for at, length, offset in ((16, 16, 0xfffffff0), (24, 0xffff, 32), (16, 1, 0)):
            wrong = bytearray(first)
            struct.pack_into("<HHI", wrong, at, length, length, offset)
            self.refuse([bytes(wrong)])

    def test_pairs_that_run_over_are_refused(self):
        for tail in (b"\x0a\0\xff\xff", b"\6\0\4\0", b"\6\0\1\0x\0\0\0\0", b"\x0a\0\4\0abcd\0\0\0\0", b"\1"):
            nt = b"p" * 16 + b"\1\1" + b"\0" * 26 + tail
            message = ntlm.write_authenticate({"nt": nt, "user": self.user.encode("utf-16-le")})
            self.refuse([ntlm.negotiate(), message])

    def test_the_largest_message_is_handled_and_a_larger_one_is_too_long(self):
        whole = ntlm.negotiate()
        self.refuse([whole, whole.ljust(9216, b"\0")])
        client = self.client()
        client.login("NTLM", whole)
        self.assertEqual(client.command("A" * 12292), TOO_LONG)
        self.assertEqual(client.command("NOOP"), "250 2.0.0 OK")

    def test_names_that_nobody_can_have_are_refused(self):
        for user in ("vic\0tim", "v\x01", "", "x" * 256, "\ud800"):
            def authenticate(octets, user=user):
                peer = Ntlm("someone", PASSWORD)
                peer.negotiate()
                _, nt = peer.answers(ntlm.Challenge(octets))
                return ntlm.write_authenticate({"nt": nt, "user": user.encode("utf-16-le", "surrogatepass")})
            self.refuse([ntlm.negotiate(), authenticate])


class Versions(Attack):
    """v2 and nothing older, though the password is right."""

    def test_only_version_two_is_accepted(self):
        self.assertEqual(self.try_ntlm(), (ACCEPTED, ""))
        self.assertEqual(self.try_ntlm(password="wrong"), (REJECTED, "wrong_password"))
        self.assertEqual(self.try_ntlm(user="nobody"), (REJECTED, "unknown"))
        for version, reason in (("v1", "ntlm_v1"), ("v1 with extended security", "ntlm_v1"), ("lm", "ntlm_message"),
                                ("anonymous", "ntlm_message")):
            with self.subTest(version):
                self.assertEqual(self.try_ntlm(version=version), (REJECTED, reason))

    def test_the_domain_is_hashed_as_sent_and_looked_up_never(self):
        self.assertEqual(self.try_ntlm(domain="CORP"), (ACCEPTED, ""))
        self.assertEqual(self.try_ntlm(user=f"{self.user}@{DOMAIN}", domain=""), (ACCEPTED, ""))
        self.assertEqual(self.try_ntlm(user=self.user.upper()), (ACCEPTED, ""))

    def test_ntlm_auth_in_its_old_levels_is_refused(self):
        from ntlm_auth.ntlm import NtlmContext
        for level, right in ((0, REJECTED), (1, REJECTED), (2, REJECTED), (3, ACCEPTED), (5, ACCEPTED)):
            with self.subTest(level):
                client = self.client()
                peer = NtlmContext(self.user, PASSWORD, domain="", workstation="PC", ntlm_compatibility=level)
                self.assertEqual(client.login("NTLM", peer.step(), peer.step), right)


    def test_impacket_logs_in_by_version_two_alone(self):
        from impacket import ntlm as impacket
        for newer, reply in ((True, ACCEPTED), (False, REJECTED)):
            first = impacket.getNTLMSSPType1(use_ntlmv2=newer)
            self.assertEqual(self.client().login("NTLM", first.getData(), lambda octets: impacket.getNTLMSSPType3(
                first, octets, self.user, PASSWORD, "", use_ntlmv2=newer)[0].getData()), reply)  # noqa: B023


class Mic(Attack):
    def test_a_mic_is_verified_when_it_is_announced_and_required_by_the_switch(self):
        for server, without in (("when", (ACCEPTED, "")), ("mic", (REJECTED, "mic_missing"))):
            with self.subTest(server):
                self.assertEqual(self.try_ntlm(server), (ACCEPTED, ""))
                self.assertEqual(self.try_ntlm(server, mic=False), without)
                self.assertEqual(self.try_ntlm(server, break_mic=True), (REJECTED, "mic"))

    def test_a_mic_that_was_taken_out_is_missed(self):
        """CVE-2019-1040: who relays drops the MIC; that there was one stands under the proof."""
        for server in ("when", "mic"):
            peer = Ntlm(self.user, PASSWORD)

            def without(octets, peer=peer):
                message = peer.authenticate(octets)
                return message[:72] + b"\0" * 16 + message[88:]
            self.refuse([peer.negotiate(), without], "mic", server)

    def test_other_clients_announce_a_mic_that_is_right(self):
        from ntlm_auth.ntlm import NtlmContext
        for mic, reply in ((True, ACCEPTED), (False, REJECTED)):
            self.assertEqual(self.client("mic").login("NTLM", *initiator(self.user, None, mic=mic)), reply)
        peer = NtlmContext(self.user, PASSWORD, domain="", workstation="PC")
        self.assertEqual(self.client("mic").login("NTLM", peer.step(), peer.step), ACCEPTED)

    def test_flags_changed_on_the_way_break_the_mic(self):
        peer = Ntlm(self.user, PASSWORD)
        self.refuse([peer.negotiate()[:12] + struct.pack("<I", ntlm.FLAGS & ~ntlm.ALWAYS_SIGN) + peer.first[16:], peer.authenticate], "mic")

    def test_pairs_changed_on_the_way_break_the_proof(self):
        peer = Ntlm(self.user, PASSWORD, mic=False, bound_to=b"tls-server-end-point:another")

        def unbound(octets):
            message = peer.authenticate(octets)
            at = message.index(ntlm.binding(peer.bound_to))
            return message[:at] + b"\0" * 16 + message[at + 16:]
        self.refuse([peer.negotiate(), unbound], "wrong_password")


class Replay(Attack):
    def test_an_authenticate_proves_nothing_elsewhere(self):
        taken = []
        peer = Ntlm(self.user, PASSWORD, mic=False)

        def authenticate(octets):
            taken.append(peer.authenticate(octets))
            return taken[0]
        client = self.client()
        self.assertEqual(client.login("NTLM", peer.negotiate(), authenticate), ACCEPTED)
        for server in ("when", "off"):
            self.refuse([peer.first, taken[0]], "wrong_password", server)
        self.assertTrue(client.command("AUTH NTLM").startswith("503 5.5.1 "))

    def test_a_challenge_holds_for_one_exchange(self):
        client = self.client()
        seen = set()
        for _ in range(3):
            client.command("AUTH NTLM")
            octets = challenge(client.command(encode(ntlm.negotiate())))
            seen.add(ntlm.Challenge(octets).nonce)
            client.command("*")
        self.assertEqual(len(seen), 3)
        peer = Ntlm(self.user, PASSWORD, mic=False)
        peer.negotiate()
        self.assertEqual(client.login("NTLM", ntlm.negotiate(), peer.authenticate(octets)), REJECTED)


class Relay(Attack):
    """A server of the attacker's, under a certificate of its own, that hands a victim's exchange on to the edge."""

    def relayed(self, server, victim):
        """What the edge says at last to the attacker. victim(client) makes the exchange's steps for a client of the attacker's."""
        attacker = Attacker(lambda: self.client(server))
        self.addCleanup(attacker.close)
        client = SaslClient(attacker.port)
        self.addCleanup(client.sock.close)
        client.login("NTLM", *victim(client))
        attacker.thread.join(20)
        return attacker.reply

    def test_relay_and_bindings_in_each_mode(self):
        """OFF does not look; WHEN_SUPPORTED protects who binds; REQUIRED protects everybody."""
        expected = {"off": (ACCEPTED, ACCEPTED), "when": (ACCEPTED, REJECTED), "required": (REJECTED, REJECTED)}
        for server, (without, bound) in expected.items():
            for name, victim in (("ours", self.ours), ("gss-ntlmssp", self.gss), ("ntlm_auth", self.ntlm_auth)):
                with self.subTest(f"{name} at {server}"):
                    self.assertEqual(self.relayed(server, lambda client: victim(client, False)), without)  # noqa: B023
                    self.assertEqual(self.relayed(server, lambda client: victim(client, True)), bound)  # noqa: B023

    def test_the_same_victims_log_in_themselves(self):
        for server in MODES:
            for name, victim in (("ours", self.ours), ("gss-ntlmssp", self.gss), ("ntlm_auth", self.ntlm_auth)):
                with self.subTest(f"{name} at {server}"):
                    client = self.client(server)
                    self.assertEqual(client.login("NTLM", *victim(client, True)), ACCEPTED)

    def test_a_binding_that_is_missing_or_another_s(self):
        expected = {"off": ((ACCEPTED, ""), (ACCEPTED, "")), "when": ((ACCEPTED, ""), (REJECTED, "binding")),
                    "required": ((REJECTED, "binding_missing"), (REJECTED, "binding"))}
        for server, (missing, wrong) in expected.items():
            with self.subTest(server):
                self.assertEqual(self.try_ntlm(server), missing)
                self.assertEqual(self.try_ntlm(server, bind=b"tls-server-end-point:" + b"x" * 32), wrong)
                self.assertEqual(self.try_ntlm(server, bind="ours"), (ACCEPTED, ""))
                # Sixteen zeros mean none ([MS-NLMP] 2.2.2.1).
                with unittest.mock.patch.object(ntlm, "binding", lambda _: b"\0" * 16):
                    self.assertEqual(self.try_ntlm(server, bind="ours"), missing)

    def ours(self, client, bind):
        peer = Ntlm(self.user, PASSWORD, bound_to=client.end_point() if bind else b"")
        return peer.negotiate(), peer.authenticate

    def gss(self, client, bind):
        return initiator(self.user, client.end_point() if bind else None)

    def ntlm_auth(self, client, bind):
        from ntlm_auth.gss_channel_bindings import GssChannelBindingsStruct
        from ntlm_auth.ntlm import NtlmContext
        binding = None
        if bind:
            binding = GssChannelBindingsStruct()
            binding[binding.APPLICATION_DATA] = client.end_point()
        peer = NtlmContext(self.user, PASSWORD, domain="", workstation="PC", cbt_data=binding)
        return peer.step(), peer.step


class Attacker:
    """One SMTP session under TLS; what the victim says behind AUTH NTLM goes to the edge, and back. `reply`: how it ended."""

    def __init__(self, connect):
        certificate, key = authority.Authority("attacker").issue("mail.example.com", names=["mail.example.com"], usage=(authority.SERVER,))
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        path = World.cluster.folder / f"attacker-{id(self)}.pem"
        path.write_text(authority.pem(certificate) + authority.key_pem(key))
        self.context.load_cert_chain(path)
        self.connect = connect
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.reply = None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def close(self):
        self.listener.close()

    def run(self):
        sock, _ = self.listener.accept()
        sock.settimeout(20)
        with sock:
            sock.sendall(b"220 mail.example.com ESMTP\r\n")
            sock.recv(1000)
            sock.sendall(b"250-mail.example.com\r\n250 STARTTLS\r\n")
            sock.recv(1000)
            sock.sendall(b"220 2.0.0 Ready\r\n")
            with self.context.wrap_socket(sock, server_side=True) as tls, tls.makefile("rb") as lines, self.connect().sock as edge:
                edge_lines = edge.makefile("rb")
                lines.readline()
                tls.sendall(b"250-mail.example.com\r\n250 AUTH NTLM\r\n")
                while True:
                    edge.sendall(lines.readline())
                    said = edge_lines.readline()
                    if not said.startswith(b"334"):
                        break
                    tls.sendall(said)
                self.reply = said.decode().rstrip("\r\n")
                tls.sendall(b"535 5.7.8 no\r\n")


def oid(text):
    import gssapi
    return gssapi.OID.from_int_seq(text)


def bindings(data):
    import gssapi
    return gssapi.raw.ChannelBindings(application_data=data) if data else None


def initiator(user, end_point, password=PASSWORD, domain="", mic=True):
    """gss-ntlmssp as a client: the two steps of its exchange."""
    import gssapi
    mech = oid(NTLMSSP)
    name = gssapi.Name(f"{domain}\\{user}" if domain else user, gssapi.NameType.user)
    credential = gssapi.raw.acquire_cred_with_password(name, password.encode(), mechs=[mech], usage="initiate").creds
    service = gssapi.Name("smtp@mail.example.com", gssapi.NameType.hostbased_service)
    context = gssapi.SecurityContext(name=service, mech=mech, usage="initiate",
                                     creds=gssapi.Credentials(base=credential), channel_bindings=bindings(end_point))
    first = context.step()
    if mic:
        gssapi.raw.inquire_sec_context_by_oid(context, oid(REQUIRE_MIC))
    return first, context.step


class Oracle(Attack):
    """gss-ntlmssp as an acceptor, with our users: what it says of a client is what we say."""

    def acceptor(self, end_point):
        import gssapi
        path = World.cluster.folder / "ntlm.users"
        path.write_text("".join(f"CORP:{user}:{PASSWORD}\n" for user in VICTIMS))
        os.environ["NTLM_USER_FILE"] = str(path)
        return gssapi.SecurityContext(creds=gssapi.Credentials(usage="accept", mechs=[oid(NTLMSSP)]), usage="accept",
                                      channel_bindings=bindings(end_point))

    def verdict_of_oracle(self, first, second, end_point):
        import gssapi
        context = self.acceptor(end_point)
        try:
            context.step(second(context.step(first)))
            return True
        except gssapi.exceptions.GSSError:
            return False

    def both(self, end_point, make):
        """make() -> (first, second) for one exchange; both acceptors' verdicts."""
        client = self.client()
        first, second = make()
        ours = client.login("NTLM", first, second) == ACCEPTED
        first, second = make()
        return ours, self.verdict_of_oracle(first, second, end_point)

    def test_both_acceptors_say_the_same(self):
        end_point = self.client().end_point()

        def ours(**options):
            def make():
                peer = Ntlm(**{"user": self.user, "password": PASSWORD, "domain": "CORP", **options})
                return peer.negotiate(), peer.authenticate
            return make

        def theirs(bound_to, password=PASSWORD, mic=True):
            return lambda: initiator(self.user, bound_to, password, "CORP", mic)

        def cut(size):
            def make():
                peer = Ntlm(self.user, PASSWORD, "CORP")
                return peer.negotiate(), lambda octets: peer.authenticate(octets)[:size]
            return make
        cases = {
            "right": (ours(), True), "right without a MIC": (ours(mic=False), True), "bound": (ours(bound_to=end_point), True),
            "wrong password": (ours(password="wrong"), False), "wrong MIC": (ours(break_mic=True), False),
            "wrong binding": (ours(bound_to=b"tls-server-end-point:" + b"x" * 32), False),
            "gss-ntlmssp": (theirs(None), True), "gss-ntlmssp bound": (theirs(end_point), True),
            "gss-ntlmssp without a MIC": (theirs(None, mic=False), True),
            "gss-ntlmssp bound elsewhere": (theirs(b"tls-server-end-point:" + b"x" * 32), False),
            "gss-ntlmssp, wrong password": (theirs(end_point, "wrong"), False),
            "cut in the header": (cut(60), False), "cut in the payload": (cut(200), False), "empty": (cut(0), False),
        }
        for name, (make, right) in cases.items():
            with self.subTest(name):
                self.assertEqual(self.both(end_point, make), (right, right))


if __name__ == "__main__":
    unittest.main()
