"""The ledger: what each client was told about each message, held against what the upstream has (failures.md).

Every attempt has an id of its own and a body whose hash it remembers. LOST: acknowledged by 250 but absent. PHANTOM: present though
the client never sent the dot. CORRUPT: present with another body. CROSS: present for another recipient. DUP: more than one copy.
"""
import dataclasses
import hashlib
import random
import threading

NO_DOT, ACKED, REFUSED, IN_DOUBT = "no dot", "acknowledged", "refused", "in doubt"


@dataclasses.dataclass
class Attempt:
    """One try to hand over one message. `fate` is the last thing the client knows."""
    identifier: str
    recipient: str
    digest: str
    fate: str = NO_DOT
    reply: str = ""


class Ledger:
    """Thread-safe. new() before the first octet; the fate is set as the client learns it; check() at the end."""

    def __init__(self, seed=1):
        self.lock = threading.Lock()
        self.attempts = {}
        self.random = random.Random(seed)

    def new(self, recipient, octets=None):
        """(attempt, message octets with CR LF line ends, not dot-stuffed)."""
        with self.lock:
            identifier = f"m{len(self.attempts):06d}-{self.random.getrandbits(48):012x}"
            size = octets or self.random.choice((50, 500, 3000, 9000))
            letters = self.random.choices("abcdefghijklmnopqrstuvwxyz .", k=size)
        lines = ["".join(letters[i:i + 72]) for i in range(0, size, 72)]
        body = "\r\n".join(line or "." for line in lines) + "\r\n"
        attempt = Attempt(identifier, recipient, hashlib.sha256(body.encode()).hexdigest())
        with self.lock:
            self.attempts[identifier] = attempt
        message = f"From: ledger@example.com\r\nTo: {recipient}\r\nSubject: {identifier}\r\nX-Ledger: {identifier}\r\n\r\n{body}"
        return attempt, message.encode()

    def count(self, *fates):
        with self.lock:
            return sum(1 for a in self.attempts.values() if not fates or a.fate in fates)

    def check(self, stored):
        """stored: iterable of (X-Ledger id, recipient, sha256 of the body with CR LF). {event: [ids]} and the counts."""
        copies = {}
        events = {"LOST": [], "PHANTOM": [], "CORRUPT": [], "CROSS": [], "DUP": []}
        for identifier, recipient, digest in stored:
            attempt = self.attempts.get(identifier)
            if attempt is None:
                events["PHANTOM"].append(identifier)
                continue
            copies[identifier] = copies.get(identifier, 0) + 1
            if digest != attempt.digest:
                events["CORRUPT"].append(identifier)
            if recipient != attempt.recipient:
                events["CROSS"].append(identifier)
        for attempt in self.attempts.values():
            number = copies.get(attempt.identifier, 0)
            if attempt.fate == ACKED and number == 0:
                events["LOST"].append(attempt.identifier)
            if attempt.fate == NO_DOT and number > 0:
                events["PHANTOM"].append(attempt.identifier)
            if number > 1:
                events["DUP"].append(attempt.identifier)
        return events


def stuffed(message):
    """A message for DATA: dots doubled, the final dot added."""
    return b"\r\n".join(b"." + line if line.startswith(b".") else line for line in message.split(b"\r\n")) + b".\r\n"
