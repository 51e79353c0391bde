"""A client that says exactly the octets it is told to, in clear or under TLS, and reads replies strictly."""
import base64
import socket
import ssl
import time


class Closed(Exception):
    """The peer closed; `rest` holds what it said before."""


class Client:
    """`Client(port).hello()`; `send(b"...")` sends octets as they are, `reply()` reads one whole reply."""

    def __init__(self, port, host="127.0.0.1", implicit_tls=False, seconds=20, banner=True, context=None, source=None):
        """source: the address to connect from, another one of loopback."""
        self.sock = socket.create_connection((host, port), timeout=seconds, source_address=(source, 0) if source else None)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = bytearray()
        self.context = context or insecure_context()
        if implicit_tls:
            self.sock = self.context.wrap_socket(self.sock, server_hostname="mail.example.com")
        self.banner = self.reply() if banner else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, octets):
        self.sock.sendall(octets)

    def line(self):
        while (end := self.pending.find(b"\r\n")) < 0:
            try:
                octets = self.sock.recv(65536)
            except (ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
                raise Closed(bytes(self.pending)) from error
            if not octets:
                raise Closed(bytes(self.pending))
            self.pending += octets
        text = bytes(self.pending[:end])
        del self.pending[:end + 2]
        return text

    def reply(self):
        """One reply, its lines joined by newlines: '250-...\\n250 ...'."""
        lines = []
        while True:
            text = self.line().decode("latin-1")
            lines.append(text)
            if len(text) < 4 or text[3] != "-":
                return "\n".join(lines)

    def command(self, text):
        self.send(text.encode("latin-1") + b"\r\n")
        return self.reply()

    def hello(self, name="client.example"):
        return self.command(f"EHLO {name}")

    def starttls(self):
        answer = self.command("STARTTLS")
        if answer.startswith("421"):
            raise Closed(answer.encode())
        assert answer.startswith("220"), answer
        self.sock = self.context.wrap_socket(self.sock, server_hostname="mail.example.com")
        return answer

    def auth_plain(self, login, password):
        token = base64.b64encode(b"\0" + login.encode() + b"\0" + password.encode()).decode()
        return self.command(f"AUTH PLAIN {token}")

    def at_end(self, seconds=20):
        """True when the peer closed and said nothing more; what it said otherwise."""
        deadline = time.monotonic() + seconds
        said = bytes(self.pending)
        self.sock.settimeout(seconds)
        while time.monotonic() < deadline:
            try:
                octets = self.sock.recv(65536)
            except (ConnectionResetError, BrokenPipeError, ssl.SSLError):
                octets = b""
            except TimeoutError:
                return f"still open after {seconds} s"
            if not octets:
                return True if not said else said
            said += octets
        return f"still open after {seconds} s"


def insecure_context():
    """TLS that does not verify: the test's own edge has a self-signed certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
