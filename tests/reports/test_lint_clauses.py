"""Every clause that lint cites, with what its standard says there; and what lint says by the reader's values."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dmarcworks.reports.lint.check import letter, lint_bytes
from tests.support.report_samples import METADATA, xml

LINT = Path(__file__).parents[2] / "src" / "dmarcworks" / "reports" / "lint"
# Sentences in quotation marks were compared: those of RFC 9990 with its last draft
# (draft-ietf-dmarc-aggregate-reporting-30) and those of RFC 8460 with a draft of it (draft-ietf-uta-smtp-tlsrpt), in
# which these sections have the same names; those of RFC 7489, 8259, 7493 and 1952 and of XML 1.0 with the same sentence
# as several programs' sources quote it. The whole texts of these could not be opened. The others say what the clause is
# about; they have not been compared.
CLAUSES = {
    "RFC 7489 Appendix C": "the XML schema of aggregate reports",
    "RFC 7489 §7.2.1.1": (
        '“The aggregate data SHOULD be present using the media type "application/gzip" if compressed (see [GZIP]), and'
        ' "text/xml" otherwise.” “The filename is typically constructed using the following ABNF: filename ='
        ' receiver "!" policy-domain "!" begin-timestamp "!" end-timestamp [ "!" unique-id ] "." extension”; Subject'
    ),
    "RFC 9990 Appendix A": "the XML schema of aggregate reports",
    "RFC 9990, section “Email”": (
        "“The aggregate data MUST be an XML file that SHOULD be subjected to GZIP compression.”"
        ' “The aggregate data MUST be present using the media type "application/gzip" if compressed, and "text/xml"'
        " otherwise.” “The attachment filename MUST be constructed using the following ABNF”;"
        " “The RFC5322.Subject field for individual report submissions MUST conform to the following ABNF”"
    ),
    "RFC 9990, section “Definition of Report-ID”": (
        "“The Report-ID value should be constructed using the following ABNF:"
        ' ridfmt = (dot-atom-text ["@" dot-atom-text]); ridtxt = ("<" ridfmt ">") / ridfmt”'
    ),
    "RFC 8460 §4.4": (
        "JSON Report Schema: “The JSON schema is derived from the HPKP JSON schema”; “The date-time indicates the"
        " start- and end-times for the report range. It is provided as a string formatted according to Section 5.6,"
        ' "Internet Date/Time Format", of [RFC3339].”'
    ),
    "RFC 8460 §5.1": (
        'Report Filename: “filename = sender "!" policy-domain "!" begin-timestamp "!" end-timestamp [ "!" unique-id ]'
        ' "." extension”; “The extension MUST be "json" for a plain JSON file, or "json.gz" for a JSON file compressed'
        " using GZIP.”"
    ),
    "RFC 8460 §5.3": (
        "Email Transport: “the following two new top level message header fields are defined: TLS-Report-Domain:"
        " Receiver-Domain, TLS-Report-Submitter: Sender-Domain”; “a top-level media type multipart/report with a new"
        ' parameter report-type="tlsrpt"”; “The [RFC5322].Subject field for individual report submissions SHOULD'
        " conform to the following ABNF”"
    ),
    "RFC 8259": "JSON's grammar",
    "RFC 8259 §8.1": (
        "“JSON text exchanged between systems that are not part of a closed ecosystem MUST be encoded using UTF-8.”"
        " “Implementations MUST NOT add a byte order mark (U+FEFF) to the beginning of a networked-transmitted JSON"
        " text.”"
    ),
    "RFC 7493 §2.1": "“I-JSON messages MUST be encoded using UTF-8 [RFC3629].”",
    "RFC 7493 §2.3": "“Objects in I-JSON messages MUST NOT have members with duplicate names.”",
    "RFC 1952": '§2.2: “A gzip file consists of a series of "members" (compressed data sets).”',
    "XML 1.0": "well-formed documents",
    "XML 1.0 §2.1": "“document ::= prolog element Misc*”",
}


def test_every_clause_that_lint_cites_is_in_the_list() -> None:
    """As the source builds them: whole clauses, and a standard with its appendix."""
    source = "\n".join(path.read_text() for path in LINT.glob("*.py"))
    code = re.sub(r'^\s*#.*$|"""(?:.|\n)*?"""', "", source, flags=re.MULTILINE)
    cited = set(re.findall(r'"((?:RFC \d{4}|XML 1\.0)(?:(?: §|, section| Appendix)[^"]*)?)"', code))
    standards = {"RFC 7489", "RFC 9990", "RFC 8460"}
    built = {"RFC 7489 Appendix C", "RFC 9990 Appendix A"}
    assert cited - standards <= CLAUSES.keys()
    assert CLAUSES.keys() - cited <= built


@pytest.mark.parametrize("name", ["AT&T", "A <B> C", "Johnson & Johnson"])
def test_the_reporters_name_is_the_readers(name: str) -> None:
    """Characters that the reporter did not escape are in the letter as they are in the figures."""
    (found,) = lint_bytes(xml(metadata=METADATA.replace("reporter.example", name, 1)), "r.xml")
    assert found.outline.reporter == name
    assert f"Reporter:      {name}\n" in letter(found)


def test_the_form_of_report_id_is_that_of_rfc_9990() -> None:
    """RFC 7489 asks for no form; the finding cites the standard that does."""
    (found,) = lint_bytes(xml(metadata=METADATA.replace("r-1", "a b/c")), "r.xml")
    clauses = [finding.clause for finding in found.findings if finding.where.endswith("report_id")]
    assert clauses == ["RFC 9990, section “Definition of Report-ID”"]
