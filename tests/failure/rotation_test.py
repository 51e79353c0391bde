#!/usr/bin/python3
"""What an operator replaces while mail goes on (rows F23 and F29; runbook, "Rotate" and "Restore").

Certificates of a virtual server under load: 30 (LONG=1: 100), each seen by a client before the next, no handshake fails. The programs'
certificate authority in three steps without a restart: both CAs everywhere, new leaves, the old CA out: no login fails, no program is
refused by another, and the old authority's identities are worth nothing in the end. Both databases restored from a backup: edges take
the older state as the service's word, users are those of the backup, and edges stay when the service is started again without --restored.
"""
import ctypes
import json
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import ssl
import struct
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "integration"))
from harness.authority import SERVER, Authority, key_pem, pem  # noqa: E402
from harness.client import Client, Closed  # noqa: E402
from harness.cluster import Cluster, binary  # noqa: E402
from harness.processes import wait_for  # noqa: E402
from harness.recorder import Recorder  # noqa: E402

ROTATIONS = 100 if os.environ.get("LONG") else 30
HANDSHAKERS = 4
PASSWORD = "correct horse"


class Relay:
    """A TCP relay between the edge and a service: cut() ends its connections, so that the next handshakes are new ones."""

    def __init__(self, port):
        self.to = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open = set()
        self.lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                near.close()
                continue
            with self.lock:
                self.open |= {near, far}
            back = threading.Thread(target=self._copy, args=(far, near), daemon=True)
            back.start()
            threading.Thread(target=self._there, args=(near, far, back), daemon=True).start()

    def _there(self, near, far, back):
        self._copy(near, far)
        back.join()
        near.close()
        far.close()

    def _copy(self, source, sink):
        try:
            while octets := source.recv(65536):
                sink.sendall(octets)
        except OSError:
            pass
        for sock in (source, sink):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        with self.lock:
            gone, self.open = self.open, set()
        for sock in gone:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()
        self.cut()


class Readings:
    """How often a file was read to its end by anybody (inotify): what a program that reloads has taken up."""

    CLOSED_UNCHANGED = 0x10

    def __init__(self, path):
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0 or libc.inotify_add_watch(self.fd, str(path).encode(), self.CLOSED_UNCHANGED) < 0:
            raise OSError(ctypes.get_errno(), f"inotify: {path}")
        self.count = 0

    def wait(self, count, what):
        def read():
            try:
                octets = os.read(self.fd, 65536)
            except BlockingIOError:
                octets = b""
            while octets:
                size = struct.unpack_from("iIII", octets)[3]
                octets = octets[16 + size:]
                self.count += 1
            return self.count >= count
        wait_for(read, 30, what, every=0.05)
        os.close(self.fd)


class Load:
    """Clients who shake hands and verify, and one who logs in and sends, until stop(); what fails is kept."""

    def __init__(self, edge, authority, handshakers):
        self.tls_port, self.submission_port = edge.port("mail", "IMPLICIT"), edge.port("mail", "STARTTLS")
        self.context = ssl.create_default_context(cadata=authority.pem())
        self.stopping = threading.Event()
        self.quiet = threading.Lock()  # held: nobody is logging in
        self.lock = threading.Lock()
        self.seen, self.failed, self.handshakes, self.messages = set(), [], 0, 0
        self.threads = [threading.Thread(target=self._run, args=(self.handshake,), daemon=True) for _ in range(handshakers)]
        self.threads.append(threading.Thread(target=self._run, args=(self.submit,), daemon=True))
        self.started = time.monotonic()
        for thread in self.threads:
            thread.start()

    def _run(self, once):
        while not self.stopping.is_set():
            try:
                once()
            except (OSError, Closed, AssertionError) as error:
                with self.lock:
                    self.failed.append(repr(error))

    def handshake(self):
        with Client(self.tls_port, implicit_tls=True, context=self.context) as client:
            assert client.banner.startswith("220"), client.banner
            serial = int(client.sock.getpeercert()["serialNumber"], 16)
        with self.lock:
            self.seen.add(serial)
            self.handshakes += 1

    def submit(self):
        with self.quiet, Client(self.submission_port, context=self.context) as client:
            client.hello()
            client.starttls()
            client.hello()
            # "Not now" is tried again, as clients do.
            wait_for(lambda: (said := client.auth_plain("alice@example.com", PASSWORD)).startswith("235") or self.refuse(said), 20, "235")
            for command in (lambda: client.command("MAIL FROM:<alice@example.com>"),
                            lambda: client.command("RCPT TO:<bob@example.com>"), lambda: client.command("DATA"),
                            lambda: client.command("Subject: on\r\n\r\nand on\r\n.")):
                said = command()
                assert said[0] in "23", said
        with self.lock:
            self.messages += 1

    @staticmethod
    def refuse(said):
        assert said.startswith("454"), said

    def progress(self, what):
        """Five more messages."""
        goal = self.messages + 5
        wait_for(lambda: self.messages >= goal, 30, f"messages {what}: {self.failed[:3]}", every=0.05)

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)
        self.seconds = time.monotonic() - self.started


class Rotation(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.upstream = Recorder()
        cls.addClassCleanup(cls.upstream.close)
        cls.cluster = Cluster()
        cls.addClassCleanup(cls.cluster.stop)
        cls.cluster.start()
        cls.cluster.create_user("alice", "alice@example.com", PASSWORD)
        cls.authority = Authority("Clients trust this")
        cls.cluster.certificates.add("mail")
        cls.serial = cls.import_certificate()
        cls.cluster.virtual_server("mail", cls.upstream.address, listeners=("STARTTLS", "IMPLICIT"), secure_channel=True, local_domains=["example.com"],
                                   connectionLimits={"maxPerSource": 0})
        # The edge has copies of its own of its identity, as it has on a machine of its own, and reaches the services by relays.
        cls.own = cls.cluster.folder / "edge-identity"
        cls.own.mkdir()
        for path in (cls.cluster.folder / "pki").iterdir():
            if path.name in ("ca.crt", "edge-default.crt", "edge-default.key"):
                shutil.copy(path, cls.own / path.name)
        cls.relays = [Relay(cls.cluster.config_port), Relay(cls.cluster.auth_port)]
        for relay in cls.relays:
            cls.addClassCleanup(relay.close)
        cls.edge = cls.cluster.edge("edge1", config_port=cls.relays[0].port, auth_port=cls.relays[1].port,
                                    identity=["--cert", cls.own / "edge-default.crt", "--key", cls.own / "edge-default.key", "--ca", cls.own / "ca.crt"])
        wait_for(cls.connected, 30, "the edge's streams")

    @classmethod
    def import_certificate(cls):
        """A new one for clients, under the same id; its serial number."""
        certificate, key = cls.authority.issue("mail.example.com", names=["mail.example.com"], usage=(SERVER,))
        for name, text in (("chain.pem", pem(certificate)), ("key.pem", key_pem(key))):
            (cls.cluster.folder / name).write_text(text)
        cls.cluster.ctl("certificate", "import", "mail", "--chain", cls.cluster.folder / "chain.pem", "--private-key", cls.cluster.folder / "key.pem")
        return certificate.serial_number

    @classmethod
    def connected(cls):
        streams = cls.edge.metrics()
        return streams["gatepost_edge_auth_streams"] >= 1 and streams["gatepost_edge_config_connected"] == 1

    def replace(self, source, name, *folders):
        """As the runbook says: written beside, and renamed."""
        for folder in folders:
            fresh = folder / f"{name}.new"
            shutil.copy(source, fresh)
            fresh.rename(folder / name)

    def reconnect(self, load):
        """New handshakes between the edge and both services, with nobody logging in meanwhile."""
        with load.quiet:
            for relay in self.relays:
                relay.cut()
            # The edge notices both, then is back.
            wait_for(lambda: all(relay.open for relay in self.relays) and self.connected(), 30, "the edge's streams", every=0.05)

    def presents(self, port, identity):
        """The serial number of what a service presents to an identity of ours; None: it is refused."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.load_cert_chain(f"{identity}.crt", f"{identity}.key")
        context.set_alpn_protocols(["h2"])
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as tcp, context.wrap_socket(tcp) as tls:
                # TLS 1.3: a refusal of our certificate is told after the handshake. SETTINGS is what a server of HTTP/2 says first.
                tls.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
                if not tls.recv(9):
                    return None
                return ssl.DER_cert_to_PEM_cert(tls.getpeercert(True))
        except (ssl.SSLError, ConnectionResetError):
            return None

    def test_1_certificates_of_clients_under_load(self):
        load = Load(self.edge, self.authority, HANDSHAKERS)
        try:
            for number in range(ROTATIONS):
                serial = self.import_certificate()
                wait_for(lambda: serial in load.seen or load.failed, 20, f"certificate {number} at a client")
                self.assertEqual(load.failed, [])
        finally:
            load.stop()
        self.assertEqual(load.failed, [])
        self.assertGreater(load.messages, 0)
        print(f"{ROTATIONS} certificates, {load.handshakes} handshakes at {load.handshakes / load.seconds:.0f}/s, {load.messages} messages, none failed")

    def test_2_the_programs_authority(self):
        old, new = self.cluster.folder / "pki", self.cluster.folder / "new-pki"
        for arguments in (["init", new], ["issue", "--dir", new, "config", "default", "--ip", "127.0.0.1", "--dns", "localhost"],
                          ["issue", "--dir", new, "auth", "default", "--ip", "127.0.0.1", "--dns", "localhost"],
                          ["issue", "--dir", new, "edge", "default"], ["issue", "--dir", new, "admin", "test"]):
            subprocess.run([binary("CTL"), "pki", *map(str, arguments)], check=True, capture_output=True)
        retired = self.cluster.folder / "retired"
        shutil.copytree(old, retired)
        ports = (self.cluster.config_port, self.cluster.auth_port)
        before = len(self.edge.events)
        load = Load(self.edge, self.authority, 1)
        try:
            load.progress("before")
            # 1. Everybody trusts both.
            both = self.cluster.folder / "both.crt"
            both.write_text((old / "ca.crt").read_text() + (new / "ca.crt").read_text())
            self.replace(both, "ca.crt", old, self.own)
            # Two channels of the edge read every 5 s, in turn.
            readings = Readings(self.own / "ca.crt")
            wait_for(lambda: all(self.presents(port, new / "admin-test") for port in ports), 30, "the services trust the new authority", every=0.2)
            readings.wait(2, "the edge reads both authorities")
            self.reconnect(load)
            load.progress("with both authorities")
            # 2. New leaves.
            for name in ("config-default", "auth-default", "edge-default", "admin-test"):
                for suffix in ("crt", "key"):
                    self.replace(new / f"{name}.{suffix}", f"{name}.{suffix}", old)
            for suffix in ("crt", "key"):
                self.replace(new / f"edge-default.{suffix}", f"edge-default.{suffix}", self.own)
            readings = Readings(self.own / "edge-default.key")
            for port, name in zip(ports, ("config", "auth")):
                leaf = (new / f"{name}-default.crt").read_text()
                wait_for(lambda: (self.presents(port, new / "admin-test") or "").strip() in leaf and self.presents(port, new / "admin-test"),  # noqa: B023
                         30, f"{name}'s new leaf", every=0.2)
            readings.wait(2, "the edge reads its new leaf")
            self.reconnect(load)
            load.progress("with new leaves")
            # 3. The old one goes.
            self.replace(new / "ca.crt", "ca.crt", old, self.own)
            readings = Readings(self.own / "ca.crt")
            wait_for(lambda: not any(self.presents(port, retired / "admin-test") for port in ports), 30, "the old authority is refused", every=0.2)
            readings.wait(2, "the edge reads the new authority alone")
            self.reconnect(load)
            load.progress("with the new authority")
            self.cluster.ctl("edge", "list")
        finally:
            load.stop()
        self.assertEqual(load.failed, [])
        self.assertTrue(all(p.running() for p in (self.edge, self.cluster.config, self.cluster.auth)))
        # The edge was cut off by us alone: no service was refused by it, nor it by a service.
        said = json.dumps([e for e in self.edge.events[before:] if e.get("event") == "config_disconnected"])
        for sign in ("handshake", "certificate", "Ssl", "SSL", "verify"):
            self.assertNotIn(sign, said)
        print(f"A new authority in {load.seconds:.0f} s: {load.messages} messages with a login, {load.handshakes} handshakes, none failed")

    def restore(self, database, copy):
        for suffix in ("", "-wal", "-shm"):
            path = pathlib.Path(f"{database}{suffix}")
            path.unlink(missing_ok=True)
        shutil.copy(copy, database)

    def login(self, user, password):
        """The reply to AUTH; a 454 is asked again, as a client would: the service has just been started."""
        said = []

        def judged():
            with Client(self.edge.port("mail", "STARTTLS")) as client:
                client.hello()
                client.starttls()
                client.hello()
                said.append(client.auth_plain(user, password))
            return not said[-1].startswith("454")
        wait_for(judged, 30, "the auth service's judgement", every=0.2)
        return said[-1][:3]

    def test_3_both_databases_from_a_backup(self):
        cluster, folder = self.cluster, self.cluster.folder
        for name in ("config", "auth"):
            source, copy = sqlite3.connect(folder / f"{name}.db"), sqlite3.connect(folder / f"{name}-backup.db")
            source.backup(copy)
            source.close()
            copy.close()
        # What is done after the backup is what a restore takes back.
        cluster.virtual_server("late", self.upstream.address, anonymous=True, local_domains=["example.com"])
        late = self.edge.port("late")
        cluster.wait_listening(self.edge)
        for number in range(5):
            cluster.ctl("virtual-server", "update", "mail", "--set", f"displayName=after the backup {number}")
        cluster.ctl("user", "set-password", "alice", "--password-stdin", stdin="battery staple\n")
        cluster.create_user("dave", "dave@example.com", PASSWORD)
        self.assertEqual([self.login("alice@example.com", PASSWORD), self.login("alice@example.com", "battery staple")], ["535", "235"])
        revision = json.loads(cluster.ctl("edge", "list", "--output", "json"))[0]["currentRevision"]
        epoch = cluster.config.event("started")["epoch"]

        for service in (cluster.config, cluster.auth):
            service.signal(signal.SIGTERM)
        for service in (cluster.config, cluster.auth):
            self.assertEqual(service.stop(), 0)
        with Client(late) as client:
            self.assertTrue(client.banner.startswith("220"), "with the services down the edge serves what it last knew")
        for name in ("config", "auth"):
            self.restore(folder / f"{name}.db", folder / f"{name}-backup.db")
        # Without --restored nothing is rolled back, and the service says what it sees.
        cluster.start_config()
        self.assertEqual(cluster.config.event("edge_ahead")["revision"], int(revision))
        with Client(late) as client:
            self.assertTrue(client.banner.startswith("220"))
        cluster.config.kill()

        cluster.config_options, cluster.auth_options = ["--restored"], ["--restored"]
        cluster.start_config()
        cluster.start_auth()
        started = cluster.config.event("started")
        self.assertLess(int(started["revision"]), int(revision), "time went backwards")
        self.assertNotEqual(started["epoch"], epoch)
        cluster.wait_applied()

        def closed():
            try:
                socket.create_connection(("127.0.0.1", late), timeout=5).close()
                return False
            except ConnectionRefusedError:
                return True
        wait_for(closed, 20, "the listener of what the backup does not have")
        del cluster.ports[("late", "NONE")]
        self.assertEqual([self.login("alice@example.com", "battery staple"), self.login("dave@example.com", PASSWORD), self.login("alice@example.com", PASSWORD)],
                         ["535", "535", "235"])
        with Client(self.edge.port("mail", "IMPLICIT"), implicit_tls=True, context=ssl.create_default_context(cadata=self.authority.pem())) as client:
            self.assertTrue(client.banner.startswith("220"))

        # The next start is an ordinary one: the same epoch, and edges take the next change as they always do.
        cluster.config_options, cluster.auth_options = [], []
        cluster.config.kill()
        cluster.auth.kill()
        cluster.start_config()
        cluster.start_auth()
        self.assertEqual(cluster.config.event("started")["epoch"], started["epoch"])
        cluster.ctl("virtual-server", "update", "mail", "--set", "bannerText=ESMTP restored")
        cluster.wait_applied()

        def greets():
            with Client(self.edge.port("mail", "STARTTLS")) as client:
                return "restored" in client.banner
        wait_for(greets, 20, "the change after the restore")
        self.assertTrue(self.edge.running())


if __name__ == "__main__":
    unittest.main()
