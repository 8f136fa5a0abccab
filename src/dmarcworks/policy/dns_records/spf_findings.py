"""What was looked up about SPF → findings. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from dmarcworks.enrich.spf.macros import MacroError, parse_macros
from dmarcworks.enrich.spf.model import MAX_LOOKUPS, MAX_VOID_LOOKUPS, DnsRecordSet, SpfResultCode
from dmarcworks.enrich.spf.record import SpfMechanism, SpfRecord, is_spf_record, parse_record
from dmarcworks.policy.dns_records.finding import DnsFinding, Severity
from dmarcworks.policy.dns_records.spf_codes import spf_finding
from dmarcworks.policy.dns_records.spf_slips import corrected_record, corrected_version
from dmarcworks.policy.dns_records.spf_terms import all_of, removal, term_findings, without_terms
from dmarcworks.policy.dns_records.spf_tree import SpfFaultKind, SpfNode, known_name, nodes_of

__all__ = ["SpfSurvey", "explanation_name", "spf_findings"]

_NEAR_LIMIT = 9
_OF_A_KIND = 10
_LONG_RECORD, _PLAIN_UDP = 450, 512
_CODES = {
    SpfFaultKind.several_records: "spf-include-broken",
    SpfFaultKind.syntax: "spf-include-broken",
    SpfFaultKind.loop: "spf-loop",
    SpfFaultKind.no_answer: "spf-include-no-answer",
    SpfFaultKind.unresolved: "spf-unresolved",
    SpfFaultKind.mail_host: "spf-mail-host",
    SpfFaultKind.mx_hosts: "spf-mx-hosts",
    SpfFaultKind.invalid_name: "spf-invalid-name",
}
_OTHERS = {
    SpfResultCode.passed: "pass",
    SpfResultCode.fail: "fail",
    SpfResultCode.softfail: "softfail (suspicious)",
    SpfResultCode.neutral: "neutral",
}
_STRENGTH = (SpfResultCode.passed, SpfResultCode.neutral, SpfResultCode.softfail, SpfResultCode.fail)


@dataclass(frozen=True, slots=True)
class SpfSurvey:
    """What DNS gave: all TXT records of the domain, the tree when exactly one of them is SPF, the void look-ups in it,
    records of type 99, and where `exp=` leads to with the TXT records there (None: no answer)."""

    domain: str
    texts: tuple[bytes, ...] = ()
    tree: SpfNode | None = None
    void_lookups: int = 0
    obsolete: tuple[str, ...] = ()
    explanation_name: str = ""
    explanation: DnsRecordSet = None
    answered: bool = True


def spf_findings(survey: SpfSurvey) -> tuple[DnsFinding, ...]:
    """The findings, the most serious first; of each kind the first ones."""
    counted: Counter[str] = Counter()
    findings: list[DnsFinding] = []
    for finding in _findings(survey):
        counted[finding.code] += 1
        if counted[finding.code] <= _OF_A_KIND:
            findings.append(finding)
    if further := counted.total() - len(findings):
        findings.append(spf_finding("spf-further-findings", count=further))
    order = list(Severity)
    return tuple(sorted(findings, key=lambda finding: order.index(finding.severity)))


def explanation_name(tree: SpfNode) -> str:
    """The name of the explanation's text, for a record whose `exp=` does not depend on the message; "" for none."""
    record = _chain(tree)[-1].parsed
    modifier = record.modifier("exp") if record is not None else None
    return (known_name(modifier, _chain(tree)[-1].name, tree.name) or "") if modifier is not None else ""


def _findings(survey: SpfSurvey) -> Iterator[DnsFinding]:
    domain = survey.domain
    if not survey.answered:
        yield spf_finding("spf-no-answer", domain=domain)
        return
    if survey.obsolete:
        yield spf_finding("spf-obsolete-type", record=" ".join(survey.obsolete), domain=domain)
    yield from _about_size(survey)
    if survey.tree is None or survey.tree.parsed is None:
        yield from _without_record(survey)
        return
    for text, _ in _near_misses(survey):
        yield spf_finding("spf-ignored-record", record=text, fix="Remove this TXT record.", domain=domain)
    record = survey.tree.parsed
    broken = list(_about_syntax(record))
    yield from broken
    problems = [*broken, *_about_limits(survey, survey.tree), *_about_tree(survey.tree)]
    yield from problems[len(broken) :]
    for node in _chain(survey.tree):
        if node.parsed is not None and not node.parsed.faults:
            terms = list(term_findings(node.name, node.parsed))
            problems += terms
            yield from terms
    yield from _about_explanation(survey)
    if not any(problem.severity is Severity.error for problem in problems):
        yield from _good(survey, survey.tree)


def _chain(tree: SpfNode) -> list[SpfNode]:
    """The checked record and those that `redirect=` leads to, one after the other."""
    chain = [tree]
    while (last := chain[-1].children) and last[-1].kind == "redirect" and last[-1].parsed is not None:
        chain.append(last[-1])
    return chain


def _without_record(survey: SpfSurvey) -> Iterator[DnsFinding]:
    domain = survey.domain
    selected = [text for text in survey.texts if is_spf_record(text)]
    if selected:
        yield spf_finding(
            "spf-several-records",
            record="\n".join(_text(text) for text in selected),
            fix=_merged(selected),
            domain=domain,
            count=len(selected),
        )
        return
    near = _near_misses(survey)
    for text, fix in near:
        yield spf_finding("spf-wrong-version", record=text, fix=fix, domain=domain)
    if not near:
        fix = f'{domain} TXT "v=spf1 mx -all" if only its MX hosts send mail; {domain} TXT "v=spf1 -all" if none does'
        yield spf_finding("spf-no-record", fix=fix, domain=domain)


def _near_misses(survey: SpfSurvey) -> list[tuple[str, str]]:
    """TXT records that were meant as SPF, with the record that was meant ("" when it cannot be known)."""
    others = [_text(text) for text in survey.texts if not is_spf_record(text)]
    corrected = [(text, corrected_version(text)) for text in others]
    return [(text, fix) for text, fix in corrected if fix is not None]


def _merged(records: list[bytes]) -> str:
    """One record with the terms of all and the weakest `all`; "" when one of them has faults."""
    parsed = [parse_record(record) for record in records]
    if any(record.faults or record.modifier("redirect") for record in parsed):
        return ""
    ends = [end for record in parsed if (end := all_of(record)) is not None]
    texts = [
        term.text
        for record in parsed
        for term in record.terms
        if not (isinstance(term, SpfMechanism) and term.name == "all")
    ]
    weakest = min(ends, key=lambda end: _STRENGTH.index(end.result)).text if ends else "-all"
    return " ".join(["v=spf1", *dict.fromkeys(texts), weakest])


def _about_size(survey: SpfSurvey) -> Iterator[DnsFinding]:
    longest = max((text for text in survey.texts if is_spf_record(text)), key=len, default=b"")
    if len(longest) > _LONG_RECORD:
        yield spf_finding("spf-long-record", record=_text(longest), bytes=len(longest))
    # Header, question, and per record a pointer, its fields, and one byte of length for each string.
    answer = 12 + len(survey.domain) + 6 + sum(12 + len(text) + len(text) // 255 + 1 for text in survey.texts)
    if longest and answer > _PLAIN_UDP and len(longest) <= _LONG_RECORD:
        yield spf_finding("spf-large-answer", domain=survey.domain, bytes=answer)


def _about_syntax(record: SpfRecord) -> Iterator[DnsFinding]:
    fix = corrected_record(record.text) if record.faults else ""
    for fault in record.faults:
        wanted = fix or f"Remove or correct {fault.text[:200]}."
        yield spf_finding("spf-syntax", record=record.text, fix=wanted, term=fault.text, problem=fault.problem)


def _about_limits(survey: SpfSurvey, tree: SpfNode) -> Iterator[DnsFinding]:
    costly = sorted((child for child in tree.children), key=lambda child: -child.lookups)
    terms = "The most: " + ", ".join(f"{child.term} ({child.lookups})" for child in costly[:5]) + "."
    if tree.lookups > MAX_LOOKUPS:
        yield spf_finding(
            "spf-too-many-lookups",
            record=tree.record,
            fix="Remove includes of services that no longer send for the domain; replace a and mx by ip4: and ip6:.",
            lookups=tree.lookups,
            terms=terms,
        )
    elif tree.lookups >= _NEAR_LIMIT:
        yield spf_finding("spf-near-lookup-limit", record=tree.record, lookups=tree.lookups, terms=terms)
    if survey.void_lookups > MAX_VOID_LOOKUPS:
        void = [node.term for node in nodes_of(tree) if node.void_lookups]
        fix = "Remove or correct " + ", ".join(void[:10]) + "."
        yield spf_finding("spf-too-many-void-lookups", record=tree.record, fix=fix, count=survey.void_lookups)


def _about_tree(tree: SpfNode) -> Iterator[DnsFinding]:
    """What is wrong with what the terms lead to; a record's own faults are the matter of `_about_syntax`."""
    skipped = next((node for node in nodes_of(tree) if node.fault is SpfFaultKind.not_followed), None)
    if skipped is not None:
        yield spf_finding("spf-not-followed", record=tree.record, problem=skipped.problem)
    own = _chain(tree)
    for parent in nodes_of(tree):
        for child in parent.children:
            yield from _about_node(parent, child, is_own=any(parent is node for node in own))


def _about_node(parent: SpfNode, child: SpfNode, *, is_own: bool) -> Iterator[DnsFinding]:
    if child.fault is SpfFaultKind.syntax and child.kind == "redirect" and child.parsed is not None and is_own:
        # The target is usually the owner's own record, so each fault is worth its own finding.
        yield from _about_syntax(child.parsed)
        return
    code = _code_of(child)
    passes = child.kind == "include" and child.parsed is not None and _passes_all(child.parsed)
    for one in (code, "spf-include-passes-all" if passes else ""):
        if one:
            yield spf_finding(
                one,
                record=parent.record,
                fix=_fix_of(parent, child, is_own),
                term=child.term,
                domain=parent.name,
                problem=child.problem,
            )


def _code_of(node: SpfNode) -> str:
    """The code of what is wrong with a node; "" for nothing."""
    leads = node.kind in ("include", "redirect")
    if node.fault is SpfFaultKind.no_record or (node.fault is SpfFaultKind.invalid_name and leads):
        return "spf-redirect-no-record" if node.kind == "redirect" else "spf-include-no-record"
    return _CODES.get(node.fault, "")


def _fix_of(parent: SpfNode, child: SpfNode, is_own: bool) -> str:
    """The record without the term, or as it was meant; a stranger's record can only be reported to its operator."""
    if not is_own or parent.parsed is None:
        return f"Report it to the operator of {parent.name}, or remove the include that leads there."
    if child.fault is SpfFaultKind.no_answer:
        return ""
    if child.fault is SpfFaultKind.mx_hosts:
        return f"Replace {child.term} by the addresses that send mail, with ip4: and ip6:."
    if child.fault is SpfFaultKind.mail_host:
        return "Give the mail host an address, or remove it from the MX records."
    meant = corrected_record(parent.record)
    return meant if meant and meant != parent.record else removal(parent.parsed, child.term)


def _passes_all(record: SpfRecord) -> bool:
    """Whether a record lets every server pass: by `all`, or by a network of all addresses."""
    if record.faults:
        return False
    return any(
        term.result is SpfResultCode.passed
        and (term.name == "all" or (term.network is not None and term.network.prefixlen == 0))
        for term in record.mechanisms
    )


def _about_explanation(survey: SpfSurvey) -> Iterator[DnsFinding]:
    name, texts = survey.explanation_name, survey.explanation
    if not name or texts is None or survey.tree is None:
        return
    record = _chain(survey.tree)[-1].parsed
    modifier = record.modifier("exp") if record is not None else None
    if modifier is None or record is None or _usable(texts):
        return
    fix = without_terms(record, modifier.text)
    yield spf_finding("spf-explanation", record=record.text, fix=fix, term=modifier.text, name=name)


def _usable(texts: DnsRecordSet) -> bool:
    if texts is None or len(texts) != 1:
        return False
    try:
        parse_macros(texts[0].decode("ascii"), spaces=True)
    except (MacroError, UnicodeDecodeError):
        return False
    return True


def _good(survey: SpfSurvey, tree: SpfNode) -> Iterator[DnsFinding]:
    record = _chain(tree)[-1].parsed
    everything = all_of(record) if record is not None else None
    alone = record is not None and everything is not None and record.terms == (everything,)
    if alone and everything is not None and everything.result is SpfResultCode.fail:
        yield spf_finding("spf-sends-no-mail", record=tree.record, domain=survey.domain)
        return
    result = everything.result if everything is not None else SpfResultCode.neutral
    yield spf_finding("spf-valid", record=tree.record, lookups=tree.lookups, rest=_OTHERS[result])


def _text(record: bytes) -> str:
    return record.decode("utf-8", "replace")
