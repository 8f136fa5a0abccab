"""Write tests/corpus: reports in the habits of the reporters that send them, and what reading them gives.

Run: python scripts/corpus.py (or `make golden`), then look at the difference before it is committed. Every report is
written here; domains end in .example or are example.*, addresses are those for documentation (RFC 5737, RFC 3849).
`scripts/corpus_samples.py` holds the samples with the numbers that a person expects of each.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from dmarcworks.reports.model import Reading
from dmarcworks.reports.plain import plain
from dmarcworks.reports.read import read_bytes, read_mail

TARGET = Path(__file__).resolve().parent.parent / "tests" / "corpus"
BEGIN = 1_790_035_200  # 2026-09-22 00:00 UTC
END = BEGIN + 86_399


def gz(data: bytes) -> bytes:
    """One gzip member, the same on every machine: stored, no time, no name."""
    engine = zlib.compressobj(0, zlib.DEFLATED, -15)
    body = engine.compress(data) + engine.flush()
    trailer = zlib.crc32(data).to_bytes(4, "little") + len(data).to_bytes(4, "little")
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + body + trailer


def zip_(*files: tuple[str, bytes]) -> bytes:
    """A zip archive of stored files, the same on every machine."""
    out, directory = b"", b""
    for name, data in files:
        label = name.encode()
        sizes = len(data).to_bytes(4, "little") * 2
        shared = (
            b"\x14\0\0\x08\0\0\0\0\x21\0"
            + zlib.crc32(data).to_bytes(4, "little")
            + sizes
            + len(label).to_bytes(2, "little")
            + b"\0\0"
        )
        directory += b"PK\x01\x02\x14\0" + shared + b"\0" * 10 + len(out).to_bytes(4, "little") + label
        out += b"PK\x03\x04" + shared + label + data
    count = len(files).to_bytes(2, "little")
    end = b"PK\x05\x06\0\0\0\0" + count * 2 + len(directory).to_bytes(4, "little") + len(out).to_bytes(4, "little")
    return out + directory + end + b"\0\0"


def record(
    ip: str = "192.0.2.10",
    count: object = 1,
    evaluated: str = "<disposition>none</disposition><dkim>pass</dkim><spf>pass</spf>",
    identifiers: str = "<header_from>example.com</header_from>",
    results: str = "<dkim><domain>example.com</domain><result>pass</result><selector>s1</selector></dkim>"
    "<spf><domain>example.com</domain><result>pass</result></spf>",
) -> str:
    """A record element."""
    return (
        f"<record><row><source_ip>{ip}</source_ip><count>{count}</count>"
        f"<policy_evaluated>{evaluated}</policy_evaluated></row><identifiers>{identifiers}</identifiers>"
        f"<auth_results>{results}</auth_results></record>"
    )


def metadata(org: str, report_id: str, begin: object = BEGIN, end: object = END, more: str = "") -> str:
    """A report_metadata element in the order of RFC 7489; `more` stands at its end."""
    return (
        f"<report_metadata><org_name>{org}</org_name><email>dmarc@{org.split()[0].lower()}</email>"
        f"<report_id>{report_id}</report_id><date_range><begin>{begin}</begin><end>{end}</end></date_range>{more}"
        "</report_metadata>"
    )


def policy(inside: str = "<adkim>r</adkim><aspf>r</aspf><p>none</p><sp>none</sp><pct>100</pct>") -> str:
    """A policy_published element for example.com."""
    return f"<policy_published><domain>example.com</domain>{inside}</policy_published>"


def feedback(
    *parts: str,
    declaration: str = '<?xml version="1.0" encoding="UTF-8"?>\n',
    attributes: str = "",
    version: str = "<version>1.0</version>",
) -> str:
    """A whole document, an element a line as most reporters write it."""
    body = "".join(parts).replace("><", ">\n<")
    return f"{declaration}<feedback{attributes}>\n{version}{body}\n</feedback>\n"


def part(
    content: bytes,
    name: str,
    kind: str = "application/gzip",
    disposition: str = "attachment",
    encoding: str = "base64",
    head: str = "",
) -> bytes:
    """A MIME part; `head` replaces its header fields."""
    fields = head or (
        f'Content-Type: {kind}; name="{name}"\n'
        f'Content-Disposition: {disposition}; filename="{name}"\nContent-Transfer-Encoding: {encoding}\n'
    )
    body = base64.encodebytes(content) if encoding == "base64" else content
    return fields.encode() + b"\n" + body


def text(words: str = "This is an aggregate report.", kind: str = "text/plain; charset=utf-8") -> bytes:
    """A part for people."""
    return f"Content-Type: {kind}\n\n{words}\n".encode()


def mail(
    org: str,
    *parts: bytes,
    kind: str = "multipart/mixed",
    subject: str = "Report domain: example.com Submitter: {org} Report-ID: <1@{org}>",
) -> bytes:
    """A mail from the reporter; a single part becomes the mail's own body."""
    head = (
        f"From: DMARC <dmarc@{org}>\nTo: rua@reports.example.net\nSubject: {subject.format(org=org)}\n"
        f"Message-ID: <m1@{org}>\nDate: Wed, 23 Sep 2026 04:00:00 +0000\nMIME-Version: 1.0\n"
    ).encode()
    if len(parts) == 1:
        return (head + parts[0]).replace(b"\n", b"\r\n")
    mark = b"=_" + hashlib.sha256(org.encode()).hexdigest()[:16].encode()
    body = b"".join(b"--" + mark + b"\n" + one + b"\n" for one in parts) + b"--" + mark + b"--\n"
    return (head + f'Content-Type: {kind}; boundary="{mark.decode()}"\n\n'.encode() + body).replace(b"\n", b"\r\n")


def read(name: str, data: bytes) -> Reading:
    """Read a sample as `dmarcworks parse` would."""
    return read_mail(data) if name.endswith(".eml") else read_bytes(data, name.rpartition("/")[2])


def expected(reading: Reading) -> dict[str, Any]:
    """What reading gave, as JSON values; an attachment's content by its size and hash."""
    return {
        "items": [
            {
                "kind": item.report.kind,
                "digest": item.digest,
                "part": {
                    "name": item.part.name,
                    "where": item.part.where,
                    "bytes": len(item.part.content),
                    "sha256": hashlib.sha256(item.part.content).hexdigest(),
                },
                "report": json.loads(json.dumps(plain(item.report))),
            }
            for item in reading.items
        ],
        "problems": [plain(problem) for problem in reading.problems],
    }


def main(samples: Sequence[Any]) -> None:
    """Write every sample and its expected reading; what is no sample any more goes."""
    shutil.rmtree(TARGET, ignore_errors=True)
    for sample in samples:
        path = TARGET / sample.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(sample.data)
        document = json.dumps(expected(read(sample.name, sample.data)), indent=1, ensure_ascii=False)
        path.with_name(path.name + ".expected.json").write_text(document + "\n")


if __name__ == "__main__":
    from corpus_samples import SAMPLES

    main(SAMPLES)
