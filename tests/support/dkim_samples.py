"""Mails that are signed, and what our verifier answers about them."""

from __future__ import annotations

import base64
from typing import Any

import dkim
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from dmarcworks.enrich.dkim import arc, keys, signature
from dmarcworks.enrich.dkim.message import CanonicalMail

NOW = 1_800_000_000.0
PEM = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
DER = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def record(key: Any, kind: str = "rsa") -> bytes:
    return f"v=DKIM1; k={kind}; p=".encode() + base64.b64encode(key.public_key().public_bytes(*DER))


MADE = rsa.generate_private_key(65537, 2048)
KEY = MADE.private_bytes(*PEM)
KEYS = {"s._domainkey.a.example": [record(MADE)], "s._domainkey.b.example": [record(MADE)]}
PLAIN = b"From: Somebody <who@a.example>\r\nTo: x@b.example\r\nSubject: one\r\n\ttwo  \r\n\r\n"


def results(raw: bytes, published: dict[str, list[bytes]] = KEYS) -> list[str]:
    """Of each signature, as a verifier with these keys says it."""
    return [
        one.result if one.claim is None else keys.verified(one.claim, published.get(one.claim.key_name, ()))
        for one in signature.signatures(CanonicalMail(raw), NOW)
    ]


def chained(raw: bytes) -> str:
    found = arc.chain(CanonicalMail(raw))
    held = all(keys.verified(claim, KEYS.get(claim.key_name, ())) == "pass" for claim in found.claims)
    return found.result or ("pass" if held else "fail")


def signed(raw: bytes, where: bytes = b"a.example", **more: Any) -> bytes:
    return bytes(dkim.sign(raw, b"s", where, KEY, **more)) + raw
