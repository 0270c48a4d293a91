"""The key of a secret of Standard Webhooks."""

import base64
import binascii

_ENCODED_PREFIX = b"whsec_"


def signing_key(secret: bytes) -> bytes:
    """Return the key that a secret stands for: in base64 after `whsec_`, else itself; empty if that is not base64."""
    if not secret.startswith(_ENCODED_PREFIX):
        return secret
    try:
        return base64.b64decode(secret.removeprefix(_ENCODED_PREFIX), validate=True)
    except binascii.Error:
        return b""
