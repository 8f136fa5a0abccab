"""Keys as DNS publishes them (RFC 6376 §3.6.1, RFC 8301, RFC 8463), and whether one verifies a claim."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from dmarcworks.enrich.dkim.signature import Claim
from dmarcworks.enrich.dkim.tags import BrokenError, from_base64, tags, without_space

_LEAST_BITS, _MOST_BITS = 1024, 8192
_EXPONENT_BITS = 33
_RECORD_BYTES = 8_192
_RECORDS = 5


def verified(claim: Claim, records: Sequence[bytes]) -> str:
    """ "pass", "fail" (also without a key), or "permerror" for a key that must not be used (RFC 8601 words)."""
    result = "fail"
    # By the standard, several records count as no key; one of them may still be the key.
    for record in records[:_RECORDS]:
        try:
            if _signed(claim, record):
                return "pass"
        except BrokenError:
            continue
        except _UnusableKey:
            result = "permerror"
    return result


class _UnusableKey(Exception):
    """A key that is too short or too long."""


def _signed(claim: Claim, record: bytes) -> bool:
    if len(record) > _RECORD_BYTES:
        raise BrokenError("the record is too long")
    key_tags = tags(record.decode("utf-8", "replace"))
    if key_tags.get("v", "DKIM1") != "DKIM1" or key_tags.get("k", "rsa").lower() != claim.kind:
        raise BrokenError("no key of that kind")
    if not {"*", "email"} & set(_list(key_tags.get("s", "*"))) or "sha256" not in _list(key_tags.get("h", "sha256")):
        raise BrokenError("the key is not for that")
    if claim.below and "s" in _list(key_tags.get("t", "")):
        raise BrokenError("the key is not for domains below its own")
    key = from_base64(key_tags.get("p", ""))
    if not key:
        raise BrokenError("the key was revoked")
    return _by_ed25519(claim, key) if claim.kind == "ed25519" else _by_rsa(claim, key)


def _list(text: str) -> list[str]:
    return without_space(text).lower().split(":")


def _by_ed25519(claim: Claim, key: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(claim.signature, claim.digest)
    except ValueError:
        raise BrokenError("no Ed25519 key") from None
    except InvalidSignature:
        return False
    return True


def _by_rsa(claim: Claim, key: bytes) -> bool:
    try:
        public = load_der_public_key(key)
    except (ValueError, UnsupportedAlgorithm):
        raise BrokenError("no RSA key") from None
    if not isinstance(public, RSAPublicKey):
        raise BrokenError("no RSA key")
    if not _LEAST_BITS <= public.key_size <= _MOST_BITS or public.public_numbers().e.bit_length() > _EXPONENT_BITS:
        raise _UnusableKey
    try:
        public.verify(claim.signature, claim.digest, padding.PKCS1v15(), Prehashed(SHA256()))
    except InvalidSignature:
        return False
    return True
