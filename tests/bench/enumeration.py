"""Does time tell who has an account? threats.md A6: medians within 2 ms, per mechanism, of 300 tries each, interleaved.

A real auth service, asked through an edge that delays nothing; every try comes from an address of its own, and names take turns, so
that no counter of failures fills. Measured is the service's time in an exchange: from each line of the client to its answer, whatever
the client computes between. Known, unknown and disabled users; the known one's password is wrong.
"""
import argparse
import base64
import hashlib
import hmac
import os
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from harness.client import Client  # noqa: E402
from harness.cluster import Cluster  # noqa: E402

WITHIN_MS = 2.0
NAMES = 30
KINDS = ("known", "unknown", "disabled")
PASSWORD, WRONG = "correct horse", "wrong horse"


def encode(octets):
    return base64.b64encode(octets).decode()


class Try:
    """One exchange, and the time spent waiting for answers."""

    def __init__(self, client):
        self.client, self.seconds = client, 0.0

    def say(self, line):
        began = time.perf_counter()
        reply = self.client.command(line)
        self.seconds += time.perf_counter() - began
        return base64.b64decode(reply[4:]) if reply.startswith("334") else reply


def plain(attempt, login):
    return attempt.say("AUTH PLAIN " + encode(f"\0{login}\0{WRONG}".encode()))


def login_mechanism(attempt, login):
    attempt.say("AUTH LOGIN " + encode(login.encode()))
    return attempt.say(encode(WRONG.encode()))


def scram(attempt, login):
    bare = f"n={login},r={os.urandom(9).hex()}"
    first = attempt.say("AUTH SCRAM-SHA-256 " + encode(b"n,," + bare.encode())).decode()
    fields = dict(part.split("=", 1) for part in first.split(","))
    salted = hashlib.pbkdf2_hmac("sha256", WRONG.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
    key = hmac.digest(salted, b"Client Key", "sha256")
    without = f"c=biws,r={fields['r']}"
    signature = hmac.digest(hashlib.sha256(key).digest(), f"{bare},{first},{without}".encode(), "sha256")
    proof = bytes(a ^ b for a, b in zip(key, signature))
    return attempt.say(encode(f"{without},p={encode(proof)}".encode()))


def ntlm(attempt, login):
    flags = (0x201).to_bytes(4, "little")  # Unicode, NTLM
    attempt.say("AUTH NTLM " + encode(b"NTLMSSP\0\1\0\0\0" + flags + bytes(16)))
    # A proof that is wrong costs the service what a right one does.
    response = os.urandom(16) + b"\1\1" + bytes(34)
    head, payload = b"NTLMSSP\0\3\0\0\0", b""
    for field in (b"", response, b"", login.encode("utf-16-le"), b"", b""):
        head += len(field).to_bytes(2, "little") * 2 + (64 + len(payload)).to_bytes(4, "little")
        payload += field
    return attempt.say(encode(head + flags + payload))


MECHANISMS = {"PLAIN": plain, "LOGIN": login_mechanism, "SCRAM-SHA-256": scram, "NTLM": ntlm}


def prepare(cluster):
    """The edge's port."""
    cluster.auth_options = ["--scram-iterations", 4096]
    cluster.start()
    cluster.apply(*[{"kind": "User", "name": f"users/{kind}{number}", "login": f"{kind}{number}@example.com", "password": PASSWORD,
                     "ntlm": True} for kind in ("known", "disabled") for number in range(NAMES)])
    for number in range(NAMES):
        cluster.ctl("user", "disable", f"disabled{number}")
    cluster.virtual_server("submission", "127.0.0.1:9", local_domains=["example.com"], connectionLimits={"maxPerSource": 0},
                           authentication={"basic": {"allowClearTextCredentials": True}, "integrated": {"requiresTls": False}},
                           sessionLimits={"authFailureDelay": "0s", "authFailureJitter": "0s", "maxAuthFailureDelay": "0s"})
    return cluster.edge("edge1", threads=1).port("submission")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, default=300)
    options = parser.parse_args()
    cluster = Cluster()
    worst, sources = 0.0, 0
    try:
        port = prepare(cluster)
        print("| mechanism | " + " | ".join(f"{kind}, ms" for kind in KINDS) + " | greatest difference, ms |")
        print("|---|" + "---|" * (len(KINDS) + 1))
        for name, talk in MECHANISMS.items():
            times = {kind: [] for kind in KINDS}
            for number in range(options.tries):
                for kind in KINDS:
                    sources += 1
                    address = f"127.{64 + sources // 62500}.{sources // 250 % 250}.{1 + sources % 250}"
                    with Client(port, source=address) as client:
                        client.hello()
                        attempt = Try(client)
                        answer = talk(attempt, f"{kind}{number % NAMES}@example.com")
                        if answer != "535 5.7.8 Authentication credentials invalid":
                            raise SystemExit(f"{name}, {kind}: {answer}")
                        times[kind].append(attempt.seconds * 1000)
            medians = {kind: statistics.median(values) for kind, values in times.items()}
            difference = max(medians.values()) - min(medians.values())
            worst = max(worst, difference)
            print(f"| {name} | " + " | ".join(f"{medians[kind]:.3f}" for kind in KINDS) + f" | {difference:.3f} |", flush=True)
        print(f"{options.tries} tries each; greatest difference of medians {worst:.3f} ms: "
              + ("within" if worst <= WITHIN_MS else "NOT within") + f" {WITHIN_MS:g} ms")
    finally:
        cluster.stop()
    return 0 if worst <= WITHIN_MS else 1


if __name__ == "__main__":
    sys.exit(main())
