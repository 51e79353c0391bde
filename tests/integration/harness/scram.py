"""The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), whose every part can be made wrong."""
import base64
import hashlib
import hmac
import os


def b64(octets):
    return base64.b64encode(octets).decode()


def hmac_sha256(key, octets):
    return hmac.digest(key, octets, "sha256")


def attributes(message):
    return dict(part.split("=", 1) for part in message.decode().split(","))


class Scram:
    """header: the GS2 header, `p=tls-exporter,,` with -PLUS. binding: the channel binding's octets. Then first(), final(challenge),
    proved(server's last words). `keys` has what the password became, for those who look for it."""

    def __init__(self, login, password, header="n,,", binding=b"", nonce=None, extension=""):
        self.header, self.binding = header, binding
        self.password = password
        self.nonce = nonce or b64(os.urandom(18))
        self.bare = f"{extension}n={login.replace('=', '=3D').replace(',', '=2C')},r={self.nonce}"
        self.keys = {}
        self.message = b""

    def first(self):
        return (self.header + self.bare).encode()

    def final(self, challenge, nonce=None, binding=None):
        """nonce, binding: instead of the right ones."""
        told = attributes(challenge)
        assert told["r"].startswith(self.nonce), challenge
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), base64.b64decode(told["s"]), int(told["i"]))
        client_key, server_key = hmac_sha256(salted, b"Client Key"), hmac_sha256(salted, b"Server Key")
        stored_key = hashlib.sha256(client_key).digest()
        self.keys = {"salted password": salted, "client key": client_key, "stored key": stored_key, "server key": server_key}
        bound = self.header.encode() + (self.binding if binding is None else binding)
        without_proof = f"c={b64(bound)},r={nonce or told['r']}"
        signed = f"{self.bare},{challenge.decode()},{without_proof}".encode()
        proof = bytes(a ^ b for a, b in zip(client_key, hmac_sha256(stored_key, signed)))
        self.signature = hmac_sha256(server_key, signed)
        self.message = f"{without_proof},p={b64(proof)}".encode()
        return self.message

    def proved(self, last):
        """Whether the server knows the secret too."""
        return attributes(last).get("v") == b64(self.signature)

    def finish(self, last):
        """As a step: the client's empty answer to the server's last words, once they are right."""
        assert self.proved(last), last
        return b""
