"""Processes that a test starts: output kept, readiness waited for, ended by their own id."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time


class Process:
    """A program of ours: its stdout is JSON lines, each kept in `events`; `event(name)` waits for one."""

    def __init__(self, name, argv, folder, env=None):
        self.name = name
        self.argv = [str(a) for a in argv]
        self.log = pathlib.Path(folder) / f"{name}.log"
        self.events = []
        self.changed = threading.Condition()
        self.done = False
        self.sent = set()  # signals
        full = {k: v for k, v in os.environ.items() if not k.startswith("GATEPOST")}
        full.update(env or {})
        self.process = subprocess.Popen(self.argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder, env=full)
        self.pid = self.process.pid
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        with self.log.open("ab") as log, self.process.stdout:
            for line in self.process.stdout:
                log.write(line)
                log.flush()
                try:
                    event = json.loads(line)
                except ValueError:
                    event = {"text": line.decode("utf-8", "replace").rstrip()}
                with self.changed:
                    self.events.append(event)
                    self.changed.notify_all()
        with self.changed:
            self.done = True
            self.changed.notify_all()
        code = self.process.wait()
        if code < 0 and -code not in self.sent:
            print(f"{self.name} was ended by signal {-code}; its log ends:\n{self.tail()}", file=sys.stderr)

    def event(self, matches, seconds=30):
        """The first event for which matches(event) holds; or the deadline's AssertionError with the log's end."""
        if isinstance(matches, str):
            wanted = matches
            matches = lambda e: e.get("event") == wanted  # noqa: E731
        deadline = time.monotonic() + seconds
        seen = 0
        with self.changed:
            while True:
                for event in self.events[seen:]:
                    if matches(event):
                        return event
                seen = len(self.events)
                left = deadline - time.monotonic()
                if left <= 0 or self.done:
                    raise AssertionError(f"{self.name}: no such event within {seconds} s; its log ends:\n{self.tail()}")
                self.changed.wait(left)

    def tail(self, lines=25):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def running(self):
        return self.process.poll() is None

    def signal(self, number):
        if self.running():
            self.sent.add(number)
            self.process.send_signal(number)

    def stop(self, seconds=20):
        """SIGTERM, and SIGKILL past the deadline. The exit code."""
        self.signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end within {seconds} s of SIGTERM:\n{self.tail()}") from None

    def kill(self):
        self.signal(signal.SIGKILL)
        return self.process.wait(20)


def wait_for(condition, seconds=20, what="the condition", every=0.02):
    """Polls condition() until it is true; returns its value. For states that announce themselves by no event."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(every)
