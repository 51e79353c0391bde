"""A Kerberos realm of a test's own on loopback: KDC, principals, keytab, tickets. Needs krb5-kdc, krb5-admin-server, krb5-user."""
import os
import shutil
import subprocess

from .ports import free_port
from .processes import wait_for

REALM = "EXAMPLE.COM"


def available():
    """What is missing; empty: nothing."""
    os.environ["PATH"] = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return [tool for tool in ("krb5kdc", "kadmin.local", "kdb5_util", "kinit") if not shutil.which(tool)]


class Kdc:
    """start(); environment holds what clients and the auth service need; stop()."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.process = None
        self.keytab = folder / "smtp.keytab"
        self.environment = {"KRB5_CONFIG": str(folder / "krb5.conf"), "KRB5_KDC_PROFILE": str(folder / "kdc.conf"),
                            "KRB5CCNAME": f"FILE:{folder / 'ccache'}"}

    def start(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "krb5.conf").write_text(f"""[libdefaults]
 default_realm = {REALM}
 dns_lookup_kdc = false
 dns_lookup_realm = false
 dns_canonicalize_hostname = false
 rdns = false
 udp_preference_limit = 1
 default_rcache_name = file2:{self.folder}/rcache
[realms]
 {REALM} = {{
  kdc = 127.0.0.1:{self.port}
 }}
[domain_realm]
 .example.com = {REALM}
 localhost = {REALM}
""")
        (self.folder / "kdc.conf").write_text(f"""[kdcdefaults]
 kdc_listen = 127.0.0.1:{self.port}
 kdc_tcp_listen = 127.0.0.1:{self.port}
[realms]
 {REALM} = {{
  database_name = {self.folder}/principal
  key_stash_file = {self.folder}/stash
  acl_file = {self.folder}/acl
 }}
""")
        self.run("kdb5_util", "create", "-s", "-r", REALM, "-P", "master")
        self.process = subprocess.Popen(["krb5kdc", "-n", "-r", REALM], env=self.env(), stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)

    def env(self):
        return {**os.environ, **self.environment}

    def run(self, *argv, stdin=None):
        done = subprocess.run([str(a) for a in argv], env=self.env(), input=stdin, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
        return done.stdout

    def principal(self, name, password):
        self.run("kadmin.local", "-r", REALM, "addprinc", "-pw", password, name)

    def service(self, name):
        """A principal with a random key, in the keytab."""
        self.run("kadmin.local", "-r", REALM, "addprinc", "-randkey", name)
        self.run("kadmin.local", "-r", REALM, "ktadd", "-k", self.keytab, name)

    def kinit(self, name, password):
        def granted():
            done = subprocess.run(["kinit", name], env=self.env(), input=password + "\n", capture_output=True, text=True, timeout=30, check=False)
            return done.returncode == 0
        wait_for(granted, 20, f"a ticket of {name}")

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
