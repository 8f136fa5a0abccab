"""A document shows what strangers wrote as text: no markup, no control characters, no turned direction, bounded."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.analytics.questions.all import Figures
from dmarcworks.api.evidence.document import SHOWN, evidence_body, evidence_html, plain
from dmarcworks.catalogue.dns_states import DnsChange, DnsState, RecordKind
from dmarcworks.policy.evidence import DomainEvidence, Enforcement, EvidenceChange, EvidenceDocument
from dmarcworks.policy.history import record_events
from dmarcworks.policy.policy_spans import PolicySpan
from dmarcworks.policy.tags import DomainPolicy

NOW = datetime(2026, 11, 24, 13, tzinfo=UTC)


def state(seen: datetime, text: str) -> DnsState:
    name = "_dmarc.example.com"
    return DnsState(1, RecordKind.dmarc, name, (text,), "", (), seen, seen, seen, "", "192.0.2.53", True)


def document(text: str) -> EvidenceDocument:
    span = PolicySpan(DomainPolicy("reject"), date(2026, 11, 1), date(2026, 11, 3), 3, 4, 1, (text, *"abcdefgh"))
    change = EvidenceChange(NOW, text, "user", "sender.decide", f"note: {text}")
    figures = Figures(1_001, 1_000, 1, 1, 1, 0, 1, 1, 5, 9)
    enforcement = Enforcement(1_001, 1_001, {"reject": 1_001})
    none = state(NOW - timedelta(days=2), "v=DMARC1; p=none")
    changed = [DnsChange(None, none), DnsChange(none, state(NOW, text))]
    records = tuple(record_events(changed)[::-1])
    one = DomainEvidence(
        "example.com", NOW, figures, (span,), enforcement, (), 0, (change,), True, records=records, records_total=9
    )
    return EvidenceDocument(NOW, date(2026, 11, 1), date(2026, 11, 30), (one,))


@given(st.text(max_size=3_000))
def test_any_text_is_plain(text: str) -> None:
    shown = plain(text)
    assert len(shown) <= SHOWN + 1
    assert all(unicodedata.category(one) not in ("Cc", "Cf", "Zl", "Zp") for one in shown)


@given(st.text(alphabet="<>&\"'/=abc\u202e\x00\x07é", max_size=400))
def test_a_document_has_no_markup_but_its_own(text: str) -> None:
    tags = re.findall(r"<[^>]*>", evidence_body(document("x")))
    page = evidence_body(document(text))
    assert re.findall(r"<[^>]*>", page) == tags
    assert not {"\u202e", "\x00", "\x07"} & set(page)


def test_the_figures_are_written_as_they_are() -> None:
    page = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", evidence_html(document("Größe"))))
    assert "Passed DMARC 1,000 (99.9 %)" in page
    assert "Messages at enforcement (p=quarantine or p=reject) 1,001 (100 %)" in page
    assert "2026-11-01 2026-11-03 p=reject 3 4 1 found another one Größe , a , b , c , d , e , f , g , 1 more" in page
    assert "2026-11-22 13:00 UTC _dmarc.example.com dmarc first seen v=DMARC1; p=none " in page
    assert "2026-11-24 13:00 UTC _dmarc.example.com dmarc changed v=DMARC1; p=none Größe " in page
    assert "The first 2 of 9 changes are listed." in page
    assert "The first 1 changes are listed; there are more." in page
