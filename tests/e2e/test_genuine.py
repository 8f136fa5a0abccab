"""Promise: a forged report mail has its 250, is marked as what it is, and is counted only where that is wanted."""

from __future__ import annotations

import smtplib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from dmarcworks.enrich.dkim.message import CanonicalMail
from dmarcworks.enrich.dkim.signing import DkimSigner
from tests.support.mails import report_mail
from tests.support.outside import Names, Sink, answering, listening
from tests.support.system import System, wait_for

RECORDS = {
    ("genuine.example", "TXT"): "v=spf1 ip4:127.0.0.1 -all",
    ("_dmarc.genuine.example", "TXT"): "v=DMARC1; p=reject",
    ("forged.example", "TXT"): "v=spf1 -all",
    ("_dmarc.forged.example", "TXT"): "v=DMARC1; p=none",
}


@pytest.mark.parametrize(
    ("mode", "messages", "states", "reasons"),
    [
        ("accept", 3 * 5, ["counted"] * 3, []),
        ("quarantine", 2 * 5, ["counted", "counted", "quarantined"], ["not_genuine"]),
        ("reject", 2 * 5, ["counted", "counted"], ["not_genuine"]),
    ],
)
def test_a_forged_report_is_marked_or_kept_apart(
    tmp_path: Path, mode: str, messages: int, states: list[str], reasons: list[str]
) -> None:
    """A genuine, a forged and an unprovable mail: results, state, figures and problem for each mode."""
    names = Names()
    names.add(RECORDS)
    with answering(names):
        settings = {"DMARCWORKS_REPORT_AUTH": mode, "DMARCWORKS_DNS_SERVER": names.server}
        system = System(tmp_path / "home", settings=settings)
        system.start()
        domain = system.add_domain("example.com")
        with smtplib.SMTP(*system.smtp, local_hostname="mail.example", timeout=30) as client:
            for report, author in (("1", "genuine.example"), ("2", "forged.example"), ("3", "unknown.example")):
                raw = report_mail(report).replace(b"From: dmarc@mail.example", f"From: dmarc@{author}".encode())
                assert client.sendmail(f"dmarc@{author}", [domain["rua"]], raw) == {}
        wait_for(lambda: len(system.rows("SELECT id FROM mails")) == 3, "all mails read")
        wait_for(lambda: len(system.rows("SELECT id FROM activity")) == 3, "three lines")
        assert system.total() == messages
        assert sorted(row["state"] for row in system.rows("SELECT state FROM reports")) == states
        assert [problem["reason"] for problem in system.problems()] == reasons
        found = system.rows(
            "SELECT m.sender, a.spf, a.dkim, a.dmarc, a.arc FROM authenticity a JOIN mails m ON m.id = a.mail_id"
        )
        assert {row["sender"]: (row["spf"], row["dkim"], row["dmarc"], row["arc"]) for row in found} == {
            "dmarc@genuine.example": ("pass", "none", "pass", "none"),
            "dmarc@forged.example": ("fail", "none", "fail", "none"),
            "dmarc@unknown.example": ("none", "none", "none", "none"),
        }
        rows = system.sql("SELECT report_id, any(report_authentic) AS proof FROM dmarc_reports GROUP BY report_id")
        proven = {row["report_id"]: row["proof"] for row in rows}
        assert proven == {"1": "pass", "3": "none", **({"2": "fail"} if mode == "accept" else {})}
        assert system.stop() == 0


def test_without_dns_reports_are_counted_where_all_are(tmp_path: Path) -> None:
    """Mode accept: a name server that never answers costs a pause in checking, no report and no problem."""
    settings = {
        "DMARCWORKS_REPORT_AUTH": "accept",
        "DMARCWORKS_DNS_SERVER": "127.0.0.1:9",
        "DMARCWORKS_AUTH_SECONDS": "1",
    }
    system = System(tmp_path / "home", settings=settings)
    system.start()
    domain = system.add_domain("example.com")
    assert system.send(domain["rua"], report_mail("1"), report_mail("2")) == [(250, "")] * 2
    system.settle()
    assert system.total() == 10
    assert system.problems() == []
    assert system.rows("SELECT mail_id FROM authenticity") == []
    assert system.sql("SELECT DISTINCT report_authentic AS proof FROM dmarc_reports") == [{"proof": None}]
    assert "DNS gives no answers" in system.log.read_text()
    assert system.stop() == 0


KEY = rsa.generate_private_key(65537, 1024).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
)
SHAPES = ("envelope", "signature", "both", "subdomain", "author", "two_fields", "two_authors")
ZONES = ("silent.example", "slow.example", "servfail.example")


def signature(signer: str, raw: bytes) -> bytes:
    """A signature's field, by a key that nobody publishes."""
    return DkimSigner(KEY, "s", signer).dkim(CanonicalMail(raw), [b"from"], 1)


def forged(number: int) -> tuple[str, bytes]:
    """Envelope sender and a mail in another's name: what is without an answer is in the envelope, in a signature that
    was added, in both, in a part of the victim's zone, or the author itself."""
    shape, zone = SHAPES[number % len(SHAPES)], ZONES[number % len(ZONES)]
    author = f"a{number}.{zone}" if shape == "author" else "genuine.example"
    raw = report_mail(f"forged-{number}").replace(b"From: dmarc@mail.example", f"From: dmarc@{author}".encode())
    # A second author has no policy, and might hide that the first one has.
    if shape == "two_fields":
        raw = b"From: someone@none.example\r\n" + raw
    if shape == "two_authors":
        raw = raw.replace(f"From: dmarc@{author}".encode(), f"From: dmarc@{author}, someone@none.example".encode())
    if shape in ("signature", "both", "subdomain"):
        signer = "part.genuine.example" if shape == "subdomain" else f"d{number}.{zone}"
        raw = signature(signer, raw) + raw
    return (f"x@e{number}.{zone}" if shape in ("envelope", "both") else "x@unrelated.example"), raw


def genuine(number: int) -> tuple[str, bytes]:
    """A quarter of them each of a domain that is answered for, and of one that is silent, slow, or fails for now."""
    domain = ("genuine.example", *(f"good.{zone}" for zone in ZONES))[number % 4]
    raw = report_mail(f"genuine-{number}").replace(b"From: dmarc@mail.example", f"From: dmarc@{domain}".encode())
    return f"dmarc@{domain}", raw


def sent(smtp: tuple[str, int], rua: str, mails: list[tuple[str, bytes]]) -> None:
    """All of them over one connection."""
    with smtplib.SMTP(*smtp, local_hostname="mail.example", timeout=60) as client:
        for sender, raw in mails:
            assert client.sendmail(sender, [rua], raw) == {}


def test_a_thousand_forged_mails_are_never_counted_and_genuine_ones_all_are(tmp_path: Path) -> None:
    """Mode reject, over a name server that is silent, slow or answers SERVFAIL for some zones, and then recovers."""
    names = Names(silent={ZONES[0], "part.genuine.example"}, slow={ZONES[1]}, broken={ZONES[2]})
    for domain in ("genuine.example", *(f"good.{zone}" for zone in ZONES)):
        names.add(
            {
                (domain, "TXT"): "v=spf1 ip4:127.0.0.1 -all",
                (f"_dmarc.{domain}", "TXT"): "v=DMARC1; p=reject",
            }
        )
    # Those who forge have a policy for their own zones, too, and no sender that it allows.
    names.add({(f"_dmarc.{zone}", "TXT"): "v=DMARC1; p=reject" for zone in ZONES})
    names.add({("unrelated.example", "TXT"): "v=spf1 +all"})
    mails = [forged(number) for number in range(1000)]
    for number in range(40):
        mails.insert(26 * number, genuine(number))
    with answering(names):
        settings = {
            "DMARCWORKS_REPORT_AUTH": "reject",
            "DMARCWORKS_DNS_SERVER": names.server,
            "DMARCWORKS_AUTH_SECONDS": "1",
        }
        system = System(tmp_path / "home", settings=settings)
        system.start()
        rua = system.add_domain("example.com")["rua"]
        send = partial(sent, system.smtp, rua)
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(send, [mails[start::8] for start in range(8)]))
        # Those whose verdict needs no answer of a broken zone have it, whatever is silent beside them.
        shapes = [SHAPES[number % len(SHAPES)] for number in range(1000)]
        plain = sum(shape not in ("subdomain", "author") for shape in shapes)
        wait_for(lambda: len(system.problems()) >= plain, "the plain forgeries refused", 120)
        wait_for(lambda: system.total() == 10 * 5, "the first genuine ones counted", 60)
        states = [row["state"] for row in system.rows("SELECT state FROM reports")]
        assert states == ["counted"] * 10
        assert {problem["reason"] for problem in system.problems()} == {"not_genuine"}
        # A problem is there before its mail is acknowledged.
        left, waiting = 1000 - plain + 30, "SELECT id FROM queue WHERE dead IS NULL"
        wait_for(lambda: len(system.rows(waiting)) <= left, "the refused mails acknowledged", 60)
        assert len(system.rows(waiting)) == left
        # DNS recovers; every mail has its verdict in the end.
        for zones in (names.silent, names.slow, names.broken):
            zones.clear()
        system.settle(180)
        assert system.total() == 40 * 5
        reports = system.rows("SELECT report_id, state FROM reports")
        assert {(row["report_id"].partition("-")[0], row["state"]) for row in reports} == {("genuine", "counted")}
        assert [problem["reason"] for problem in system.problems()] == ["not_genuine"] * 1000
        results = system.rows("SELECT dmarc, count(*) AS mails FROM authenticity GROUP BY dmarc ORDER BY dmarc")
        assert [(row["dmarc"], row["mails"]) for row in results] == [
            ("fail", 1000 - (nobody := shapes.count("two_fields") + shapes.count("two_authors"))),
            ("pass", 40),
            ("permerror", nobody),
        ]
        assert system.rows("SELECT id FROM queue") == []
        assert system.stop() == 0


def test_what_stays_unknown_is_kept_apart_until_a_person_decides(tmp_path: Path) -> None:
    """When the waiting is over: quarantined with its reason, not counted; retried by a person it is."""
    names = Names(silent={"forged.example"})
    with answering(names):
        settings = {
            "DMARCWORKS_REPORT_AUTH": "reject",
            "DMARCWORKS_DNS_SERVER": names.server,
            "DMARCWORKS_AUTH_SECONDS": "0.5",
            "DMARCWORKS_AUTH_WAIT_HOURS": "0",
        }
        system = System(tmp_path / "home", settings=settings)
        system.start()
        rua = system.add_domain("example.com")["rua"]
        raw = report_mail("1").replace(b"From: dmarc@mail.example", b"From: dmarc@forged.example")
        assert system.send(rua, raw) == [(250, "")]
        (problem,) = wait_for(system.problems, "listed")
        assert problem["reason"] == "unverified"
        assert "DNS gave no answer about this mail (from forged.example) for 0 hours" in problem["detail"]
        assert [row["state"] for row in system.rows("SELECT state FROM reports")] == ["quarantined"]
        assert [row["dmarc"] for row in system.rows("SELECT dmarc FROM authenticity")] == ["temperror"]
        assert system.total() == 0
        assert system.cli("problems", "retry", str(problem["id"])).returncode == 0
        wait_for(lambda: system.total() == 5, "counted")
        assert system.problems() == []
        assert system.stop() == 0


def test_a_mail_that_is_sent_on_has_the_same_verdict(tmp_path: Path) -> None:
    """550 for a forgery whatever silent zones it brings along, 451 while only the author's own zone can tell, 250 for
    what passes; and none of them waits for the relay."""
    names = Names(silent={"silent.example", "part.genuine.example"})
    names.add(
        {
            ("_dmarc.genuine.example", "TXT"): "v=DMARC1; p=reject",
            ("genuine.example", "TXT"): "v=spf1 -all",
            ("good.example", "TXT"): "v=spf1 ip4:127.0.0.1 -all",
            ("_dmarc.good.example", "TXT"): "v=DMARC1; p=reject",
        }
    )

    def written(author: str, signer: str = "") -> bytes:
        raw = f"From: a@{author}\r\nTo: x@example.com\r\nSubject: one\r\n\r\nText\r\n".encode()
        return (signature(signer, raw) if signer else b"") + raw

    with answering(names), listening(Sink()) as sink:
        settings = {
            "DMARCWORKS_DNS_SERVER": names.server,
            "DMARCWORKS_AUTH_SECONDS": "1",
            "DMARCWORKS_RELAY_URL": sink.url,
        }
        system = System(tmp_path / "home", settings=settings)
        system.start()
        system.add_domain("example.com")
        system.json("route", "destination", "add", "inbox@far.example", "--trust")
        system.json("route", "add", "x@example.com", "--forward", "inbox@far.example")

        def reply(sender: str, raw: bytes) -> int:
            with smtplib.SMTP(*system.smtp, local_hostname="mail.example", timeout=60) as client:
                try:
                    client.sendmail(sender, ["x@example.com"], raw)
                except smtplib.SMTPResponseException as refused:
                    return refused.smtp_code
                return 250

        wait_for(lambda: reply("a@good.example", written("good.example")) == 250, "the rule in effect")
        assert reply("x@silent.example", written("genuine.example")) == 550
        assert reply("x@silent.example", written("genuine.example", "silent.example")) == 550
        assert reply("x@silent.example", written("genuine.example", "part.genuine.example")) == 451
        assert reply("x@part.genuine.example", written("genuine.example")) == 451
        assert reply("a@good.example", written("good.example", "silent.example")) == 250
        assert {sender.partition("@")[0] for sender, _, _ in sink.taken}.isdisjoint({"x"})
        assert len(sink.taken) == 2
        assert 'dmarcworks_mails_checked_total{result="temperror"} 2.0' in system.get("/metrics")[1]
        assert system.stop() == 0
