"""A certificate authority of a test: clients' certificates, good and bad, and answers to signing requests."""
import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def key_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()


def named(common_name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


class Authority:
    """`issue(...)` gives (certificate, key). `parent`: an Authority above this one."""

    def __init__(self, common_name="Test CA", parent=None):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = named(common_name)
        signer = parent or self
        self.certificate = self._build(self.name, self.key.public_key(), signer, days=30, ca=True)

    def _build(self, subject, public_key, signer, days, ca, names=(), emails=(), usage=None, started=None, addresses=()):
        begin = started or datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(signer.name).public_key(public_key)
                   .serial_number(x509.random_serial_number()).not_valid_before(begin)
                   .not_valid_after(begin + datetime.timedelta(days=days))
                   .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True))
        if names or emails or addresses:
            entries = [*map(x509.DNSName, names), *map(x509.RFC822Name, emails), *(x509.IPAddress(ipaddress.ip_address(a)) for a in addresses)]
            builder = builder.add_extension(x509.SubjectAlternativeName(entries), critical=False)
        if usage:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        return builder.sign(signer.key, hashes.SHA256())

    def issue(self, common_name, names=(), emails=(), days=30, usage=(CLIENT,), started=None, addresses=()):
        key = ec.generate_private_key(ec.SECP256R1())
        return self._build(named(common_name), key.public_key(), self, days, False, names, emails, usage, started, addresses), key

    def sign(self, csr_pem, days=30):
        """The answer to a signing request, with the names that it asks for."""
        csr = x509.load_pem_x509_csr(csr_pem.encode())
        names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
        return self._build(csr.subject, csr.public_key(), self, days, False, names, usage=(SERVER,))

    def pem(self):
        return pem(self.certificate)


def fingerprint(certificate):
    return certificate.fingerprint(hashes.SHA256()).hex()
