"""A packet capture on loopback, by tshark: what somebody on the wire would see of one port.

    with Capture(port) as capture:
        ...traffic...
    conversation = capture.conversations()[0]
    conversation.client, conversation.server   the octets each side sent, reassembled by tshark

A capture has begun when a datagram sent to the port is in its file, and is complete when one sent after the traffic is: nothing is
waited for by time. Needs CAP_NET_RAW; without it, and without tshark, the test is skipped and says so.
"""
import dataclasses
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest

from harness.processes import wait_for


@dataclasses.dataclass
class Conversation:
    """One TCP connection, in the order of its octets."""
    client: bytes
    server: bytes
    client_port: int


class NotTls(Exception):
    """Octets that are no sequence of whole TLS records."""


def tls_records(octets):
    """[(content type, length)] of octets that are TLS records (RFC 8446 5.1) from the first to the last; NotTls otherwise."""
    records, at = [], 0
    while at < len(octets):
        kind, major, minor = octets[at], octets[at + 1] if at + 1 < len(octets) else -1, octets[at + 2] if at + 2 < len(octets) else -1
        length = int.from_bytes(octets[at + 3:at + 5], "big")
        if kind not in (20, 21, 22, 23) or major != 3 or minor not in (1, 2, 3) or at + 5 + length > len(octets):
            raise NotTls(f"at octet {at} of {len(octets)}: {octets[at:at + 40]!r}")
        records.append((kind, length))
        at += 5 + length
    return records


class Capture:
    """tshark on `lo`, for one port."""

    def __init__(self, port):
        self.port = port
        self.folder = tempfile.mkdtemp(prefix="gatepost-capture-", dir="/tmp")
        self.path = os.path.join(self.folder, "capture.pcapng")
        self.process = None

    def __enter__(self):
        if shutil.which("tshark") is None:
            raise unittest.SkipTest("NOT VERIFIED: tshark is not installed (deploy/local/install test)")
        with open(os.path.join(self.folder, "tshark.log"), "wb") as log:
            self.process = subprocess.Popen(["tshark", "-i", "lo", "-f", f"port {self.port}", "-q", "-w", self.path],
                                            stdout=log, stderr=log, cwd=self.folder)
        try:
            self._mark(b"begin of " + os.urandom(12).hex().encode())
        except unittest.SkipTest:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        return self

    def _mark(self, mark):
        """Sends a datagram until it is in the file."""
        def seen():
            if self.process.poll() is not None:
                with open(os.path.join(self.folder, "tshark.log"), encoding="utf-8", errors="replace") as log:
                    raise unittest.SkipTest("NOT VERIFIED: capturing is impossible here (root or CAP_NET_RAW is needed): " + log.read())
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                try:
                    sock.sendto(mark, ("127.0.0.1", self.port))
                except OSError:
                    pass
            if not os.path.exists(self.path):
                return False
            with open(self.path, "rb") as file:
                return mark in file.read()
        wait_for(seen, 30, "a datagram in the capture", every=0.05)

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self._mark(b"end of " + os.urandom(12).hex().encode())
        finally:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGINT)
            self.process.wait(20)
            if kind is not None:
                shutil.rmtree(self.folder, ignore_errors=True)

    def tshark(self, *arguments):
        """What tshark says about the file."""
        return subprocess.run(["tshark", "-r", self.path, *arguments], capture_output=True, text=True, timeout=60, check=True).stdout

    def fields(self, display_filter, *fields, decode=()):
        """tshark's own reading: the values of `fields` in each packet that the filter selects."""
        arguments = [x for rule in decode for x in ("-d", rule)]
        text = self.tshark(*arguments, "-Y", display_filter, "-T", "fields", *[x for f in fields for x in ("-e", f)])
        return [line.split("\t") for line in text.splitlines()]

    def conversations(self):
        """Every TCP connection of the port, reassembled."""
        streams = {}
        for stream, source, target in self.fields("tcp.flags.syn == 1 && tcp.flags.ack == 0", "tcp.stream", "tcp.srcport", "tcp.dstport"):
            if int(target) == self.port:
                streams[int(stream)] = int(source)
        result = []
        for stream, client_port in sorted(streams.items()):
            text = self.tshark("-q", "-z", f"follow,tcp,raw,{stream}")
            sides = {False: bytearray(), True: bytearray()}
            body = text.split("Node 1:", 1)[1].split("\n", 1)[1].split("====")[0]
            for line in body.splitlines():
                # tshark indents what the second node (the listener) said.
                sides[line.startswith("\t")] += bytes.fromhex(line.strip())
            result.append(Conversation(bytes(sides[False]), bytes(sides[True]), client_port))
        return result

    def octets(self):
        """The whole file: for the question whether something is in it at all."""
        with open(self.path, "rb") as file:
            return file.read()

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)
