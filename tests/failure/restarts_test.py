#!/usr/bin/python3
"""2,000 messages while config, auth and Postfix are each killed and restarted and one edge is drained by SIGTERM.

Clients log every last reply; the Maildirs are the truth. Nothing acknowledged is absent, nothing is present whose dot was not sent,
no transaction is cut by SIGTERM; config dead: mail flows; auth dead: 454; Postfix dead: 451. Rows F2 (drain), F4, F12, F13.
"""
import hashlib
import os
import signal
import socket
import ssl
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "integration"))
from harness import ledger as books  # noqa: E402
from harness.client import Client, Closed  # noqa: E402
from harness.cluster import Cluster  # noqa: E402
from harness.postfix import Postfix, skip_unless_available  # noqa: E402
from harness.processes import wait_for  # noqa: E402

MESSAGES = int(os.environ.get("LEDGER_MESSAGES", "2000"))
CLIENTS = 8
PASSWORD = "correct horse"


class Sender(threading.Thread):
    """A mail client: sessions of a few messages each, over TLS with a password, on any edge that takes it."""

    def __init__(self, number, test):
        super().__init__(daemon=True)
        self.number = number
        self.test = test
        self.cut = []  # transactions that ended without a reply
        self.failure = None

    def run(self):
        try:
            session = 0
            while self.test.running.is_set():
                session += 1
                self.session(self.test.ports[(self.number + session) % len(self.test.ports)])
        except BaseException as error:  # noqa: BLE001 - reported by the test
            self.failure = error

    def session(self, port):
        try:
            client = Client(port, seconds=30)
        except (OSError, Closed):
            self.test.note("no session")
            return self.test.running.wait(0) and self.test.pause()
        try:
            if not client.banner.startswith("220"):
                return self.test.note("greeting " + client.banner[:3])
            client.hello()
            client.starttls()
            client.hello()
            answer = client.auth_plain("alice@example.com", PASSWORD)
            self.test.note("auth " + answer[:3])
            if not answer.startswith("235"):
                return self.test.pause()
            for _ in range(5):
                if not self.test.running.is_set() or not self.message(client, port):
                    break
            client.command("QUIT")
        except (OSError, ssl.SSLError, Closed):
            self.test.note("session lost")
        finally:
            client.sock.close()

    def message(self, client, port):
        recipient = ("alice", "bob")[self.number % 2] + "@example.com"
        attempt, octets = self.test.ledger.new(recipient)
        in_transaction = False
        try:
            answer = client.command("MAIL FROM:<alice@example.com>")
            if answer.startswith("421"):
                return False
            in_transaction = True
            answer = client.command(f"RCPT TO:<{recipient}>")
            if not answer.startswith("250"):
                attempt.fate, attempt.reply = books.REFUSED, answer
                self.test.note("rcpt " + answer[:9])
                client.command("RSET")
                return True
            answer = client.command("DATA")
            if not answer.startswith("354"):
                attempt.fate, attempt.reply = books.REFUSED, answer
                self.test.note("data " + answer[:9])
                return True
            attempt.fate = books.IN_DOUBT
            client.send(books.stuffed(octets))
            answer = client.reply()
            attempt.reply = answer
            attempt.fate = books.ACKED if answer.startswith("250") else books.REFUSED
            self.test.note("dot " + answer[:9] if not answer.startswith("250") else "dot 250")
            # 4.4.2 after the dot: the upstream may have it.
            if answer.startswith("451 4.4.2"):
                attempt.fate = books.IN_DOUBT
            return True
        except (OSError, ssl.SSLError, Closed) as error:
            if in_transaction:
                self.cut.append((port, attempt.identifier, attempt.fate, repr(error)))
            raise


class Restarts(unittest.TestCase):
    """The one long story of this file."""

    def note(self, what):
        with self.noted:
            self.notes[what] = self.notes.get(what, 0) + 1
            self.noted.notify_all()

    def pause(self):
        """After a refusal a client waits until something was noted, or a moment: no busy loop."""
        with self.noted:
            self.noted.wait(0.05)

    def until(self, key, more, seconds=60):
        """Waits until `more` further notes of this key came; returns the notes that came meanwhile."""
        with self.noted:
            before = dict(self.notes)
            target = before.get(key, 0) + more
            self.assertTrue(self.noted.wait_for(lambda: self.notes.get(key, 0) >= target or self.dead(), seconds),
                            f"{more} more of '{key}' not within {seconds} s: {self.notes}")
            self.assertFalse(self.dead(), [s.failure for s in self.senders])
            return {k: v - before.get(k, 0) for k, v in self.notes.items() if v != before.get(k, 0)}

    def dead(self):
        return [s for s in self.senders if s.failure is not None]

    def test_nothing_is_lost(self):
        self.notes, self.noted, self.ledger = {}, threading.Condition(), books.Ledger()
        cluster = Cluster()
        self.addCleanup(cluster.stop)
        postfix = Postfix(cluster.folder / "postfix")
        postfix.start()
        self.addCleanup(postfix.stop)
        cluster.start()
        cluster.create_user("alice", "alice@example.com", PASSWORD)
        cluster.virtual_server("submission", postfix.address, listeners=("STARTTLS",), secure_channel=True, local_domains=["example.com"],
                               connectionLimits={"maxPerSource": 0}, messageLimits={"maxRecipients": 100})
        first = cluster.edge("edge1")
        second = cluster.edge("edge2", offset=5000)
        self.ports = [first.port("submission", "STARTTLS"), second.port("submission", "STARTTLS")]
        self.running = threading.Event()
        self.running.set()
        self.senders = [Sender(n, self) for n in range(CLIENTS)]
        for sender in self.senders:
            sender.start()
        share = MESSAGES // 12
        self.until("dot 250", share)

        # Config dead: nobody notices.
        cluster.config.kill()
        seen = self.until("dot 250", share)
        self.assertLessEqual(set(seen), {"dot 250", "auth 235"}, "with config dead mail flows")
        cluster.start_config()
        self.until("dot 250", share)

        # Auth dead: 454 to who logs in, and to nobody else.
        cluster.auth.kill()
        seen = self.until("auth 454", 20)
        # What was verified before the kill may still be under way: from here on no 235.
        seen = self.until("auth 454", 20)
        self.assertNotIn("auth 235", seen)
        self.assertNotIn("auth 535", seen)
        cluster.start_auth()
        self.until("dot 250", share)

        # Postfix dead: 451, and back.
        postfix.kill()
        self.until("rcpt 451 4.4.1", 20)
        postfix.start()
        self.until("dot 250", share)

        # One edge drains: no transaction is cut, and it ends by itself with 0.
        second.signal(signal.SIGTERM)
        self.assertEqual(second.process.wait(90), 0, second.tail())
        self.ports = self.ports[:1]
        for sender in self.senders:
            self.assertEqual([c for c in sender.cut if c[0] == second.port("submission", "STARTTLS")], [])
        wait_for(lambda: self.ledger.count(books.ACKED) >= MESSAGES or self.dead(), 300, f"{MESSAGES} acknowledged messages")
        self.running.clear()
        for sender in self.senders:
            sender.join(60)
            self.assertIsNone(sender.failure)
            self.assertFalse(sender.is_alive())

        # The truth.
        acked = self.ledger.count(books.ACKED)
        postfix.flush()
        wait_for(postfix.queue_empty, 120, "Postfix's empty queue", every=0.2)
        # Postfix, killed between a delivery and its note of it, delivers again what it has taken once: its Received field, with the
        # id in its queue, is the same then. What it was sent twice has two.
        copies, taken = 0, set()
        for user in ("alice", "bob", "postmaster", "elsewhere"):
            for raw, message in postfix.messages(user):
                body = raw.split(b"\n\n", 1)[1].replace(b"\n", b"\r\n")
                copies += 1
                taken.add((message["X-Ledger"], f"{user}@example.com", hashlib.sha256(body).hexdigest(), message["Received"]))
        events = self.ledger.check([row[:3] for row in taken])
        print(f"acknowledged {acked}, refused {self.ledger.count(books.REFUSED)}, in doubt {self.ledger.count(books.IN_DOUBT)}, "
              f"stored {len(taken)}, delivered again by Postfix {copies - len(taken)}, events { {k: len(v) for k, v in events.items()} }, notes {self.notes}")
        self.assertGreaterEqual(acked, MESSAGES)
        for kind in ("LOST", "PHANTOM", "CORRUPT", "CROSS", "DUP"):
            self.assertEqual(events[kind], [], kind)


if __name__ == "__main__":
    skip_unless_available()
    unittest.main()
