"""Routing rules, mails for them, and requests to a running system."""

from __future__ import annotations

import json
import re
import smtplib
import urllib.error
import urllib.request
from typing import Any

from tests.support.system import System


def add(system: System, address: str, *action: str) -> Any:
    return system.json("route", "add", address, *action)


def mail(subject: str, do: str = "", domain: str = "sender.example", more: str = "") -> bytes:
    return (
        f"From: Somebody <who@{domain}>\r\nTo: w@example.com\r\nSubject: {subject}\r\n{more}"
        f"Message-ID: <{subject.replace(' ', '-')}@{domain}>\r\nX-Do: {do}\r\n\r\nHello\r\n"
    ).encode()


def send(system: System, to: str, raw: bytes, sender: str = "who@sender.example") -> tuple[int, str]:
    with smtplib.SMTP(*system.smtp, local_hostname="mail.sender.example", timeout=30) as client:
        try:
            client.sendmail(sender, [to], raw)
        except smtplib.SMTPRecipientsRefused as refused:
            code, words = refused.recipients[to]
            return code, words.decode()
        except smtplib.SMTPResponseException as refused:
            return refused.smtp_code, refused.smtp_error.decode()
    return 250, ""


def ask(system: System, method: str, path: str, body: Any = None, token: str | None = "") -> tuple[int, Any]:
    """One request; the token that may write unless told."""
    headers = {} if token is None else {"Authorization": f"Bearer {token or system.writer}"}  # type: ignore[attr-defined]
    data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(system.http + path, data=data, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            status, text = answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read().decode()
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text


def metric(system: System, name: str) -> float:
    status, text = system.get("/metrics")
    assert status == 200
    found = re.search(rf"^{re.escape(name)} ([\d.e+-]+)$", text, re.MULTILINE)
    assert found, f"no {name} in {text}"
    return float(found[1])
