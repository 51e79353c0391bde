"""A byte-recording SMTP upstream: the oracle of the tests that ask what the edge let through.

It believes nothing and repairs nothing: lines end with CR LF alone, the end of data is CR LF . CR LF alone. It keeps every octet
it got, per connection, and every complete message (after the dot), so a smuggled command or message shows as one.
"""
import dataclasses
import socket
import ssl
import threading
import time


@dataclasses.dataclass
class Message:
    """One message that was ended by its dot, or its last BDAT: envelope as received, body with dot-stuffing undone, and our final
    reply."""
    mail: bytes
    recipients: list
    body: bytes
    connection: int
    reply: bytes = b""


class Connection:
    """What one connection sent: all octets, and its commands in order (data lines are no commands)."""

    def __init__(self, number):
        self.number = number
        self.received = bytearray()
        self.commands = []
        self.in_data = False
        self.closed = threading.Event()
        self.tls = False
        self.proxy_header = b""


class Recorder:
    """Listens on 127.0.0.1:port. Behaviour is changed by `answers`, `hook` and the keyword arguments.

    answers: {"MAIL": b"451 4.3.0 no\r\n", ...}: the reply to a verb (also "CONNECT", "DOT"); None closes instead.
    hook(recorder, connection, verb, line) -> bytes or None: called first; bytes are sent instead of the usual reply, b"" sends
    nothing, the exception Recorder.Drop closes at once (with a reset when Drop(reset=True)).
    """

    class Drop(Exception):
        def __init__(self, reset=False):
            super().__init__()
            self.reset = reset

    def __init__(self, answers=None, hook=None, capabilities=("PIPELINING", "SIZE 40000000", "8BITMIME", "ENHANCEDSTATUSCODES"),
                 tls=None, host="127.0.0.1", port=0, proxy=False):
        self.answers = dict(answers or {})
        self.hook = hook
        self.capabilities = list(capabilities)
        self.tls = tls  # an ssl.SSLContext: STARTTLS is offered
        self.proxy = proxy  # each connection begins with a PROXY header, version 2
        self.messages = []
        self.connections = []
        self.changed = threading.Condition()
        self.listener = socket.create_server((host, port), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.address = f"{host}:{self.port}"
        self.live = set()
        self.stopping = False
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.stopping = True
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.hang_up()

    def hang_up(self):
        """Ends all connections: none is left idle that a later session could take over."""
        for sock in list(self.live):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def forget(self):
        """Between tests: no message and no connection is known, or open."""
        self.hang_up()
        with self.changed:
            self.messages.clear()
            self.connections.clear()

    def wait(self, condition, seconds=20, what="the upstream"):
        """Waits until condition(self) holds; AssertionError past the deadline."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while not condition(self):
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"{what}: not within {seconds} s; {len(self.messages)} messages, "
                                         f"commands {[c.commands for c in self.connections]}")
                self.changed.wait(left)

    def commands(self):
        """All commands of all connections but those of probes (EHLO, QUIT alone)."""
        return [c.commands for c in self.connections if any(not x.upper().startswith((b"EHLO", b"QUIT")) for x in c.commands)]

    def received(self):
        """All octets of connections that began a transaction."""
        return b"".join(bytes(c.received) for c in self.connections
                        if any(x.upper().startswith(b"MAIL") for x in c.commands))

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self.changed:
                connection = Connection(len(self.connections))
                self.connections.append(connection)
                self.changed.notify_all()
            threading.Thread(target=self._serve, args=(sock, connection), daemon=True).start()

    def _serve(self, sock, connection):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.live.add(sock)
        box = [sock]
        try:
            self._session(box, connection)
        except Recorder.Drop as drop:
            if drop.reset:
                box[0].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        except (OSError, ssl.SSLError, ValueError):
            pass
        finally:
            try:
                box[0].close()
            except OSError:
                pass
            self.live.discard(sock)
            connection.closed.set()
            with self.changed:
                self.changed.notify_all()

    def _reply(self, sock, connection, verb, line, usual):
        if self.hook is not None:
            answer = self.hook(self, connection, verb, line)
            if answer is not None:
                if answer:
                    sock.sendall(answer)
                return answer
        if verb in self.answers:
            answer = self.answers[verb]
            if answer is None:
                raise Recorder.Drop()
            sock.sendall(answer)
            return answer
        sock.sendall(usual)
        return usual

    def _session(self, box, connection):
        pending = bytearray()

        def read():
            octets = box[0].recv(65536)
            if not octets:
                raise Recorder.Drop()
            with self.changed:
                connection.received += octets
                self.changed.notify_all()
            pending.extend(octets)

        def line():
            while (end := pending.find(b"\r\n")) < 0:
                read()
            text = bytes(pending[:end])
            del pending[:end + 2]
            return text

        def chunk(size):
            while len(pending) < size:
                read()
            octets = bytes(pending[:size])
            del pending[:size]
            return octets

        def commit(body):
            message = Message(mail, recipients, bytes(body), connection.number)
            # Committed before the reply, as an MTA does: what is lost after this point is in doubt, not absent.
            refused = (self.answers.get("DOT") or b"2").startswith((b"4", b"5"))
            if not refused:
                with self.changed:
                    self.messages.append(message)
                    self.changed.notify_all()
            message.reply = self._reply(box[0], connection, "DOT", text, b"250 2.0.0 queued as %d\r\n" % len(self.messages))

        if self.proxy:
            while len(pending) < 16 or len(pending) < 16 + int.from_bytes(pending[14:16], "big"):
                read()
            size = 16 + int.from_bytes(pending[14:16], "big")
            connection.proxy_header = bytes(pending[:size])
            del pending[:size]
        mail, recipients, chunks = None, [], b""
        if not self._reply(box[0], connection, "CONNECT", b"", b"220 recorder.test ESMTP\r\n").startswith(b"2"):
            raise Recorder.Drop()
        while True:
            text = line()
            verb = text.split(b" ")[0].split(b":")[0].decode("latin-1").upper()
            with self.changed:
                connection.commands.append(text)
                self.changed.notify_all()
            if verb == "EHLO":
                offered = self.capabilities + (["STARTTLS"] if self.tls and not connection.tls else [])
                lines = ["recorder.test"] + offered
                usual = "".join(f"250{'-' if i + 1 < len(lines) else ' '}{x}\r\n" for i, x in enumerate(lines)).encode()
                self._reply(box[0], connection, verb, text, usual)
            elif verb == "HELO":
                self._reply(box[0], connection, verb, text, b"250 recorder.test\r\n")
            elif verb == "STARTTLS" and self.tls:
                if self._reply(box[0], connection, verb, text, b"220 2.0.0 go\r\n").startswith(b"220"):
                    box[0] = self.tls.wrap_socket(box[0], server_side=True)
                    connection.tls = True
            elif verb == "MAIL":
                if self._reply(box[0], connection, verb, text, b"250 2.1.0 ok\r\n").startswith(b"2"):
                    mail, recipients, chunks = text, [], b""
            elif verb == "RCPT" and mail is None:
                box[0].sendall(b"503 5.5.1 MAIL first\r\n")
            elif verb == "RCPT":
                if self._reply(box[0], connection, verb, text, b"250 2.1.5 ok\r\n").startswith(b"2"):
                    recipients.append(text)
            elif verb == "DATA":
                if mail is None or not recipients:
                    box[0].sendall(b"503 5.5.1 no\r\n")
                    continue
                if not self._reply(box[0], connection, verb, text, b"354 go\r\n").startswith(b"354"):
                    continue
                connection.in_data = True
                body = bytearray()
                while (data := line()) != b".":
                    body += (data[1:] if data.startswith(b".") else data) + b"\r\n"
                connection.in_data = False
                commit(body)
                mail, recipients = None, []
            elif verb == "BDAT" and "CHUNKING" in self.capabilities:
                words = text.split(b" ")
                chunks += chunk(int(words[1]))
                if mail is None or not recipients:
                    box[0].sendall(b"503 5.5.1 no\r\n")
                elif words[2:] == [b"LAST"]:
                    commit(chunks)
                    mail, recipients, chunks = None, [], b""
                else:
                    self._reply(box[0], connection, verb, text, b"250 2.0.0 more\r\n")
            elif verb == "XCLIENT" and any(x.startswith("XCLIENT") for x in self.capabilities):
                mail, recipients = None, []
                self._reply(box[0], connection, verb, text, b"220 recorder.test ESMTP\r\n")
            elif verb == "RSET":
                mail, recipients = None, []
                self._reply(box[0], connection, verb, text, b"250 2.0.0 ok\r\n")
            elif verb == "NOOP":
                self._reply(box[0], connection, verb, text, b"250 2.0.0 ok\r\n")
            elif verb == "QUIT":
                self._reply(box[0], connection, verb, text, b"221 2.0.0 bye\r\n")
                raise Recorder.Drop()
            else:
                self._reply(box[0], connection, verb, text, b"500 5.5.1 what\r\n")
