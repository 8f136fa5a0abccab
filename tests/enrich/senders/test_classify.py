"""What a sender is to the owner: each class with its reasons, the owner's decision, and that more good mail never hurts."""

# ruff: noqa: E501 - a case is one line
from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.enrich.senders.classify import OwnerDecision, SenderClass, SenderClassification, SenderSums, classify
from dmarcworks.enrich.senders.model import SenderKind
from tests.support.senders import small_index

SERVICES = small_index().by_name
SENDGRID, GOOGLE = SERVICES["SendGrid"], SERVICES["Google Workspace"]
KNOWN: dict[str, Any] = {"service": SENDGRID, "confidence": 0.9}
OWN_FIX = (
    "If this system is yours, have it sign with DKIM using your domain, or use an envelope domain of yours whose SPF"
    " record lists its addresses."
)
DAYS = {"first_day": date(2026, 1, 1), "last_day": date(2026, 3, 1)}
SHORT = {"first_day": date(2026, 1, 1), "last_day": date(2026, 1, 3)}


def sums(messages: int = 1000, aligned: int = 0, **more: Any) -> SenderSums:
    return SenderSums(messages, aligned, **({"with_ptr": messages} | DAYS | more))


@pytest.mark.parametrize(
    ("figures", "known", "sender_class"),
    [
        (sums(aligned=1000), {}, "aligned"),
        (sums(aligned=980), {}, "aligned"),
        (sums(aligned=979), {}, "unaligned"),
        (sums(aligned=980), KNOWN, "aligned"),
        (sums(aligned=979), KNOWN, "unaligned"),
        (sums(0), {}, "unknown"),
        (sums(0), KNOWN, "unknown"),
        # A known service, whether or not anything is aligned; a name from the owner's table is not enough.
        (sums(), KNOWN, "unaligned"),
        (sums(), {"service": GOOGLE, "confidence": 0.7}, "unaligned"),
        (sums(), {"kind": SenderKind.marketing, "confidence": 0.4}, "unknown"),
        (sums(), {"kind": SenderKind.isp, "confidence": 0.9}, "unknown"),
        (sums(aligned=50), {"kind": SenderKind.isp, "confidence": 0.9}, "unaligned"),
        (sums(aligned=50), {}, "unaligned"),
        (sums(aligned=49), {}, "unknown"),
        # Forwarding: by the service, by override reasons, ARC or SRS, and by a signature that survived.
        (sums(), {"kind": SenderKind.forwarder, "confidence": 0.7}, "forwarder"),
        (sums(), {"kind": SenderKind.mailing_list, "confidence": 0.4}, "forwarder"),
        (sums(overrides={"forwarded": 500}), {}, "forwarder"),
        (sums(overrides={"forwarded": 499}), {}, "unknown"),
        (sums(overrides={"forwarded": 200, "mailing_list": 200, "trusted_forwarder": 100}), {}, "forwarder"),
        (sums(overrides={"local_policy": 1000, "other": 1000, "sampled_out": 1000}), {}, "unknown"),
        (sums(arc=500), {}, "forwarder"),
        (sums(srs=500), {}, "forwarder"),
        (sums(arc=300, srs=300), {}, "unknown"),
        (sums(srs=900), KNOWN, "unaligned"),
        (sums(aligned=600, dkim_aligned=600, survived=600), {}, "forwarder"),
        (sums(aligned=400, survived=400), {}, "unaligned"),
        (sums(aligned=1000, survived=1000), {}, "forwarder"),
        (sums(aligned=1000, survived=1000), {"service": GOOGLE, "confidence": 0.7}, "forwarder"),
        (sums(aligned=1000, survived=1000), KNOWN, "aligned"),
        (sums(aligned=1000, survived=499), {}, "aligned"),
        # What forwarding explains counts as good where the mail aligns otherwise.
        (sums(aligned=900, overrides={"forwarded": 80}), KNOWN, "aligned"),
        (sums(aligned=900, overrides={"forwarded": 79}), KNOWN, "unaligned"),
        (sums(aligned=499, overrides={"forwarded": 501}), KNOWN, "unaligned"),
        # Suspicious: never aligned, and two signs.
        (sums(countries=5, networks=10), {}, "suspicious"),
        (sums(countries=5, with_ptr=499), {}, "suspicious"),
        (sums(networks=10, **SHORT), {}, "suspicious"),
        (sums(with_ptr=0, **SHORT), {}, "suspicious"),
        (sums(countries=5), {}, "unknown"),
        (sums(countries=4, networks=10), {}, "unknown"),
        (sums(countries=5, networks=9, with_ptr=500), {}, "unknown"),
        (sums(with_ptr=0, first_day=date(2026, 1, 1), last_day=date(2026, 1, 4)), {}, "unknown"),
        (sums(9, countries=5, networks=10), {}, "unknown"),
        (sums(10, countries=5, networks=10), {}, "suspicious"),
        (sums(aligned=1, countries=5, networks=10), {}, "unknown"),
        (sums(countries=50, networks=100), KNOWN, "unaligned"),
        # Sums that cannot be are bounded.
        (SenderSums(10, aligned=11, dkim_aligned=12), {}, "aligned"),
        (SenderSums(-1, aligned=-1, survived=-5, arc=-3), {}, "unknown"),
    ],
)  # fmt: skip
def test_figures_give_a_class(figures: SenderSums, known: dict[str, Any], sender_class: str) -> None:
    answer = classify(figures, **known)
    assert answer.sender_class == sender_class
    assert answer.open == (sender_class in ("unaligned", "unknown", "suspicious"))
    assert not answer.ignored


@pytest.mark.parametrize(
    ("figures", "known", "because", "fix"),
    [
        (sums(aligned=1000), {}, ("1,000 of 1,000 messages are aligned (100 %).",), None),
        (
            sums(10_000, aligned=9_996),
            KNOWN,
            ("9,996 of 10,000 messages are aligned (99.9 %).", "At 98 % or more, the rest is mostly forwarded mail."),
            None,
        ),
        (
            sums(aligned=900, arc=90),
            KNOWN,
            ("900 of 1,000 messages are aligned (90.0 %).", "90 of the others have signs of forwarding, which breaks signatures."),
            None,
        ),
        (
            sums(aligned=10),
            KNOWN,
            ("The service is known, but its mail is not aligned yet.", "10 of 1,000 messages are aligned (1.0 %)."),
            SENDGRID.fix,
        ),
        (
            sums(aligned=500),
            {},
            ("Part of its mail is aligned, so it is probably yours.", "500 of 1,000 messages are aligned (50.0 %)."),
            OWN_FIX,
        ),
        (
            sums(aligned=700, survived=600, srs=200),
            {},
            (
                "SPF does not align in 600 messages while your DKIM signature passes, as after forwarding.",
                "200 of 300 messages that are not aligned have an envelope that a forwarder rewrote (SRS).",
                "700 of 1,000 messages are aligned (70.0 %).",
            ),
            None,
        ),
        (sums(arc=600), {}, ("600 of 1,000 messages that are not aligned were trusted for their ARC chain.", "0 of 1,000 messages are aligned (0 %)."), None),
        (sums(overrides={"mailing_list": 1000}), {}, ("1,000 of 1,000 messages that are not aligned were exempted from the policy as forwarded or mailing-list mail.", "0 of 1,000 messages are aligned (0 %)."), None),
        (
            sums(countries=7, networks=1_234, with_ptr=1, **SHORT),
            {},
            ("Its mail is never aligned.", "It sends from 7 countries.", "It sends from 1,234 networks.", "99.9 % of its messages are from addresses without a PTR.", "All of its messages were sent within 3 days."),
            None,
        ),
        (
            sums(with_ptr=0),
            {},
            ("Nothing shows whose system this is.", "0 of 1,000 messages are aligned (0 %).", "100 % of its messages are from addresses without a PTR."),
            None,
        ),
    ],
)  # fmt: skip
def test_a_class_has_reasons_and_a_fix(
    figures: SenderSums, known: dict[str, Any], because: tuple[str, ...], fix: str | None
) -> None:
    answer = classify(figures, **known)
    assert (answer.because, answer.fix) == (because, fix)


@pytest.mark.parametrize(
    ("decision", "figures", "expected"),
    [
        (
            OwnerDecision.mine,
            sums(aligned=990),
            SenderClassification(
                SenderClass.aligned,
                (
                    "You decided that this sender is yours.",
                    "990 of 1,000 messages are aligned (99.0 %).",
                    "At 98 % or more, the rest is mostly forwarded mail.",
                ),
            ),
        ),
        (
            OwnerDecision.mine,
            sums(countries=9, networks=99),
            SenderClassification(
                SenderClass.unaligned,
                (
                    "You decided that this sender is yours.",
                    "0 of 1,000 messages are aligned (0 %).",
                    "Reports do not show the alignment yet.",
                ),
                SENDGRID.fix,
                open=True,
            ),
        ),
        (
            OwnerDecision.not_mine,
            sums(),
            SenderClassification(
                SenderClass.suspicious,
                ("You decided that this sender is not yours.", "0 of 1,000 messages are aligned (0 %)."),
            ),
        ),
        (
            OwnerDecision.not_mine,
            sums(aligned=1000),
            SenderClassification(
                SenderClass.suspicious,
                (
                    "You decided that this sender is not yours.",
                    "1,000 of 1,000 messages are aligned (100 %).",
                    "Aligned mail means that it has a DKIM key of yours or is in your SPF record: remove it there.",
                ),
            ),
        ),
        (
            OwnerDecision.forwarder,
            sums(),
            SenderClassification(
                SenderClass.forwarder,
                ("You decided that this sender forwards mail.", "0 of 1,000 messages are aligned (0 %)."),
            ),
        ),
        (
            OwnerDecision.ignore,
            sums(),
            SenderClassification(
                SenderClass.unaligned,
                (
                    "You decided to ignore this sender.",
                    "The service is known, but its mail is not aligned yet.",
                    "0 of 1,000 messages are aligned (0 %).",
                ),
                SENDGRID.fix,
                ignored=True,
            ),
        ),
    ],
)
def test_the_decision_of_the_owner_comes_first(
    decision: OwnerDecision, figures: SenderSums, expected: SenderClassification
) -> None:
    assert classify(figures, **KNOWN, decision=decision) == expected


RANK = {name: place for place, name in enumerate(SenderClass)}
NUMBER = st.one_of(st.integers(0, 20), st.integers(0, 10**12))
SUMS = st.builds(
    SenderSums,
    messages=NUMBER,
    aligned=NUMBER,
    dkim_aligned=NUMBER,
    spf_aligned=NUMBER,
    overrides=st.dictionaries(st.sampled_from(["forwarded", "mailing_list", "local_policy", "other"]), NUMBER),
    arc=NUMBER,
    srs=NUMBER,
    survived=NUMBER,
    countries=st.integers(0, 200),
    networks=st.integers(0, 1000),
    with_ptr=NUMBER,
    first_day=st.one_of(st.none(), st.dates()),
    last_day=st.one_of(st.none(), st.dates()),
)
KIND = st.one_of(st.none(), st.sampled_from(SenderKind))
CONFIDENCE = st.sampled_from([0.0, 0.4, 0.5, 0.9])
DECISION = st.one_of(st.none(), st.sampled_from(OwnerDecision))


def possible(figures: SenderSums) -> SenderSums:
    """The same sums with every part within the whole, as a query gives them."""
    aligned = min(figures.aligned, figures.messages)
    return replace(
        figures,
        aligned=aligned,
        dkim_aligned=min(figures.dkim_aligned, aligned),
        spf_aligned=min(figures.spf_aligned, aligned),
        survived=min(figures.survived, aligned),
    )


@given(SUMS, KIND, CONFIDENCE, DECISION, NUMBER, st.integers(0, 2))
def test_more_aligned_mail_never_makes_it_worse(
    figures: SenderSums,
    kind: SenderKind | None,
    confidence: float,
    decision: OwnerDecision | None,
    added: int,
    way: int,
) -> None:
    """By DKIM, by SPF or by both, from hosts with a PTR; an empty period is no sender yet."""
    before = possible(figures)
    after = replace(
        before,
        messages=before.messages + added,
        aligned=before.aligned + added,
        dkim_aligned=before.dkim_aligned + (added if way != 1 else 0),
        spf_aligned=before.spf_aligned + (added if way != 0 else 0),
        with_ptr=before.with_ptr + added,
    )
    worse = classify(before, kind=kind, confidence=confidence, decision=decision).sender_class
    better = classify(after, kind=kind, confidence=confidence, decision=decision).sender_class
    assert RANK[better] <= RANK[worse]


@given(SUMS, KIND, CONFIDENCE, DECISION)
def test_any_sums_give_a_whole_answer(
    figures: SenderSums, kind: SenderKind | None, confidence: float, decision: OwnerDecision | None
) -> None:
    """It never raises; there is always a reason; a fix comes with mail that is not aligned, and with nothing else."""
    answer = classify(figures, kind=kind, confidence=confidence, decision=decision)
    assert answer.because
    assert all(sentence.endswith(".") for sentence in answer.because)
    assert (answer.fix is not None) == (answer.sender_class is SenderClass.unaligned)
    assert answer.ignored == (decision is OwnerDecision.ignore)
    assert not (answer.ignored and answer.open)


@given(SUMS, KIND, CONFIDENCE)
def test_a_decision_is_respected(figures: SenderSums, kind: SenderKind | None, confidence: float) -> None:
    def of(decision: OwnerDecision) -> SenderClass:
        return classify(figures, kind=kind, confidence=confidence, decision=decision).sender_class

    assert of(OwnerDecision.mine) in (SenderClass.aligned, SenderClass.unaligned)
    assert of(OwnerDecision.not_mine) is SenderClass.suspicious
    assert of(OwnerDecision.forwarder) is SenderClass.forwarder
    assert of(OwnerDecision.ignore) is classify(figures, kind=kind, confidence=confidence).sender_class


@given(SUMS, KIND, CONFIDENCE)
def test_scale_does_not_matter(figures: SenderSums, kind: SenderKind | None, confidence: float) -> None:
    """Ten times the messages in the same proportions have the same class, once there are enough for a pattern."""
    counted = ("messages", "aligned", "dkim_aligned", "spf_aligned", "arc", "srs", "survived", "with_ptr")
    small = replace(figures, **{name: 10 * getattr(figures, name) for name in counted},
                    overrides={reason: 10 * number for reason, number in figures.overrides.items()})  # fmt: skip
    large = replace(figures, **{name: 100 * getattr(figures, name) for name in counted},
                    overrides={reason: 100 * number for reason, number in figures.overrides.items()})  # fmt: skip
    assert (
        classify(small, kind=kind, confidence=confidence).sender_class
        is classify(large, kind=kind, confidence=confidence).sender_class
    )
