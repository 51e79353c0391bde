"""A client for the AUTH command that says what it is told to, and one under TLS by OpenSSL that knows its exporter (RFC 9266).

    client = SaslClient(port)                              # after STARTTLS and EHLO; client.offered
    client.login("SCRAM-SHA-256", scram.first(), scram.final)     # the last reply

Each client comes from a loopback address of its own, so that the brute-force defence takes them for strangers to each other, and
`judged` finds what the auth service has logged about it.
"""
import base64
import hashlib
import itertools
import os
import socket
import struct

from OpenSSL import SSL

from .client import Client, Closed
from .processes import wait_for

_sources = itertools.count(os.getpid() % 200 << 8)

REJECTED = "535 5.7.8 Authentication credentials invalid"
MALFORMED = "501 5.5.2 Cannot decode the response"
TOO_LONG = "500 5.5.6 Authentication exchange line is too long"
UNAVAILABLE = "454 4.7.0 Temporary authentication failure"
UNKNOWN = "504 5.5.4 Unrecognized authentication type"
NEEDS_TLS = "538 5.7.11 Encryption required for requested authentication mechanism"
CANCELLED = "501 5.7.0 Authentication cancelled"
ACCEPTED = "235 2.7.0 Authentication successful"

EXPORTER_LABEL = b"EXPORTER-Channel-Binding"
_NO_EXTENDED_MASTER_SECRET = 1  # SSL_OP_NO_EXTENDED_MASTER_SECRET of OpenSSL 3, which pyOpenSSL has no name for


def stranger():
    """A loopback address that no client of this process had."""
    number = next(_sources)
    return f"127.{16 + (number >> 16 & 0x7f)}.{number >> 8 & 0xff}.{number % 254 + 1}"


class ExportingSocket:
    """A socket under OpenSSL's TLS, as far as Client needs one."""

    def __init__(self, sock, version, extended_master_secret):
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
        if not extended_master_secret:
            context.set_options(_NO_EXTENDED_MASTER_SECRET)
        seconds = int(sock.gettimeout())
        sock.setblocking(True)
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", seconds, 0))
        self.sock = sock
        self.tls = SSL.Connection(context, sock)
        self.tls.set_tlsext_host_name(b"mail.example.com")
        self.tls.set_connect_state()
        self.tls.do_handshake()

    def exporter(self):
        # RFC 9266 4.2: with an empty context, which TLS 1.2 tells from none.
        return self.tls.export_keying_material(EXPORTER_LABEL, 32, b"")

    def finished(self):
        """tls-unique (RFC 5929 3) of a first handshake."""
        return self.tls.get_finished()

    def certificate(self):
        from cryptography.hazmat.primitives.serialization import Encoding
        return self.tls.get_peer_certificate().to_cryptography().public_bytes(Encoding.DER)

    def sendall(self, octets):
        self.tls.sendall(octets)

    def recv(self, size):
        try:
            return self.tls.recv(size)
        except SSL.ZeroReturnError:
            return b""
        except SSL.SysCallError as error:
            raise Closed(b"") from error

    def close(self):
        self.sock.close()


class SaslClient(Client):
    """tls: "TLSv1.3", "TLSv1.2", "TLSv1.2 without EMS" (by pyOpenSSL: `exporter()` works), True (Python's) or None."""
    VERSIONS = {"TLSv1.3": (SSL.TLS1_3_VERSION, True), "TLSv1.2": (SSL.TLS1_2_VERSION, True),
                "TLSv1.2 without EMS": (SSL.TLS1_2_VERSION, False)}

    def __init__(self, port, tls=True, source=None, context=None):
        self.source = source or stranger()
        super().__init__(port, source=self.source, context=context)
        greeting = self.hello()
        if tls in self.VERSIONS:
            answer = self.command("STARTTLS")
            assert answer.startswith("220"), answer
            self.sock = ExportingSocket(self.sock, *self.VERSIONS[tls])
            greeting = self.hello()
        elif tls:
            self.starttls()
            greeting = self.hello()
        self.offered = mechanisms(greeting)

    def exporter(self):
        return self.sock.exporter()

    def end_point(self):
        """tls-server-end-point (RFC 5929 4) of certificates signed with SHA-256; with the name in front."""
        der = self.sock.certificate() if isinstance(self.sock, ExportingSocket) else self.sock.getpeercert(binary_form=True)
        return b"tls-server-end-point:" + hashlib.sha256(der).digest()

    def login(self, mechanism, *steps, initial=False):
        """An exchange: each step is octets, or makes them from the octets of the challenge. The first reply that is not 334, or
        the last. initial: the first step goes with the command."""
        steps = list(steps)
        command = f"AUTH {mechanism}"
        if initial:
            command += " " + encode(steps.pop(0))
        reply = self.command(command)
        for step in steps:
            if not reply.startswith("334 "):
                break
            reply = self.command(encode(step(challenge(reply)) if callable(step) else step, empty=""))
        return reply


def encode(octets, empty="="):
    return base64.b64encode(octets).decode() if octets else empty


def challenge(reply):
    assert reply.startswith("334 "), reply
    return base64.b64decode(reply[4:])


def mechanisms(greeting):
    """What the EHLO's reply offers."""
    for line in greeting.split("\n"):
        if line[4:].startswith("AUTH "):
            return line[9:].split(" ")
    return []


def wait_offered(port, *names, tls=True):
    """Until the auth service has told the edge that it serves these: it finds a keytab, or the first NT hash, a moment later. Each
    worker of the edge is told by itself, and a connection may come to any of them."""
    def offered():
        for _ in range(8):
            client = SaslClient(port, tls)
            client.sock.close()
            if not set(names) <= set(client.offered):
                return False
        return True
    wait_for(offered, 30, f"the offer of {names}", every=0.1)


def judged(cluster, client, seconds=20):
    """(outcome, reason) of the last login that the auth service has judged of this client."""
    def of_client(event):
        return event.get("event") == "login" and event.get("client") == client.source
    cluster.auth.event(of_client, seconds)
    with cluster.auth.changed:
        last = [e for e in cluster.auth.events if of_client(e)][-1]
    return last["outcome"], last.get("reason", "")
