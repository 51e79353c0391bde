"""The client's side of NTLM ([MS-NLMP]), whose every part can be made wrong. Octets in, octets out; tests hold it against
gss-ntlmssp, so that what we call right is right for others too."""
import dataclasses
import hashlib
import hmac
import os
import struct

from Cryptodome.Cipher import DES
from Cryptodome.Hash import MD4

SIGNATURE = b"NTLMSSP\0"
UNICODE, REQUEST_TARGET, NTLM, ALWAYS_SIGN, EXTENDED, TARGET_INFO, VERSION = 0x1, 0x4, 0x200, 0x8000, 0x80000, 0x800000, 0x2000000
FLAGS = UNICODE | REQUEST_TARGET | NTLM | ALWAYS_SIGN | EXTENDED | VERSION | 0x20000000
END, AV_FLAGS, TIMESTAMP, CHANNEL_BINDINGS = 0, 6, 7, 10
PAYLOAD = 88  # behind header, version and MIC
FIELDS = ("lm", "nt", "domain", "user", "workstation", "key")


def nt_hash(password):
    return MD4.new(password.encode("utf-16-le")).digest()


def hmac_md5(key, octets):
    return hmac.digest(key, octets, "md5")


def binding(end_point):
    """The 16 octets of MsvAvChannelBindings; end_point: with its name in front."""
    return hashlib.md5(b"\0" * 16 + struct.pack("<I", len(end_point)) + end_point).digest()


def pairs(octets):
    """[(id, value)] of AV pairs up to the end's."""
    found = []
    while octets:
        kind, length = struct.unpack_from("<HH", octets)
        if kind == END:
            break
        found.append((kind, octets[4:4 + length]))
        octets = octets[4 + length:]
    return found


def write_pairs(found):
    return b"".join(struct.pack("<HH", kind, len(value)) + value for kind, value in [*found, (END, b"")])


def negotiate(flags=FLAGS):
    return SIGNATURE + struct.pack("<II", 1, flags) + b"\0" * 16 + b"\x0a\0\0\0\0\0\0\x0f"


@dataclasses.dataclass
class Challenge:
    """A CHALLENGE, read."""
    octets: bytes

    @property
    def nonce(self):
        return self.octets[24:32]

    @property
    def info(self):
        length, _, offset = struct.unpack_from("<HHI", self.octets, 40)
        return pairs(self.octets[offset:offset + length])


def des(key, block):
    """DES under 56 bits of key ([MS-NLMP] 6, DES)."""
    bits = int.from_bytes(key, "big")
    spread = bytes((bits >> 49 - 7 * i & 0x7f) << 1 for i in range(8))
    return DES.new(spread, DES.MODE_ECB).encrypt(block)


def v1_answer(key, nonce):
    padded = key + b"\0" * 5
    return b"".join(des(padded[i:i + 7], nonce) for i in (0, 7, 14))


@dataclasses.dataclass
class Ntlm:
    """One exchange: negotiate(), then authenticate(challenge)."""
    user: str
    password: str
    domain: str = ""
    mic: bool = True              # announced and computed
    bound_to: bytes = b""         # tls-server-end-point:..., else no binding
    version: str = "v2"           # "v2", "v1", "v1 with extended security", "lm", "anonymous"
    break_mic: bool = False
    drop: tuple = ()              # ids of AV pairs that are not copied
    flags: int = FLAGS
    session_key: bytes = b""

    def negotiate(self):
        self.first = negotiate(self.flags)
        return self.first

    def answers(self, challenge):
        """(lm, nt), and what signs the MIC in session_key."""
        secret = nt_hash(self.password)
        if self.version == "anonymous":
            return b"\0", b""
        if self.version == "lm":
            return v1_answer(secret, challenge.nonce), b""
        if self.version == "v1":
            return v1_answer(secret, challenge.nonce), v1_answer(secret, challenge.nonce)
        if self.version == "v1 with extended security":
            ours = os.urandom(8)
            return ours + b"\0" * 16, v1_answer(secret, hashlib.md5(challenge.nonce + ours).digest()[:8])
        key = hmac_md5(secret, (self.user.upper() + self.domain).encode("utf-16-le"))
        info = [(kind, value) for kind, value in challenge.info if kind not in self.drop]
        stamp = dict(info).get(TIMESTAMP, b"\0" * 8)
        if self.mic:
            info.append((AV_FLAGS, struct.pack("<I", 2)))
        if self.bound_to:
            info.append((CHANNEL_BINDINGS, binding(self.bound_to)))
        blob = b"\1\1" + b"\0" * 6 + stamp + os.urandom(8) + b"\0" * 4 + write_pairs(info) + b"\0" * 4
        proof = hmac_md5(key, challenge.nonce + blob)
        self.session_key = hmac_md5(key, proof)
        return b"\0" * 24, proof + blob

    def authenticate(self, octets):
        lm, nt = self.answers(Challenge(octets))
        fields = dict(zip(FIELDS, (lm, nt, self.domain.encode("utf-16-le"), self.user.encode("utf-16-le"), "PC".encode("utf-16-le"), b"")))
        if self.version == "anonymous":
            fields["user"] = b""
        message = write_authenticate(fields, self.flags)
        if self.mic and self.session_key:
            mic = hmac_md5(self.session_key, self.first + octets + message)
            if self.break_mic:
                mic = bytes([mic[0] ^ 1]) + mic[1:]
            message = message[:72] + mic + message[PAYLOAD:]
        return message


def write_authenticate(fields, flags=FLAGS, header=None):
    """An AUTHENTICATE without a MIC. header: {field: (length, offset)} instead of the right ones."""
    head, payload = b"", b""
    for name in FIELDS:
        value = fields.get(name, b"")
        length, offset = (header or {}).get(name, (len(value), PAYLOAD + len(payload)))
        head += struct.pack("<HHI", length, length, offset)
        payload += value
    return SIGNATURE + struct.pack("<I", 3) + head + struct.pack("<I", flags) + b"\x0a\0\0\0\0\0\0\x0f" + b"\0" * 16 + payload
