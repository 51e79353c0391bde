"""Where a secret may not be: the forms in which its octets could lie in memory, a log, a database or on a wire."""
import base64


def forms_of(secret):
    """The octets themselves, in hex, and in base64 at each alignment, of both alphabets."""
    found = {secret, secret.hex().encode(), secret.hex().upper().encode()}
    for shift in range(3):
        # What stands before and behind it shares characters with its first and last octets: those are left out.
        encoded = base64.b64encode(b"\0" * shift + secret)
        inner = encoded[(shift * 8 + 5) // 6:(shift + len(secret)) * 8 // 6]
        found |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
    return found


def forms_of_password(password):
    """Those of its UTF-8 and its UTF-16LE."""
    return forms_of(password.encode()) | forms_of(password.encode("utf-16-le"))
