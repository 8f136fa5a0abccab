"""Promise: a mail is called genuine when SPF or DKIM say so in its author's name, and "unknown" when DNS is silent."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from dmarcworks.enrich.authenticity import NOT_CHECKED, UNKNOWN, Authenticity, MailToCheck
from dmarcworks.enrich.checking import Checker
from dmarcworks.enrich.dmarc_policy import PolicyFinder
from dmarcworks.enrich.examine import run
from dmarcworks.enrich.resolver import Dns
from dmarcworks.process.isolated import FailedError, KilledError, UnavailableError
from tests.support.outside import Names, answering

# A key for this run only; 1024 bits are quick to make.
_MADE = rsa.generate_private_key(65537, 1024)
KEY = _MADE.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
)
_DER = _MADE.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
PUBLIC = base64.b64encode(_DER).decode()


@pytest.fixture
def names() -> Iterator[Names]:
    there = Names()
    there.add(
        {
            ("example.com", "TXT"): "v=spf1 include:_spf.example.net a:out.example.com -all",
            ("_spf.example.net", "TXT"): "v=spf1 ip4:192.0.2.0/24 -all",
            ("out.example.com", "A"): "198.51.100.7",
            ("_dmarc.example.com", "TXT"): "v=DMARC1; p=reject; sp=quarantine",
            ("s1._domainkey.example.com", "TXT"): f"v=DKIM1; k=rsa; p={PUBLIC}",
            ("s1._domainkey.mailer.example", "TXT"): f"v=DKIM1; k=rsa; p={PUBLIC}",
            ("mailer.example", "TXT"): "v=spf1 ip4:203.0.113.5 -all",
            ("loop.example", "TXT"): "v=spf1 include:loop.example -all",
            ("two.example", "TXT"): ["v=spf1 -all", "v=spf1 +all"],
        }
    )
    with answering(there):
        yield there


def mail(author: str = "dmarc@example.com", more: str = "") -> bytes:
    return f"From: Reports <{author}>\r\nTo: rua@r.example\r\nSubject: Report\r\n{more}\r\nBody\r\n".encode()


def signed(raw: bytes, domain: str) -> bytes:
    return bytes(dkim.sign(raw, b"s1", domain.encode(), KEY, include_headers=[b"from", b"subject"])) + raw


async def here(argument: Any) -> Any:
    """The work of the checks, in this process."""
    return run(argument)


async def asked(
    names: Names, raw: bytes, peer: str = "192.0.2.9", sender: str = "b@example.com", seconds: float = 5.0
) -> Authenticity:
    dns = Dns(names.server)
    try:
        checker = Checker(dns, here, seconds=seconds, patience=0.2)
        return await checker.check(MailToCheck(raw, peer, "out.example.com", sender))
    finally:
        dns.close()


@pytest.mark.parametrize(
    ("raw", "peer", "sender", "spf", "dkim_result", "dmarc"),
    [
        # SPF in the author's name; the host it names; another's mail in the author's name.
        (mail(), "192.0.2.9", "b@example.com", "pass", "none", "pass"),
        (mail(), "198.51.100.7", "b@example.com", "pass", "none", "pass"),
        (mail(), "203.0.113.5", "b@example.com", "fail", "none", "fail"),
        # The null sender is judged by HELO.
        (mail(), "192.0.2.9", "", "none", "none", "fail"),
        # DKIM survives another sender; another's signature and another's SPF say nothing of the author.
        (signed(mail(), "example.com"), "203.0.113.5", "x@mailer.example", "pass", "pass", "pass"),
        (signed(mail(), "mailer.example"), "203.0.113.5", "x@mailer.example", "pass", "pass", "fail"),
        (signed(mail(), "example.com").replace(b"Body", b"Changed"), "203.0.113.5", "", "none", "fail", "fail"),
        (signed(mail(), "nokey.example"), "203.0.113.5", "", "none", "fail", "fail"),
        # Below the domain: relaxed alignment by the tree walk.
        (mail("a@sub.example.com"), "192.0.2.9", "b@example.com", "pass", "none", "pass"),
        # No record, no verdict; broken SPF is said to be broken.
        (mail("a@mailer.example"), "203.0.113.5", "x@mailer.example", "pass", "none", "none"),
        (mail(), "192.0.2.9", "x@loop.example", "permerror", "none", "fail"),
        (mail(), "192.0.2.9", "x@two.example", "permerror", "none", "fail"),
        # Two authors, none, or two From fields: nobody to speak for.
        (mail(more="From: other@example.org\r\n"), "192.0.2.9", "b@example.com", "pass", "none", "permerror"),
        (b"Subject: x\r\n\r\n", "192.0.2.9", "b@example.com", "pass", "none", "permerror"),
    ],
)
async def test_each_mail_has_its_results(
    names: Names, raw: bytes, peer: str, sender: str, spf: str, dkim_result: str, dmarc: str
) -> None:
    """SPF by the peer, DKIM by the signature, DMARC by what of it stands for the author."""
    found = await asked(names, raw, peer, sender)
    assert (found.spf, found.dkim, found.dmarc, found.arc) == (spf, dkim_result, dmarc, "none")


async def test_results_name_their_domains(names: Names) -> None:
    """Who signed, who sent, who is the author and what it asks for."""
    found = await asked(names, signed(mail(), "mailer.example"), "203.0.113.5", "x@mailer.example")
    assert (found.from_domain, found.spf_domain, found.policy) == ("example.com", "mailer.example", "reject")
    assert [(one.domain, one.selector, one.result) for one in found.signatures] == [("mailer.example", "s1", "pass")]
    assert found.genuine is False
    assert found.header == (
        "dkim=pass header.d=mailer.example header.s=s1; spf=pass smtp.mailfrom=mailer.example; "
        "dmarc=fail header.from=example.com; arc=none"
    )


async def test_a_sealed_mail_shows_its_chain(names: Names) -> None:
    """ARC passes while the seal holds and fails when the mail was changed after it."""
    results = b"Authentication-Results: mx.example; spf=pass smtp.mailfrom=example.com\r\n"
    raw = results + mail()
    sealed = b"".join(dkim.ARC(raw).sign(b"s1", b"mailer.example", KEY, b"mx.example")) + raw
    assert (await asked(names, sealed)).arc == "pass"
    assert (await asked(names, sealed.replace(b"Body", b"Changed"))).arc == "fail"


async def test_silent_dns_is_no_verdict(names: Names) -> None:
    """A server that fails for one name spoils that result only; no server at all is unknown, within the time box."""
    names.failing.add("_spf.example.net")
    found = await asked(names, mail())
    assert (found.spf, found.dmarc) == ("temperror", "temperror")
    names.failing = {"_dmarc.example.com"}
    assert (await asked(names, mail())).dmarc == "temperror"
    nobody = await Checker(Dns("127.0.0.1:9"), here, seconds=0.5).check(
        MailToCheck(mail(), "192.0.2.9", "h", "b@example.com")
    )
    assert (nobody.spf, nobody.dkim, nobody.dmarc) == ("temperror", "none", "temperror")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff" * 1000,
        b"From: \xff\xfe@x\r\nDKIM-Signature: v=1; a=; b=; d=; s=;\r\n\r\n",
        b"From: a@" + b"x" * 300 + b".example\r\n\r\n",
        b"From: a@..\r\nDKIM-Signature: " + b"d=a;" * 5000 + b"\r\nARC-Seal: i=99999999999\r\n\r\n",
        mail(more="DKIM-Signature: v=1; a=rsa-sha256; d=x; s=y; h=from; bh=!; b=?\r\n" * 50),
    ],
)
async def test_hostile_mail_is_only_unproven(names: Names, raw: bytes) -> None:
    """Whatever stands in the fields: an answer, no error."""
    found = await asked(names, raw, sender="<\xff@..>")
    assert found.dmarc != "pass"
    assert len(found.signatures) <= 5


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (KilledError("cpu", "it used more than 10 s of processor time"), NOT_CHECKED),
        (FailedError("ValueError", "tripped"), NOT_CHECKED),
        (UnavailableError("no process can be started"), UNKNOWN),
    ],
)
@pytest.mark.parametrize("step", ["facts", "spf", "verify"])
async def test_a_check_that_is_stopped_is_no_verdict(
    names: Names, step: str, error: Exception, result: Authenticity
) -> None:
    """Whatever ends the work in the other process: no error, nothing genuine."""

    async def work(argument: Any) -> Any:
        if argument[0] == step:
            raise error
        return run(argument)

    dns = Dns(names.server)
    checker = Checker(dns, work, patience=1)
    found = await checker.check(MailToCheck(signed(mail(), "example.com"), "192.0.2.9", "h", "b@example.com"))
    dns.close()
    assert found == result
    assert (found.genuine, found.temporary) == (None, result is UNKNOWN)
    assert "not_checked" not in found.header


STRANGER = "x@slow.example"


@pytest.mark.parametrize(
    ("raw", "sender", "dmarc"),
    [
        # Forged: a stranger's silent zone in the envelope, in a signature, in both; all of it is a plain failure.
        (mail(), STRANGER, "fail"),
        (signed(mail(), "slow.example"), "x@mailer.example", "fail"),
        (signed(signed(mail(), "slow.example"), "other.slow.example"), STRANGER, "fail"),
        # Genuine by DKIM or by SPF, whatever else is silent.
        (signed(signed(mail(), "slow.example"), "example.com"), STRANGER, "pass"),
        (signed(mail(), "slow.example"), "b@example.com", "pass"),
        # An SPF record whose includes are silent is the stranger's too.
        (mail(), "x@slow-include.example", "fail"),
    ],
)
@pytest.mark.parametrize("silence", ["silent", "slow", "SERVFAIL"])
async def test_a_stranger_s_name_servers_decide_nothing(
    names: Names, raw: bytes, sender: str, dmarc: str, silence: str
) -> None:
    """Only an aligned identifier or the policy can make the result temporary."""
    names.add({("slow-include.example", "TXT"): "v=spf1 include:slow.example -all"})
    zone = {"silent": names.silent, "slow": names.slow, "SERVFAIL": names.broken}[silence]
    zone.add("slow.example")
    found = await asked(names, raw, "203.0.113.5" if sender != "b@example.com" else "192.0.2.9", sender, 1.0)
    assert (found.dmarc, found.policy) == (dmarc, "reject")
    # Of a stranger's domain it is never asked whether it is one organisation with the author's.
    assert not [name for name, _ in names.asked if name.startswith("_dmarc.") and "slow" in name]


@pytest.mark.parametrize(
    ("raw", "sender", "failing"),
    [
        (mail(), "x@mailer.example", "_dmarc.example.com"),
        (signed(mail(), "example.com"), "x@mailer.example", "s1._domainkey.example.com"),
        (mail(), "x@sub.example.com", "sub.example.com"),
        (mail(), "b@example.com", "_spf.example.net"),
        # Its key is there and holds; whether it is of the same organisation nobody says.
        (signed(mail(), "sub.example.com"), "x@mailer.example", "_dmarc.sub.example.com"),
    ],
)
async def test_silence_about_the_author_is_temporary(names: Names, raw: bytes, sender: str, failing: str) -> None:
    names.add({("s1._domainkey.sub.example.com", "TXT"): f"v=DKIM1; k=rsa; p={PUBLIC}"})
    names.failing.add(failing)
    found = await asked(names, raw, "203.0.113.5", sender)
    assert (found.dmarc, found.temporary, found.genuine) == ("temperror", True, None)
    names.failing.clear()
    assert (await asked(names, raw, "203.0.113.5", sender)).dmarc in ("pass", "fail")


def there(name: str, deadline: float) -> bool:
    """Every name exists."""
    return True


@pytest.mark.parametrize(
    ("records", "domain", "organisation"),
    [
        ({"_dmarc.example.com": "v=DMARC1"}, "a.b.example.com", "example.com"),
        ({"_dmarc.example.com": "v=DMARC1", "_dmarc.b.example.com": "v=DMARC1"}, "a.b.example.com", "example.com"),
        (
            {"_dmarc.example.com": "v=DMARC1", "_dmarc.b.example.com": "v=DMARC1; psd=n"},
            "a.b.example.com",
            "b.example.com",
        ),
        ({"_dmarc.bank": "v=DMARC1; psd=y"}, "mail.my.bank", "my.bank"),
        ({"_dmarc.bank": "v=DMARC1; psd=y"}, "bank", "bank"),
        ({"_dmarc.my.bank": "v=DMARC1; psd=y", "_dmarc.bank": "v=DMARC1"}, "my.bank", "my.bank"),
        ({"_dmarc.3.4.5.6.7.a.c": "v=DMARC1; psd=y"}, "0.1.2.3.4.5.6.7.a.c", "2.3.4.5.6.7.a.c"),
        ({}, "a.example.com", "a.example.com"),
        ({"_dmarc.example.com": "v=dmarc1"}, "a.example.com", "a.example.com"),
        ({"_dmarc.c": "v=DMARC1"}, "1.2.3.4.5.6.7.8.9.a.b.c", "c"),
    ],
)
def test_the_walk_up_the_tree(records: dict[str, str], domain: str, organisation: str) -> None:
    """psd=n ends it, psd=y one below, else the shortest name with a record; never more than eight questions."""
    questions = []

    def resolver(name: str, kind: str, deadline: float) -> list[bytes]:
        questions.append((name, kind))
        return [records[name].encode()] if name in records else []

    assert PolicyFinder(resolver, there, time.monotonic() + 5).organisation(domain) == organisation
    assert len(questions) <= 8


def test_a_policy_is_the_record_s_and_what_stands_above_it() -> None:
    """sp for what lies below, t=y one step softer, nonsense is none."""
    records = {
        "_dmarc.example.com": b"v=DMARC1; p=reject; sp=quarantine; adkim=s",
        "_dmarc.soft.example": b"v=DMARC1; p=reject; t=y",
        "_dmarc.odd.example": b"v=DMARC1; p=shred",
    }
    finder = PolicyFinder(lambda name, kind, deadline: [records[name]] if name in records else [], there, 0)
    policies = {name: finder.policy(name) for name in ("example.com", "x.example.com", "soft.example", "odd.example")}
    assert [policy and policy.action for policy in policies.values()] == ["reject", "quarantine", "quarantine", "none"]
    assert policies["example.com"] is not None
    assert policies["example.com"].strict_dkim
    assert finder.policy("none.example") is None
    suffix = {"_dmarc.bank": b"v=DMARC1; p=reject; sp=quarantine; psd=y"}
    above = PolicyFinder(lambda name, kind, deadline: [suffix[name]] if name in suffix else [], there, 0).policy(
        "my.bank"
    )
    assert above is not None
    assert above.action == "quarantine"
    assert finder.aligned("example.com", "x.example.com", strict=False)
    assert not finder.aligned("example.com", "x.example.com", strict=True)


@pytest.mark.parametrize(
    ("record", "domain", "exists", "action"),
    [
        ("p=none; sp=none; np=reject", "ghost.example.com", False, "reject"),
        ("p=none; sp=quarantine; np=reject", "real.example.com", True, "quarantine"),
        ("p=none; np=reject", "real.example.com", True, "none"),
        ("p=reject; np=none", "ghost.example.com", False, "none"),
        ("p=reject; np=none", "ghost.example.com", True, "reject"),
        ("p=none; sp=quarantine", "ghost.example.com", None, "quarantine"),
        ("p=none; np=reject; t=y", "ghost.example.com", False, "quarantine"),
        ("p=none; sp=reject; np=shred", "ghost.example.com", False, "none"),
        # A domain with a record of its own is not below anything: p counts, whether it exists is not looked up.
        ("p=none; np=reject", "example.com", None, "none"),
    ],
)
def test_np_is_the_policy_of_a_name_that_does_not_exist(
    record: str, domain: str, exists: bool | None, action: str
) -> None:
    """RFC 9989 section 4.7; `exists` None: it must not be queried."""
    known = {"_dmarc.example.com": f"v=DMARC1; {record}".encode()}
    queried: list[str] = []

    def name_exists(name: str, deadline: float) -> bool:
        queried.append(name)
        return bool(exists)

    finder = PolicyFinder(lambda name, kind, deadline: [known[name]] if name in known else [], name_exists, 0)
    policy = finder.policy(domain)
    assert policy is not None
    assert policy.action == action
    assert queried == ([] if exists is None else [domain])


async def test_np_is_found_over_dns(names: Names) -> None:
    """A forged mail of a name that does not exist, one of a name with other records only, and one without an answer."""
    names.add(
        {
            ("_dmarc.example.com", "TXT"): "v=DMARC1; p=none; sp=quarantine; np=reject",
            ("real.example.com", "MX"): "10 mx.example.com.",
        }
    )
    found = [await asked(names, mail(f"x@{name}.example.com"), "203.0.113.5") for name in ("ghost", "real")]
    assert [(one.dmarc, one.policy) for one in found] == [("fail", "reject"), ("fail", "quarantine")]
    names.failing.add("mute.example.com")
    found = [await asked(names, mail("x@mute.example.com"), "203.0.113.5")]
    assert [(one.dmarc, one.temporary) for one in found] == [("temperror", True)]
