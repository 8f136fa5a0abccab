"""A certificate for a test, by an authority of its own."""

from __future__ import annotations

import ssl
from datetime import datetime
from pathlib import Path

import trustme

from dmarcworks.routing.smtp import Certificate

HOST = "reports.example.net"


class Files:
    """A certificate's two files, and what a client trusts."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.certificate, self.key = folder / "cert.pem", folder / "key.pem"
        self.renew()

    def renew(self, until: datetime | None = None) -> None:
        """A new certificate by the same authority."""
        issued = self.authority.issue_cert(HOST, not_after=until)
        issued.private_key_pem.write_to_path(str(self.key))
        self.certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))

    def load(self) -> Certificate:
        return Certificate(self.certificate, self.key)

    def trust(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context
