"""Why something was not read: each `Problem.reason` code and the sentence that explains it to a person.

`REASONS` is the whole list; a code that is not in it is never used (a test holds that).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["OTHER_MAIL", "REASONS"]

REASONS: Mapping[str, str] = MappingProxyType(
    {
        # The mail and its parts
        "no_report": "There is no report in this mail",
        "not_a_dmarc_failure": "This is a feedback report, but not about a DMARC failure",
        "not_xml": "The content is neither XML nor JSON",
        "other_xml": "This is XML, but not a DMARC report",
        "other_json": "This is JSON, but not a TLS report",
        "empty": "The file or attachment is empty",
        "unreadable_mail": "The mail is too broken to find its parts",
        "outlook_msg": "This is an Outlook .msg file; forward the mail as message/rfc822 instead",
        # Archives
        "gzip_truncated": "The gzip data is truncated",
        "gzip_corrupt": "The gzip data is damaged",
        "zip_corrupt": "The zip archive is damaged",
        "zip_encrypted": "The zip archive is encrypted",
        "zip_method": "The zip archive uses a compression that is not supported",
        "zip_empty": "The zip archive contains no file",
        "tar_truncated": "The tar archive is truncated",
        "tar_corrupt": "The tar archive is damaged",
        "tar_empty": "The tar archive contains no file",
        "tnef_corrupt": "The winmail.dat (TNEF) of Outlook is damaged",
        "tnef_empty": "The winmail.dat (TNEF) of Outlook contains no file",
        "compressed_truncated": "The bzip2, xz or zstd data is truncated",
        "compressed_corrupt": "The bzip2, xz or zstd data is damaged",
        "format_not_read": "The format of the file or attachment is not supported",
        "smime_opaque": "The mail is signed or encrypted with S/MIME as one opaque part, which is not opened",
        "pgp_encrypted": "The mail is encrypted with OpenPGP, which is not opened",
        "failure_without_fields": "This is a failure report in a form that cannot be parsed, such as HTML only",
        "copy_unclear": "Where the message that a failure report quotes begins is unclear; the original is kept",
        "report_too_large": "A reporter had a report that was too large to send (RFC 7489 section 7.2.2)",
        "bounce": "This is a delivery status notification, not a report",
        "auto_reply": "This is an automatic reply or a read receipt, not a report",
        # Bounds
        "mail_bytes": "The mail is larger than the bound",
        "inflated_bytes": "The content exceeds the bound when it is decompressed",
        "members": "There are more parts or archive members than the bound",
        "nesting": "Mails or archives are nested deeper than the bound",
        "mime_depth": "Multiparts are nested deeper than the bound",
        "header_bytes": "A header field is longer than the bound; the rest of it was ignored",
        "header_fields": "There are more header fields than the bound; of the rest, only MIME fields were parsed",
        "header_parameters": "A header field has more parameters than the bound; the rest were ignored",
        "encoded_words": "A file name has more encoded words than the bound; the rest were not decoded",
        "xml_depth": "The XML is nested deeper than the bound",
        "json_depth": "The JSON is nested deeper than the bound",
        "json_bytes": "The TLS report is larger than the bound",
        "records": "The report has more records than the bound",
        "beside_records": "The report contains more data outside its records than any real report does",
        # XML
        "doctype": "The report has a DOCTYPE, which is refused because it enables attacks",
        "xml_truncated": "The report is truncated",
        "xml_broken": "The report is not well-formed XML and could not be repaired unambiguously",
        "records_unclear": "The report is broken so that some of its records cannot be distinguished",
        # Aggregate reports
        "no_date_range": "The report does not state its date range",
        "bad_date_range": "The report's begin or end is not a date",
        "no_policy_domain": "The report does not state which domain it is about",
        "count_missing": "A record has no message count and was left out",
        "count_invalid": "A record's message count is not a valid number and the record was left out",
        "count_too_large": "A record's message count is implausibly large and the record was left out",
        "count_ambiguous": "A record has several message counts or rows and was left out",
        "more_records_left_out": "More records were left out than are listed one by one",
        # TLS reports
        "json_broken": "The TLS report is not valid JSON",
        "json_truncated": "The TLS report is truncated",
        "json_duplicate_key": "The TLS report states a value twice",
        "json_number": "The TLS report contains a number that is invalid or too large",
        "bad_policies": "The TLS report's list of policies is not a list",
        "policy_invalid": "A policy of the TLS report is not a policy object and was left out",
        "sessions_invalid": "A policy's session count is not a valid number and the policy was left out",
        "detail_invalid": "A failure detail of a TLS policy is invalid; the policy is counted",
        # Anything
        "internal": "Parsing failed unexpectedly; the original is kept",
    }
)

# Mail that is no report: nothing of it could be read better, so it is listed as other mail and is no open problem.
OTHER_MAIL = ("no_report", "not_a_dmarc_failure", "report_too_large", "bounce", "auto_reply")
