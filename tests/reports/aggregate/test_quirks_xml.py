"""QUIRKS §3: XML as reporters write it; what is mended is noted, what cannot be told apart is refused by name."""

from __future__ import annotations

import pytest

from dmarcworks.reports.bounds import Bounds
from dmarcworks.reports.read import read_bytes
from tests.support.report_samples import (
    AUTH,
    DECLARATION,
    IDENTIFIERS,
    METADATA,
    POLICY,
    codes,
    counts,
    feedback,
    gz,
    read_one,
    record,
    refused,
    xml,
)


def test_X1_no_declaration() -> None:
    found = read_one(feedback(record(3), declaration=""))
    assert (counts(found), found.warnings) == ([3], ())


def test_X2_no_encoding_is_utf8() -> None:
    metadata = METADATA.replace("reporter.example</org", "Sueño</org")
    assert read_one(feedback(declaration='<?xml version="1.0"?>', metadata=metadata)).org_name == "Sueño"


def test_X3_windows_1252() -> None:
    metadata = METADATA.replace("reporter.example</org", "AOL – “mail”</org")
    text = feedback(metadata=metadata, declaration='<?xml version="1.0" encoding="windows-1252"?>')
    assert read_one(text.encode("windows-1252")).org_name == "AOL – “mail”"


def test_X4_wrong_bytes_are_replaced_and_noted() -> None:
    data = xml(record(3)).replace(b"reporter.example</org", b"Sue\xf1o</org")
    found = read_one(data)
    assert (found.org_name, counts(found), codes(found)) == ("Sue\ufffdo", [3], {"characters_replaced"})


@pytest.mark.parametrize(
    "name", ["A & B", "A <b@c.example> D", "a<b", "x & y &copy; z", "&#0; z", "<bad-xml@bad.example>"]
)
def test_X5_markup_that_was_not_escaped_is_text(name: str) -> None:
    found = read_one(xml(record(3), record(4), metadata=METADATA.replace("reporter.example</org", f"{name}</org")))
    assert (found.org_name, counts(found), codes(found)) == (name, [3, 4], {"markup_escaped"})


def test_X6_an_unclosed_schema_and_a_stray_quote() -> None:
    schema = DECLARATION + '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="x">\n'
    found = read_one(feedback(record(3), declaration=schema))
    assert (counts(found), codes(found)) == ([3], {"text_outside"})
    found = read_one(feedback(record(3), declaration='<?xml version="1.0" encoding="UTF-8"?>"\n'))
    assert (counts(found), codes(found)) == ([3], {"text_outside"})


@pytest.mark.parametrize(
    "root",
    [
        '<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0">',
        '<feedback xmlns="http://dmarc.org/dmarc-xml/0.1">',
        '<feedback xmlns="http//dmarc.org/dmarc-xml/0.2">',
        '<feedback xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">',
    ],
)
def test_X7_X8_any_namespace(root: str) -> None:
    found = read_one(feedback(record(3), root=root))
    assert (counts(found), found.policy.domain, found.warnings) == ([3], "example.com", ())


def test_X9_nuls_and_text_after_the_report() -> None:
    found = read_one(xml(record(3)) + bytes(512))
    assert counts(found) == [3]
    found = read_one(xml(record(3)) + b"\r\n-- \r\nsent by a gateway")
    assert (counts(found), codes(found)) == ([3], {"text_outside"})


def test_X9_a_second_report_behind_the_first_is_read_and_a_piece_of_one_named() -> None:
    reading = read_bytes(xml(record(3)) + xml(record(4)), "a.xml")
    assert [counts(item) for item in reading.items] == [[3], [4]]
    assert reading.problems == ()
    assert len({item.digest for item in reading.items}) == 2
    reading = read_bytes(xml(record(3)) + xml(record(4))[:-30], "a.xml")
    assert [counts(item) for item in reading.items] == [[3]]
    assert [p.reason for p in reading.problems] == ["xml_truncated"]
    reading = read_bytes(xml(record(3)) + record(4).encode(), "a.xml")
    assert [p.reason for p in reading.problems] == ["xml_truncated"]


def test_X10_upper_case_tags() -> None:
    text = feedback(record(3))
    for name in ("feedback", "record", "row", "count", "report_metadata", "domain", "policy_published"):
        text = text.replace(f"<{name}>", f"<{name.upper()}>").replace(f"</{name}>", f"</{name.upper()}>")
    found = read_one(text)
    assert (counts(found), found.policy.domain, codes(found)) == ([3], "example.com", {"upper_case_tags"})
    found = read_one(feedback(record(3)).replace("<record>", "<Record>").replace("</record>", "</Record>"))
    assert (counts(found), codes(found)) == ([3], {"upper_case_tags"})


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE feedback [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE feedback SYSTEM "http://127.0.0.1:1/x.dtd">',
        '<!DOCTYPE lolz [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>',
        "<!-- a comment --><!doctype feedback>",
        "<!-- " + "x" * 20_000 + ' --><!DOCTYPE f [<!ENTITY a "b">]>',
    ],
)
def test_X11_a_doctype_is_refused_at_sight(doctype: str) -> None:
    assert refused(feedback(declaration=DECLARATION + doctype).encode()) == "doctype"
    assert refused(gz(feedback(declaration=DECLARATION + doctype).encode("utf-16")), "a.gz") == "doctype"


def test_X11_an_undeclared_entity_is_text() -> None:
    found = read_one(xml(metadata=METADATA.replace("reporter.example</org", "a&xxe;b</org")))
    assert found.org_name == "a&xxe;b"


def test_X12_comments_cdata_instructions_and_unknown_elements() -> None:
    text = feedback(record("<!-- three -->3<?pi x?>"), record("<![CDATA[4]]>"))
    text = text.replace("<row>", "<!-- row --><row><unknown><a>9</a></unknown>").replace("<version>", "<new/><version>")
    found = read_one(text)
    assert (counts(found), found.warnings) == ([3, 4], ())


def test_X13_identities_for_identifiers() -> None:
    found = read_one(xml(record(identifiers=IDENTIFIERS.replace("identifiers", "identities"))))
    assert found.records[0].header_from == "example.com"


def test_X14_any_order() -> None:
    said = "<policy_evaluated><spf>pass</spf><dkim>fail</dkim></policy_evaluated>"
    row = f"<row>{said}<count>3</count><source_ip>192.0.2.1</source_ip></row>"
    text = f"<feedback><record>{AUTH}{IDENTIFIERS}{row}</record>{POLICY}{METADATA}</feedback>"
    found = read_one(text)
    assert (counts(found), found.records[0].spf_aligned, found.report_id) == ([3], "pass", "r-1")


def test_X15_deep_nesting_is_refused_by_the_bound() -> None:
    for depth, place in (
        (60, "record"),
        (60, "report_metadata"),
        (60, "count"),
        (300, "auth_results"),
        (5000, "record"),
    ):
        text = feedback(record(3)).replace(f"<{place}>", f"<{place}>" + "<a>" * depth + "</a>" * depth, 1)
        reading = read_bytes(text.encode(), "a.xml")
        assert reading.items == ()
        assert [p.reason for p in reading.problems] == ["xml_depth"], place
    text = feedback(record(3)).replace("<record>", "<record>" + "<a>" * 40 + "</a>" * 40)
    assert counts(read_one(text)) == [3]
    assert refused(text.encode(), bounds=Bounds(xml_depth=20)) == "xml_depth"


@pytest.mark.parametrize("cut", [10, 30, 200, 700])
def test_X16_a_truncated_report_is_named(cut: int) -> None:
    assert refused(xml(record(3), record(4))[:-cut]) == "xml_truncated"


def test_X16_after_a_whole_record_it_is_truncated_too() -> None:
    data = xml(record(3), record(4))
    assert refused(data[: data.index(b"</record>") + 9]) == "xml_truncated"


def test_X17_extensions_are_passed_over() -> None:
    extension = (
        '<extension><x:record xmlns:x="urn:x"><x:row><x:count>99</x:count></x:row></x:record>'
        "<record><row><count>98</count></row></record></extension>"
    )
    text = feedback(record(3), record(4)).replace("<version>", extension + "<version>")
    text = text.replace("<row>", '<y:count xmlns:y="urn:y">7</y:count><row><y:count xmlns:y="urn:y">8</y:count>')
    text = text.replace("</auth_results>", "</auth_results>" + extension)
    found = read_one(text.replace("<feedback>", '<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0">'))
    assert (counts(found), found.warnings) == ([3, 4], ())


def test_every_value_of_rfc_9990_is_read() -> None:
    """Nothing of a full report is left behind, whatever language attributes it has."""
    metadata = METADATA.replace(
        "</email>",
        '</email><extra_contact_info lang="en">https://r.example/</extra_contact_info><generator>gen 1.2</generator>'
        '<error lang="de">Fehler</error><error>second</error>',
    )
    policy = (
        "<policy_published><discovery_method>treewalk</discovery_method><domain>example.com</domain><p>Reject</p>"
        "<sp>none</sp><np>quarantine</np><adkim>S</adkim><aspf>r</aspf><fo>1:d</fo><testing>n</testing></policy_published>"
    )
    evaluated = (
        "<policy_evaluated><disposition>pass</disposition><dkim>pass</dkim><spf>fail</spf>"
        "<reason><type>mailing_list</type><comment>list</comment></reason>"
        "<reason><type>policy_test_mode</type></reason></policy_evaluated>"
    )
    identifiers = (
        "<identifiers><envelope_to>Rcpt.example</envelope_to><envelope_from>bounce.example.com</envelope_from>"
        "<header_from>Example.com.</header_from></identifiers>"
    )
    auth = AUTH.replace("<result>pass</result>", "<result>pass</result><human_result>ok</human_result>")
    found = read_one(xml(record(3, "2001:DB8::0:1", evaluated, identifiers, auth), metadata=metadata, policy=policy))
    assert (found.extra_contact_info, found.generator, found.errors) == (
        "https://r.example/",
        "gen 1.2",
        ("Fehler", "second"),
    )
    assert (found.org_name, found.email, found.report_id) == ("reporter.example", "dmarc@reporter.example", "r-1")
    assert (found.begin, found.end, found.version) == (1700000000, 1700086399, "1.0")
    assert found.policy.discovery_method == "treewalk"
    assert (found.policy.p, found.policy.sp, found.policy.np) == ("reject", "none", "quarantine")
    assert (found.policy.adkim, found.policy.aspf, found.policy.fo) == ("s", "r", "1:d")
    assert (found.policy.testing, found.policy.pct) == ("n", None)
    (row,) = found.records
    assert (row.source_ip, row.count, row.disposition) == ("2001:db8::1", 3, "pass")
    assert [(reason.type, reason.comment) for reason in row.reasons] == [
        ("mailing_list", "list"),
        ("policy_test_mode", None),
    ]
    assert (row.header_from, row.envelope_from, row.envelope_to) == (
        "example.com",
        "bounce.example.com",
        "rcpt.example",
    )
    assert [(d.domain, d.selector, d.result, d.human_result) for d in row.dkim] == [("example.com", "s1", "pass", "ok")]
    assert [(s.domain, s.scope, s.result, s.human_result) for s in row.spf] == [
        ("mail.example.com", "mfrom", "fail", None)
    ]
    assert found.warnings == ()


def test_the_bound_of_records_is_named() -> None:
    data = xml(*[record(1)] * 11)
    assert refused(data, bounds=Bounds(records=10)) == "records"
    assert len(read_bytes(data, "a.xml", Bounds(records=11)).items[0].report.records) == 11  # type: ignore[union-attr]


def test_recovery_is_refused_when_records_cannot_be_told_apart() -> None:
    """A record whose end is lost swallows the next one: no number of it can be trusted."""
    data = xml(record(3), record(4), record(5)).replace(b"</count>", b"<count>", 1).replace(b"</record>", b"", 1)
    reading = read_bytes(data, "a.xml")
    read = sum(sum(counts(item)) for item in reading.items)
    assert reading.problems
    assert read in (0, 4 + 5, 5)
