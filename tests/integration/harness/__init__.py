"""What the system tests start: Gatepost's programs, a byte-recording upstream, a private Postfix, clients.

Everything listens on loopback at ports of the kernel's choice, lives in one temporary folder, and is ended by the process id
that was started here. Waiting is always for an event with a deadline, never for a span of time.
"""
