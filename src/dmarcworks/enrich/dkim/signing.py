"""Our own signatures: a DKIM-Signature (RFC 6376) and an ARC set (RFC 8617), by an RSA key."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from dmarcworks.enrich.dkim.arc import INSTANCES, RESULTS, SEAL, SIGNATURE, arc_sets
from dmarcworks.enrich.dkim.message import CanonicalMail, HeaderField, header_hash, relaxed_field
from dmarcworks.enrich.dkim.signature import read_tags
from dmarcworks.enrich.dkim.tags import BrokenError

_LINE = 72


class DkimSigner:
    """Signs as `selector._domainkey.domain`; `BrokenError` for a key that is no RSA key of 1024 to 8192 bits."""

    def __init__(self, pem: bytes, selector: str, domain: str) -> None:
        try:
            key = load_pem_private_key(pem, None)
        except (ValueError, TypeError) as error:
            raise BrokenError(str(error).partition("\n")[0]) from None
        if not isinstance(key, RSAPrivateKey) or not 1024 <= key.key_size <= 8192:
            raise BrokenError("not an RSA key of 1024 to 8192 bits")
        self._key = key
        self._selector = selector
        self._domain = domain

    def dkim(self, mail: CanonicalMail, names: Sequence[bytes], now: int) -> bytes:
        """The field that signs those of `names` that the mail has, and its body."""
        present = {field.name for field in mail.fields}
        covered = [name for name in names if name in present]
        text = f"v=1; a=rsa-sha256; c=relaxed/simple; d={self._domain}; i=@{self._domain};\r\n q=dns/txt; "
        text += f"s={self._selector}; t={now};\r\n h={_list(covered)};\r\n bh={_text(mail.body_hash(False))};\r\n b="
        return self._signed(mail, "DKIM-Signature", text, covered)

    def arc(self, mail: CanonicalMail, names: Sequence[bytes], results: str, chain: str, now: int) -> bytes:
        """The three fields of the next instance; `results` are ours, `chain` what we found of the sets before.

        `BrokenError` when the mail must not be sealed.
        """
        before = [] if chain == "none" else arc_sets(mail)
        number = len(before) + 1
        if chain not in ("none", "pass", "fail") or (chain == "none") != (not _any_set(mail)) or number > INSTANCES:
            raise BrokenError(f"nothing can be sealed as instance {number} of a chain that is {chain}")
        if before and read_tags(before[-1][2]).get("cv", "").lower() == "fail":
            raise BrokenError("the chain is ended")
        about = f"d={self._domain}; s={self._selector}; t={now};\r\n"
        results_field = _field(RESULTS, f"ARC-Authentication-Results: i={number}; {results}\r\n")
        present = {field.name for field in mail.fields}
        covered = [name for name in names if name in present] + [b"from"]
        text = f"i={number}; a=rsa-sha256; c=relaxed/relaxed; {about} h={_list(covered)};\r\n"
        text += f" bh={_text(mail.body_hash(True))};\r\n b="
        message = _field(SIGNATURE, self._signed(mail, "ARC-Message-Signature", text, covered, relaxed=True).decode())
        seal = f"ARC-Seal: i={number}; cv={chain}; a=rsa-sha256; {about} b="
        hashed = hashlib.sha256()
        # A chain that failed is ended by a seal over its own set only (RFC 8617 §5.1.2).
        for field in [one for fields in before if chain == "pass" for one in fields]:
            hashed.update(relaxed_field(field))
        hashed.update(relaxed_field(results_field) + relaxed_field(message))
        hashed.update(relaxed_field(_field(SEAL, seal + "\r\n")).removesuffix(b"\r\n"))
        return seal.encode() + self._folded(hashed.digest()) + message.raw + results_field.raw

    def _signed(
        self, mail: CanonicalMail, name: str, text: str, covered: Sequence[bytes], *, relaxed: bool = True
    ) -> bytes:
        field = _field(name.lower().encode(), f"{name}: {text}\r\n")
        return field.raw.removesuffix(b"\r\n") + self._folded(header_hash(mail, covered, field, relaxed))

    def _folded(self, digest: bytes) -> bytes:
        signature = self._key.sign(digest, padding.PKCS1v15(), Prehashed(SHA256()))
        text = base64.b64encode(signature)
        lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
        return b"\r\n ".join(lines) + b"\r\n"


def _any_set(mail: CanonicalMail) -> bool:
    return any(field.name in (RESULTS, SIGNATURE, SEAL) for field in mail.fields)


def _field(name: bytes, raw: str) -> HeaderField:
    return HeaderField(name, raw.encode("utf-8", "replace"))


def _text(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def _list(names: Sequence[bytes]) -> str:
    return " : ".join(name.decode("ascii") for name in names)
