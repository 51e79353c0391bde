"""An LDAP directory of a test's own on loopback, run as whoever runs the test: slapd with its data in the test's folder. Needs slapd and
ldap-utils. Over it simple binds are possible with TLS alone, and nobody may search but the service's own DN."""
import os
import shutil
import signal
import socket
import subprocess

from .authority import SERVER, Authority, key_pem, pem
from .cluster import free_port
from .processes import wait_for

BASE = "dc=example,dc=com"
PEOPLE = f"ou=people,{BASE}"
SERVICE, SERVICE_PASSWORD = f"cn=gatepost,{BASE}", "service password"
ROOT, ROOT_PASSWORD = f"cn=root,{BASE}", "root password"


def available():
    """What is missing; empty: nothing."""
    os.environ["PATH"] = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return [tool for tool in ("slapd", "slapadd", "ldapmodify") if not shutil.which(tool)]


def value(name, text):
    """One line of LDIF; what LDIF cannot hold as it is goes as base64."""
    import base64
    return f"{name}:: {base64.b64encode(text.encode()).decode()}"


def person(cn, password, *, dn=None, **attributes):
    """An entry below PEOPLE; attributes: mail="a@b" or a list."""
    lines = [value("dn", dn or f"cn={cn},{PEOPLE}"), "objectClass: inetOrgPerson", value("cn", cn), value("sn", cn)]
    if password is not None:
        lines.append(value("userPassword", password))
    for name, values in attributes.items():
        lines += [value(name, v) for v in ([values] if isinstance(values, str) else values)]
    return "\n".join(lines) + "\n"


def group(cn, *members):
    return "\n".join([f"dn: cn={cn},ou=groups,{BASE}", "objectClass: groupOfNames", f"cn: {cn}", *(value("member", m) for m in members)]) + "\n"


class Slapd:
    """Slapd(folder, entries).start(); `uri`, `tls_uri`, `ca_file`, `password_file`; modify(ldif); stop()."""

    def __init__(self, folder, entries):
        self.folder = folder
        self.entries = entries
        self.port, self.tls_port = free_port(), free_port()
        self.uri, self.tls_uri = f"ldap://127.0.0.1:{self.port}", f"ldaps://127.0.0.1:{self.tls_port}"
        self.process = None
        folder.mkdir(parents=True)
        self.ca_file, self.password_file = folder / "ca.pem", folder / "service-password"
        self.password_file.write_text(SERVICE_PASSWORD + "\n")
        self.password_file.chmod(0o600)
        self._configure()

    def _configure(self):
        authority = Authority("Directory CA")
        certificate, key = authority.issue("ldap.example.com", addresses=["127.0.0.1"], usage=(SERVER,))
        self.ca_file.write_text(pem(authority.certificate))
        (self.folder / "server.pem").write_text(pem(certificate))
        (self.folder / "server.key").write_text(key_pem(key))
        (self.folder / "db").mkdir()
        (self.folder / "slapd.conf").write_text(f"""include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {self.folder}/pid
TLSCACertificateFile {self.ca_file}
TLSCertificateFile {self.folder}/server.pem
TLSCertificateKeyFile {self.folder}/server.key
security simple_bind=128
disallow bind_anon
database mdb
suffix {BASE}
directory {self.folder}/db
maxsize 16777216
rootdn {ROOT}
rootpw "{ROOT_PASSWORD}"
index displayName,member eq
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact={SERVICE} read by * none
""")
        ldif = "\n".join([f"dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n",
                          f"dn: {PEOPLE}\nobjectClass: organizationalUnit\nou: people\n",
                          f"dn: ou=groups,{BASE}\nobjectClass: organizationalUnit\nou: groups\n",
                          person("gatepost", SERVICE_PASSWORD, dn=SERVICE), *self.entries])
        (self.folder / "data.ldif").write_text(ldif)
        self._run("slapadd", "-q", "-f", self.folder / "slapd.conf", "-l", self.folder / "data.ldif")

    def _run(self, *argv, stdin=None):
        done = subprocess.run([str(a) for a in argv], input=stdin, capture_output=True, text=True, timeout=30, check=False,
                              env={**os.environ, "LDAPTLS_CACERT": str(self.ca_file)})
        assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"

    def start(self):
        self.process = subprocess.Popen(["slapd", "-d", "0", "-f", str(self.folder / "slapd.conf"), "-h", f"{self.uri} {self.tls_uri}"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def answers():
            assert self.process.poll() is None, "slapd ended"
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return True
            except OSError:
                return False
        wait_for(answers, 20, "slapd")

    def modify(self, ldif):
        """As its administrator."""
        self._run("ldapmodify", "-H", self.uri, "-ZZ", "-x", "-D", ROOT, "-w", ROOT_PASSWORD, stdin=ldif)

    def pause(self):
        """It is there, and says nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
