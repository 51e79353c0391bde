"""Paths of MAIL and RCPT (RFC 5321 4.1.2), the slow way: regular expressions, nothing shared with the programs."""
import ipaddress
import re

ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
DOT_STRING = rf"{ATOM}(?:\.{ATOM})*"
QUOTED = r'"(?:[ !#-\[\]-~]|\\[ -~])*"'
LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
DOMAIN = rf"{LABEL}(?:\.{LABEL})*"


class Mailbox:
    """local: without quoting; domain: lower case, or a literal in its brackets; "" for <postmaster> and the null path."""

    def __init__(self, local, domain):
        self.local, self.domain = local, domain

    def canonical(self):
        local = self.local
        if not re.fullmatch(DOT_STRING, local):
            local = '"' + re.sub(r'(["\\])', r"\\\1", local) + '"'
        return f"{local}@{self.domain}" if self.domain else local


def _domain(text):
    if text.startswith("[") and text.endswith("]"):
        literal = text[1:-1]
        try:
            if literal.lower().startswith("ipv6:"):
                return f"[IPv6:{ipaddress.IPv6Address(literal[5:])}]"
            return f"[{ipaddress.IPv4Address(literal)}]"
        except ValueError:
            return None
    if not re.fullmatch(DOMAIN, text) or len(text) > 255 or any(len(label) > 63 for label in text.split(".")):
        return None
    return text.lower()


def _mailbox(text):
    match = re.fullmatch(rf"({DOT_STRING}|{QUOTED})@(.+)", text)
    if not match:
        return None
    local, domain = match.group(1), _domain(match.group(2))
    if local.startswith('"'):
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    if domain is None or len(match.group(1)) > 64 or len(local) > 64:
        return None
    return Mailbox(local, domain)


def reverse_path(text):
    """What stands between the brackets of MAIL; None: a syntax error."""
    return Mailbox("", "") if text == "" else _mailbox(text)


def forward_path(text):
    """Likewise of RCPT; a source route is checked and stripped."""
    if len(text) > 254:
        return None
    if text.lower() == "postmaster":
        return Mailbox(text, "")
    if text.startswith("@"):
        route, colon, text = text.partition(":")
        if not colon or not all(hop.startswith("@") and _domain(hop[1:]) for hop in route.split(",")):
            return None
    return _mailbox(text)
