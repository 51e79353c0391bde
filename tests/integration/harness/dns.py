"""A DNS server on loopback, by UDP and TCP, that answers by script: what an attacker's zone may hold, and how servers fail.

Names are kept and compared in lower case. What is in no table does not exist (NXDOMAIN). An answer that does not fit into the
datagram is truncated, so that the resolver comes again by TCP.
"""
import ipaddress
import socket
import struct
import threading
import time

TYPES = {"A": 1, "CNAME": 5, "PTR": 12, "AAAA": 28}
SERVFAIL, NXDOMAIN, REFUSED = 2, 3, 5


def reverse(address):
    return ipaddress.ip_address(address).reverse_pointer


def listed(address, zone):
    """The name that a block list is asked for (RFC 5782)."""
    return reverse(address).rsplit(".", 2)[0] + "." + zone


def wire(name):
    """A name as labels; a list of octets is taken as the labels, whatever is in them."""
    labels = name if isinstance(name, list) else [label.encode() for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


class DnsServer:
    """`a`, `ptr`, `cname` add records; `fail[name]` or `everything` is how questions fail: "servfail", "refused", "silence", seconds to
    wait before the answer, "truncated" (by TCP too), or octets that are sent instead of an answer's body."""

    def __init__(self, ttl=60):
        self.ttl = ttl
        self.records = {}
        self.fail = {}
        self.everything = None
        self.questions = []  # (name, type, "udp" or "tcp")
        self.lock = threading.Lock()
        while True:  # one port for both
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.udp.bind(("127.0.0.1", 0))
            self.port = self.udp.getsockname()[1]
            try:
                self.tcp = socket.create_server(("127.0.0.1", self.port), backlog=64)
                break
            except OSError:
                self.udp.close()
        self.address = f"127.0.0.1:{self.port}"
        for serve in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.udp.close()
        self.tcp.close()

    # ------------------------------------------------------------------------------------------------------- the zone

    def add(self, name, kind, data):
        with self.lock:
            self.records.setdefault((name.lower(), kind), []).append(data)

    def a(self, name, *addresses):
        for address in addresses:
            ip = ipaddress.ip_address(address)
            self.add(name, "A" if ip.version == 4 else "AAAA", ip.packed)

    def ptr(self, address, *names):
        for name in names:
            self.add(reverse(address), "PTR", wire(name))

    def cname(self, name, target):
        self.add(name, "CNAME", wire(target))

    def client(self, address, name):
        """A client with a name that resolves back."""
        self.ptr(address, name)
        self.a(name, address)

    def asked(self, name):
        with self.lock:
            return [question for question in self.questions if question[0] == name.lower()]

    # ----------------------------------------------------------------------------------------------------- the server

    def _answer(self, query, transport):
        """The whole answer, or None for silence."""
        at, labels = 12, []
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]])
            at += 1 + query[at]
        question = query[12:at + 5]
        kind = struct.unpack(">H", query[at + 1:at + 3])[0]
        name = b".".join(labels).decode("latin-1").lower()
        with self.lock:
            self.questions.append((name, kind, transport))
            failure = self.fail.get(name, self.everything)
        header = lambda flags, answers: query[:2] + struct.pack(">HHHHH", 0x8180 | flags, 1, answers, 0, 0) + question  # noqa: E731
        if failure == "silence":
            return None
        if failure == "servfail":
            return header(SERVFAIL, 0)
        if failure == "refused":
            return header(REFUSED, 0)
        if failure == "truncated":
            return header(0x0200, 0)
        if isinstance(failure, bytes):
            return header(0, 1) + failure
        if failure is not None:
            time.sleep(failure)
        found, known = self._find(name, kind)
        if not found and not known:
            return header(NXDOMAIN, 0)
        answer = header(0, len(found)) + b"".join(
            wire(owner) + struct.pack(">HHIH", TYPES[of], 1, self.ttl, len(data)) + data for owner, of, data in found)
        if transport == "udp" and len(answer) > 1200:
            return header(0x0200, 0)
        return answer

    def _find(self, name, kind):
        """Records from the name on, along its aliases; and whether there is anything of that name."""
        wanted = {number: text for text, number in TYPES.items()}.get(kind)
        found = []
        with self.lock:
            known = any(owner == name for owner, _ in self.records)
            seen = set()
            while (alias := self.records.get((name, "CNAME"))) and name not in seen:
                seen.add(name)
                found.append((name, "CNAME", alias[0]))
                name = _text(alias[0])
            found += [(name, wanted, data) for data in self.records.get((name, wanted), [])]
        return found, known

    def _serve_udp(self):
        while True:
            try:
                query, peer = self.udp.recvfrom(4096)
            except OSError:
                return
            threading.Thread(target=self._respond_udp, args=(query, peer), daemon=True).start()

    def _respond_udp(self, query, peer):
        answer = self._answer(query, "udp")
        if answer is not None:
            try:
                self.udp.sendto(answer, peer)
            except OSError:
                pass

    def _serve_tcp(self):
        while True:
            try:
                sock, _ = self.tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._respond_tcp, args=(sock,), daemon=True).start()

    def _respond_tcp(self, sock):
        with sock, sock.makefile("rb") as stream:
            try:
                while len(length := stream.read(2)) == 2:
                    answer = self._answer(stream.read(struct.unpack(">H", length)[0]), "tcp")
                    if answer is None:
                        time.sleep(60)
                        return
                    sock.sendall(struct.pack(">H", len(answer)) + answer)
            except OSError:
                pass


def _text(octets):
    labels, at = [], 0
    while octets[at]:
        labels.append(octets[at + 1:at + 1 + octets[at]])
        at += 1 + octets[at]
    return b".".join(labels).decode("latin-1").lower()
