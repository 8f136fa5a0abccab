"""Sealing a stranger's mail takes time in proportion to its size, and seals what the library alone would seal."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from dmarcworks.routing.delivery.signing import Signer

_SECONDS = 30
_HEAD = b"From: a@b.example\r\nTo: c@d.example\r\nSubject: x\r\n"
# A megabyte each: the library alone takes quadratic time for the first (2 s for 40 kB).
HOSTILE = {
    "body of blanks": _HEAD + b"\r\n" + b" " * 1_000_000 + b"x\r\n",
    "body of tabs": _HEAD + b"\r\n" + b"\t" * 1_000_000 + b"x\r\n",
    "body of line breaks": _HEAD + b"\r\n" + b"\r\n" * 500_000 + b"x\r\n",
    "field of blanks": _HEAD + b"Date: " + b" " * 1_000_000 + b"x\r\n\r\nx\r\n",
    "folded field": _HEAD + b"Date: a\r\n" + b" b\r\n" * 250_000 + b"\r\nx\r\n",
}


def run() -> None:
    """In a child: every mail sealed; ended by the kernel when it hangs."""
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    signer = Signer(key.decode(), "s", "here.example", "here.example")
    for name, raw in HOSTILE.items():
        print(name, flush=True)
        sealed = signer.seal(raw, "spf=pass smtp.mailfrom=b.example")
        assert b"\r\nARC-Seal: " in sealed, name
        assert sealed.endswith(raw), name
    print("done")


def test_no_mail_keeps_the_sealing_busy() -> None:
    """Megabytes of blanks, tabs, line breaks and folds leave sealed, with the body as it came."""
    root = Path(__file__).parents[3]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join((str(root / "src"), str(root)))}
    command = [sys.executable, "-c", "import runpy, sys; runpy.run_path(sys.argv[1])['run']()", __file__]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1:] == ["done"], (done.stdout[-300:], done.stderr[-800:])
