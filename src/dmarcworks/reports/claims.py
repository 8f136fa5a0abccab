"""Whether a part or file without a report is worth a problem: a possible report that was not read is never ignored.

In: name, declared type and first bytes. If the bytes are something else (a picture, a document, prose, a signature),
the part is other content; it still becomes a problem if its name promises a report.
"""

from __future__ import annotations

import re

from dmarcworks.reports import archive, compression, sniff
from dmarcworks.reports.copies import begins_with_headers
from dmarcworks.reports.unpack import Leaf

__all__ = [
    "MAIL_NAME",
    "PGP",
    "claims",
    "is_binary",
    "is_mail_inside",
    "is_opaque",
    "other_content",
    "promised",
    "reason_and_detail",
    "worth_a_look",
]

_NAMED = re.compile(
    r"\.(?:xml|gz|gzip|tgz|zip|z|json|bz2|tbz2?|xz|txz|lzma|zst|tar|7z|rar|lz4?|cab|tnef)\s*$", re.IGNORECASE
)
_PROMISED = re.compile(r"\.(?:xml|json)(?:\.\w{1,8})?\s*$|\.(?:gz|gzip)\s*$|!.*!", re.IGNORECASE)
# Signatures and checksums that are named after the file that they are of.
_ABOUT = re.compile(r"\.(?:sig|asc|sign|minisig|p7s|md5|sha\d{1,3}|crc|sfv)\s*$", re.IGNORECASE)
_TYPED = re.compile(r"application/(?:tlsrpt|.*(?:zip|xml|json))|text/(?:xml|json)$")
MAIL_NAME = re.compile(r"\.(?:eml|msg|mht)\s*$", re.IGNORECASE)
# What people and mail programs attach in addition to a report.
_NO_REPORT = re.compile(
    r"(?:text|image|audio|video|font|message|multipart)/|application/(?:pgp-|(?:x-)?pkcs7-signature|ics|pdf|rtf|msword"
    r"|(?:x-)?(?:java|ecma)script|x-sh|x-php"
    r"|vnd\.(?:ms-(?!tnef)|openxmlformats|oasis))"
)
_OTHER = (
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"RIFF", "a picture or sound"),
    (b"II*\0", "a picture"),
    (b"MM\0*", "a picture"),
    (b"\0\0\1\0", "an icon"),
    (b"{\\rtf", "a document"),
    (b"MZ", "a program"),
    (b"\x7fELF", "a program"),
    (b"L\0\0\0\1\x14\2\0", "a shortcut of Windows"),
    (b"ID3", "a sound"),
    (b"OggS", "a sound or film"),
    (b"\x1aE\xdf\xa3", "a film"),
    (b"BM", "a picture"),
    (b"wOF", "a font"),
    (b"OTTO", "a font"),
    (b"\0\1\0\0\0", "a font"),
    (b"\0\5\x16\7", "data of macOS"),
    (b"\0\0\0\1Bud1", "data of macOS"),
    (b"-----BEGIN PGP SIGNATURE", "a signature"),
    (b"<!ELEMENT", "a document type"),
)
# The object identifiers of signed and enveloped data (RFC 5652 §5, §6) behind the outermost header.
_CMS = re.compile(
    rb"\x30.{1,5}\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07[\x02\x03]|\x30\x80\x06[\x09\x0b]\x2a\x86", re.DOTALL
)
PGP = b"-----BEGIN PGP MESSAGE-----"
# An attached mail has these fields whatever its type; what people write above a quotation has not.
_MIME_FIELD = re.compile(rb"^(?:mime-version|content-type)[ \t]{0,10}:", re.IGNORECASE | re.MULTILINE)
_ANY_TYPE = ("text/plain", "application/octet-stream")
_CONTROLS = bytes(n for n in range(32) if n not in (9, 10, 12, 13, 27))


def claims(name: str, kind: str) -> bool:
    """Whether a part's name or type promises a report, so that one without a report is a problem."""
    if _NAMED.search(name) or MAIL_NAME.search(name):
        return True
    return bool(_TYPED.match(kind)) or not _NO_REPORT.match(kind)


def worth_a_look(kind: str, name: str, head: bytes) -> bool:
    """Whether a part of a mail may have to be named; nearly every mail has a text for people that has not."""
    if name or not kind.startswith("text/") or kind in ("text/xml", "text/json"):
        return True
    if head.lstrip().startswith(PGP):
        return True
    return compression.unread_format(head) != "" or is_opaque(kind, name, head)


def promised(name: str) -> bool:
    """Whether a file name is one of a report, inside an archive too."""
    return _PROMISED.search(name) is not None and _ABOUT.search(name) is None


def is_opaque(kind: str, name: str, head: bytes) -> bool:
    """Whether a part is S/MIME with its content inside (RFC 8551), which is no detached signature."""
    if kind.endswith("pkcs7-signature") or name.lower().endswith(".p7s"):
        return False
    return kind.endswith("pkcs7-mime") or (head[:1] == b"0" and _CMS.match(head) is not None)


def is_binary(head: bytes) -> bool:
    """Whether the bytes contain control characters, which no text has."""
    sample = head[:4096]
    return len(sample.translate(None, _CONTROLS)) != len(sample)


def is_mail_inside(leaf: Leaf, kind: str) -> bool:
    """Whether a file that begins as a mail is read as one: in an archive, or an attached mail by its name or form."""
    if leaf.packed or not kind or MAIL_NAME.search(leaf.name):
        return True
    if kind not in _ANY_TYPE or not begins_with_headers(leaf.head):
        return False
    fields = leaf.head[:8192].replace(b"\r\n", b"\n").lstrip(b"\n").partition(b"\n\n")[0]
    return _MIME_FIELD.search(fields) is not None


def other_content(head: sniff.Head, leaf: Leaf) -> str:
    """What the bytes are that are no report and could be none: "a PDF document"; "" where they may be a broken one."""
    for magic, name in _OTHER:
        if leaf.head.startswith(magic):
            return name
    if leaf.head[4:8] == b"ftyp":
        return "a picture or film"
    if archive.is_document(leaf.head):
        return "a document"
    if head.kind == "ole" and leaf.name.lower().endswith(("thumbs.db", ".doc", ".xls", ".ppt")):
        return "a document"
    if head.kind == "xml" and head.root:
        return f"XML with the root {head.root[:60]!r}"
    sample = leaf.head[:4096]
    if sample.startswith((b"\xff\xfe", b"\xfe\xff")):
        sample = sample[: len(sample) & ~1].decode("utf-16", "replace").encode("utf-8", "replace")
    if head.kind == "empty":
        return "an empty file"
    if leaf.packed and _ABOUT.search(leaf.name):
        return "a signature or checksum"
    if head.kind in ("other", "mail", "json") and not is_binary(sample):
        return "text"
    return ""


def reason_and_detail(head: sniff.Head, leaf: Leaf, kind: str = "") -> tuple[str, str]:
    """Why nothing was read of the bytes: a code of `REASONS` and a sentence."""
    begin = leaf.head[:40].decode("latin-1")
    if leaf.head.lstrip().startswith(PGP):
        return "pgp_encrypted", "The part is encrypted with OpenPGP, which is not opened."
    if is_opaque(kind, leaf.name, leaf.head):
        return "smime_opaque", "The part is S/MIME with its content inside, signed or encrypted; it is not opened."
    if (format_name := compression.unread_format(leaf.head)) and head.kind == "other":
        return "format_not_read", f"The part is {format_name}, which is not read."
    if archive.is_document(leaf.head):
        return "not_xml", "The file is a document, such as one of Office, or a program library, and not a report."
    if head.kind == "empty":
        return "empty", "The file is empty."
    if head.kind == "ole":
        return "outlook_msg", "This is an Outlook .msg file, which is not read."
    if head.kind == "mail" and begins_with_headers(leaf.head):
        return "no_report", "There is no report in this mail."
    if head.kind == "json":
        broken = not leaf.head.strip()
        return ("json_broken" if broken else "other_json"), "The JSON is no TLS report."
    if head.kind == "xml" and head.root:
        return "other_xml", f"The XML's root element is {head.root[:60]!r}, not 'feedback'."
    return "not_xml", f"The content is neither XML nor JSON; it begins {begin!r}."
