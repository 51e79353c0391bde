"""Ports that no test running beside this one is given, nor the kernel for outgoing connections.

A script holds one block of 500 ports between 12000 and 17000 while it runs, by a lock that ends with it. An edge's
`--port-offset` is a multiple of 5000, up to 15000, so that its listeners are in no other script's block either.
"""
import fcntl
import os
import pathlib
import socket
import time

FIRST, BLOCK, BLOCKS, OFFSETS = 12000, 500, 10, (0, 5000, 10000, 15000)

_lock = None  # open while the script runs
_next = _end = 0


def _take_block():
    global _lock, _next, _end
    folder = pathlib.Path(f"/tmp/gatepost-test-ports-{os.geteuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        for number in range(BLOCKS):
            lock = open(folder / str(number), "w", encoding="ascii")  # pylint: disable=consider-using-with
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                continue
            _lock, _next = lock, FIRST + number * BLOCK
            _end = _next + BLOCK
            return
        time.sleep(0.5)
    raise RuntimeError(f"{BLOCKS} other tests hold all ports")


def _is_free(host, port):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(host="127.0.0.1"):
    """A port nobody listens on, with each offset; never given twice in one run."""
    global _next
    if _lock is None:
        _take_block()
    while _next < _end:
        port, _next = _next, _next + 1
        if all(_is_free(host, port + offset) for offset in OFFSETS):
            return port
    raise RuntimeError(f"more than {BLOCK} ports in one script")
