"""What a session must be told, worked out slowly from the requirements and the protocol's table of replies.

It shares no code with the programs, and its author's sources were the documents: requirements (R6-R24), the replies, the
semantics of lookups, the limits, and the comments of virtual_server.proto. Input is a SimulateSessionRequest in JSON (proto
names) whose candidate is the policy; output is a list of Steps. Where the documents fix a code but no text, the expected line
ends in "*".
"""
import ipaddress

from address import forward_path, reverse_path

ALL_MECHANISMS = {
    "SCRAM-SHA-256-PLUS": "scram", "SCRAM-SHA-256": "scram", "GSSAPI": "integrated", "NTLM": "ntlm", "EXTERNAL": "external",
    "OAUTHBEARER": "token", "XOAUTH2": "token", "PLAIN": "basic", "LOGIN": "basic",
}


class Step:
    def __init__(self, kind, reply, accepted, rule=""):
        self.kind, self.reply, self.accepted, self.rule = kind, reply, accepted, rule

    def __repr__(self):
        return f"{self.kind} {self.reply!r} {'accepted' if self.accepted else 'refused'} because {self.rule!r}"


class TemporaryFailure(Exception):
    """A lookup failed, and the policy says: come again."""

    def __init__(self, rule):
        super().__init__(rule)
        self.rule = rule


class Evaluator:
    def __init__(self, request):
        self.request = request
        self.policy = request["candidate"]
        self.fqdn = self.policy["fqdn"]
        client = request["client"]
        address = ipaddress.ip_address(client["address"])
        self.address = getattr(address, "ipv4_mapped", None) or address
        self.names = client.get("names", [])
        self.name_failed = client.get("name_lookup_failed", False)
        self.identity = request.get("identity")
        self.mode = request.get("tls_mode", "STARTTLS")
        self.tls = self.mode == "IMPLICIT"
        self.steps = []
        self.errors = 0
        self.refused = 0
        self.over = False

    # ------------------------------------------------------------------------------------------------- the session

    def run(self):
        self.session()
        return self.steps

    def add(self, kind, reply, rule=""):
        """A step with its reply; False: the client does not go on."""
        code = reply[:3]
        if code in ("500", "501", "502", "503", "504", "555"):
            self.errors += 1
            if self.errors > self.limit("max_protocol_errors", 20):
                reply, rule = f"421 4.7.0 {self.fqdn} *", "session_limits.max_protocol_errors"
                self.over = True
        self.steps.append(Step(kind, reply, reply.startswith("2"), rule))
        return self.steps[-1].accepted and not self.over

    def limit(self, name, default):
        return self.policy.get("session_limits", {}).get(name, default)

    def handshake(self):
        """R17: the floor. What was agreed on below it serves nothing any more."""
        self.tls = True
        tls = self.request.get("tls", {})
        floor = self.policy.get("tls", {})
        if floor.get("min_version", "TLS_1_2") == "TLS_1_3" and tls.get("version", "TLS_1_3") == "TLS_1_2":
            rule = "tls.min_version"
        elif tls.get("cipher_bits", 128) < floor.get("min_cipher_bits", 128):
            rule = "tls.min_cipher_bits"
        else:
            self.steps.append(Step("TLS", "", True, "tls.min_cipher_bits"))
            return True
        self.steps.append(Step("TLS", "", False, rule))
        return False

    def session(self):
        strong = self.handshake() if self.mode == "IMPLICIT" else True
        if not self.connect() or not self.hello(strong):
            return
        if "tls" in self.request and self.mode == "STARTTLS":
            self.add("STARTTLS", "220 2.0.0 Ready to start TLS")
            if not self.hello(self.handshake()):
                return
        if self.identity is not None and not self.authenticate():
            return
        if not self.mail():
            return
        accepted = 0
        for recipient in self.request.get("recipients", []):
            if self.recipient(recipient, accepted):
                accepted += 1
            if self.over:
                return

    # ---------------------------------------------------------------------------------------------------- connecting

    def connect(self):
        try:
            admitted, rule = self.in_list("connection_control", "ALL_EXCEPT")
        except TemporaryFailure as failure:
            return self.add("CONNECT", f"421 {self.fqdn} Reverse lookup failed, try again later", failure.rule)
        if admitted is None:  # the lookup failed, and the policy knows what then
            admitted = self.on_name_failure() == "ALLOW"
        if admitted:
            return self.add("CONNECT", f"220 {self.fqdn} {self.policy.get('banner_text', 'ESMTP Gatepost')}", rule)
        return self.add("CONNECT", f"554 {self.fqdn} Connection refused: {self.address} is not permitted", rule)

    def on_name_failure(self):
        return self.policy.get("reverse_lookup", {}).get("on_lookup_failure", "TEMPFAIL")

    def in_list(self, path, default_mode):
        """R7-R10, R23: whether a list admits the client, and the field that says so. None: its name cannot be told."""
        message = self.policy.get(path, {})
        mode = message.get("mode", default_mode)
        entries = message.get("entries", [])
        found = self.by_address(entries)
        if found is None and any("domain" in entry for entry in entries):
            if self.name_failed:
                rule = "reverse_lookup.on_lookup_failure"
                if self.on_name_failure() == "TEMPFAIL":
                    raise TemporaryFailure(rule)
                return None, rule
            found = self.by_name(entries)
        if found is None:
            return mode == "ALL_EXCEPT", f"{path}.mode"
        return mode == "ONLY_LIST", f"{path}.entries[{found}]"

    def by_address(self, entries):
        """The narrowest entry that holds the address, of equals the first."""
        best = None
        for index, entry in enumerate(entries):
            if "domain" in entry:
                continue
            if "address" in entry:
                first = last = ipaddress.ip_address(entry["address"])
            elif "subnet" in entry:
                network = ipaddress.ip_network(entry["subnet"])
                first, last = network[0], network[-1]
            else:
                first, last = (ipaddress.ip_address(end) for end in entry["range"].split("-"))
            if first.version != self.address.version or not first <= self.address <= last:
                continue
            width = int(last) - int(first)
            if best is None or width < best[0]:
                best = (width, index)
        return None if best is None else best[1]

    def by_name(self, entries):
        """The entry with the longest domain that one of the confirmed names is, or lies below; of equals the first."""
        best = None
        for index, entry in enumerate(entries):
            domain = entry.get("domain")
            if domain is None or not any(name == domain or name.endswith("." + domain) for name in self.names):
                continue
            if best is None or len(domain) > best[0]:
                best = (len(domain), index)
        return None if best is None else best[1]

    # --------------------------------------------------------------------------------------------- EHLO, STARTTLS, AUTH

    def secure_channel_missing(self):
        return self.policy.get("tls", {}).get("require_secure_channel", False) and not self.tls

    def mechanism_verdict(self, mechanism):
        """None, or what refuses the mechanism; and the field."""
        family = ALL_MECHANISMS.get(mechanism)
        if family is None:
            return "unknown", "authentication"
        authentication = self.policy.get("authentication", {})
        in_clear = authentication.get("basic", {}).get("allow_clear_text_credentials", False)
        clear_path = "authentication.basic.allow_clear_text_credentials"
        enabled = authentication.get(family, {}).get("enabled", family in ("basic", "scram"))
        path = f"authentication.{family}.enabled"
        if not enabled:
            return "unknown", path
        if self.tls:
            return None, path
        return (None, clear_path) if in_clear else ("needs tls", clear_path)

    def hello(self, strong):
        if not strong:
            return self.add("EHLO", "554 5.7.0 Command refused due to lack of security")
        served = ["PLAIN", "LOGIN"]
        if self.request.get("mechanism", "PLAIN") == "SCRAM-SHA-256":
            served.insert(0, "SCRAM-SHA-256")
        offered = [name for name in served if self.mechanism_verdict(name)[0] is None]
        lines = [f"{self.fqdn} Hello [{self.address}]", "SIZE 37748736", "PIPELINING", "ENHANCEDSTATUSCODES"]
        if self.mode == "STARTTLS" and not self.tls:
            lines.append("STARTTLS")
        if offered and not self.secure_channel_missing():
            lines.append("AUTH " + " ".join(offered))
        lines += ["8BITMIME", "CHUNKING", "LIMITS RCPTMAX=1000"]
        return self.add("EHLO", "\n".join(f"250{' ' if line is lines[-1] else '-'}{line}" for line in lines))

    def exchange(self):
        return self.policy.get("dialect") == "EXCHANGE"

    def authenticate(self):
        if self.secure_channel_missing():
            return self.add("AUTH", "530 5.7.0 Must issue a STARTTLS command first", "tls.require_secure_channel")
        refusal, rule = self.mechanism_verdict(self.request.get("mechanism", "PLAIN"))
        if refusal == "unknown":
            return self.add("AUTH", f"504 {'5.7.4' if self.exchange() else '5.5.4'} Unrecognized authentication type", rule)
        if refusal == "needs tls":
            return self.add("AUTH", "538 5.7.11 Encryption required for requested authentication mechanism", rule)
        return self.add("AUTH", "235 2.7.0 Authentication successful", rule)

    # ---------------------------------------------------------------------------------------------------------- MAIL

    def permission(self, message, own, own_path, path, everybody):
        """Section 2, Access: a user may if it may itself and the list does not take it away; and the field."""
        if not own:
            return False, own_path
        mode = message.get("mode", "ALL_EXCEPT")
        principals = message.get("principals", [])
        if mode == "ALL_EXCEPT" and not principals:
            return True, everybody
        mine = {self.identity.get("user")} | set(self.identity.get("groups", []))
        for index, principal in enumerate(principals):
            if principal in mine:
                return mode == "ONLY_LIST", f"{path}.principals[{index}]"
        return mode == "ALL_EXCEPT", f"{path}.mode"

    @staticmethod
    def covers(addresses, sender):
        for address in addresses:
            local, _, domain = address.rpartition("@")
            if domain.lower() == sender.domain and local in ("", sender.local):
                return True
        return False

    def mail(self):
        if self.secure_channel_missing():
            return self.add("MAIL", "530 5.7.0 Must issue a STARTTLS command first", "tls.require_secure_channel")
        sender = reverse_path(self.request.get("sender", ""))
        if sender is None:
            return self.add("MAIL", "501 5.1.7 *")
        authentication = self.policy.get("authentication", {})
        if self.identity is None:
            rule = "authentication.anonymous"
            if authentication.get("anonymous", False):
                return self.add("MAIL", "250 2.1.0 Sender OK", rule)
            if self.exchange():
                return self.add("MAIL", "530 5.7.1 Client was not authenticated", rule)
            return self.add("MAIL", "530 5.7.0 Authentication required", rule)
        login = self.identity["login"]
        may, rule = self.permission(authentication.get("submit", {}), self.identity.get("may_submit", True),
                                    "user.may_submit", "authentication.submit", "authentication.submit")
        if not may:
            return self.add("MAIL", f"550 5.7.1 {login} may not submit here", rule)
        if sender.local or sender.domain:
            refusal = f"550 5.7.1 {login} may not send as {sender.canonical()}"
            bound = self.identity.get("senders", [])
            if bound and not self.covers(bound, sender):
                return self.add("MAIL", refusal, "credential.senders")
            own = self.identity.get("addresses") or [login]
            if authentication.get("send_as") == "OWN_ADDRESSES" and not self.covers(own, sender):
                return self.add("MAIL", refusal, "authentication.send_as")
        return self.add("MAIL", "250 2.1.0 Sender OK", rule)

    # ---------------------------------------------------------------------------------------------------------- RCPT

    def recipient(self, text, accepted):
        path = forward_path(text)
        if path is None:
            return self.add("RCPT", "501 5.1.3 *")
        if self.request.get("sender", "") == "" and accepted > 0:
            return self.refuse("550 5.5.3 *", "")
        to = path.canonical()
        try:
            taken, rule = self.accepts(path)
        except TemporaryFailure as failure:
            return self.refuse("451 4.4.3 *", failure.rule)
        if not taken:
            return self.refuse(f"550 5.7.1 Unable to relay for {to}", rule)
        if self.identity is None:
            refusal = self.block_lists()
            if refusal:
                return self.refuse(*refusal)
        return self.add("RCPT", "250 2.1.5 Recipient OK", rule)

    def refuse(self, reply, rule):
        self.refused += 1
        if self.refused > self.limit("max_refused_recipients", 100):
            self.over = True
            reply, rule = f"421 4.7.0 {self.fqdn} *", "session_limits.max_refused_recipients"
        return self.add("RCPT", reply, rule)

    def accepts(self, path):
        """R21-R24: ours, or relaying."""
        if not path.domain:
            return True, "local_domains"
        local = self.local_domain(path.domain)
        if local is not None and not any(sign in path.local for sign in "%!@"):
            return True, f"local_domains[{local}]"
        relay = self.policy.get("relay", {})
        if self.identity is not None and relay.get("authenticated_may_relay", True):
            may, rule = self.permission(relay.get("authenticated", {}), self.identity.get("may_relay", True),
                                        "user.may_relay", "relay.authenticated", "relay.authenticated_may_relay")
            if may:
                return True, rule
        admitted, rule = self.in_list("relay", "ONLY_LIST")
        return bool(admitted), rule  # a lookup that failed never grants relaying

    def local_domain(self, domain):
        best = None
        for index, entry in enumerate(self.policy.get("local_domains", [])):
            mine = entry["domain"]
            below = entry.get("include_subdomains", False) and domain.endswith("." + mine)
            if (domain == mine or below) and (best is None or len(mine) > best[0]):
                best = (len(mine), index)
        return None if best is None else best[1]

    def block_lists(self):
        """Filters: None, or the refusal and the field."""
        filters = self.policy.get("filters", {})
        lists = filters.get("block_lists", [])
        if not lists:
            return None
        client = self.request["client"]
        if client.get("block_lists_failed", False):
            rule = "filters.on_lookup_failure"
            then = filters.get("on_lookup_failure", "ALLOW")
            return {"ALLOW": None, "TEMPFAIL": ("451 4.4.3 *", rule), "DENY": ("550 5.7.1 *", rule)}[then]
        for index, entry in enumerate(lists):
            if entry["zone"] in client.get("listed_by", []):
                return f"550 5.7.1 {self.address} is listed by {entry['zone']}", f"filters.block_lists[{index}]"
        return None
