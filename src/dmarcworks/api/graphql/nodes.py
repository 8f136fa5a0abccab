"""The nodes over the report rows: aggregate, TLS and failure reports.

Names that live clients of the original use mean what they mean there; the others are ours. In groups an absent text
is "", in rows it is null; a filter takes both for "".
"""

from __future__ import annotations

from dataclasses import replace

from dmarcworks.api.graphql.model import DATE, FLOAT, STRING, STRINGS, TIME, UINT, Field, Node

# The last second of 2100, the last day that a row may have; reporters send begins beyond all reason.
_LAST = 4_133_980_799
_DAY_KEYS = ("day", "report_key", "record_index")


def _text(name: str, column: str, meaning: str) -> Field:
    return Field(name, STRING, column, meaning, test=f"ifNull({column}, '')")


def _texts(name: str, path: str, meaning: str) -> Field:
    expression = f"arrayMap(x -> ifNull(toString(x), ''), {path})"
    return Field(name, STRINGS, expression, meaning)


def _dimensions(fields: tuple[Field, ...]) -> tuple[Field, ...]:
    return tuple(replace(field, section="dimensions", sql=field.compared) for field in fields)


def _instant(column: str) -> str:
    return f"least(greatest({column}, 0), {_LAST})"


def _section(section: str, *fields: tuple[str, str, str, str]) -> tuple[Field, ...]:
    return tuple(Field(name, kind, sql, meaning, section, True) for name, kind, sql, meaning in fields)


_COUNT = Field("count", UINT, "count()", "number of records (not messages)", measure=True)
_WHEN = (
    Field("date", DATE, "day", "UTC day of the report's begin"),
    Field("datetime", TIME, _instant("begin"), "the report's begin"),
    Field("datetimeHour", TIME, f"intDiv({_instant('begin')}, 3600) * 3600", "its hour"),
    Field("datetimeDay", TIME, "toUnixTimestamp(toDateTime(day, 'UTC'))", "its day, as a time"),
    Field("datetimeWeek", TIME, "toUnixTimestamp(toDateTime(toMonday(day), 'UTC'))", "the Monday of its week"),
    Field("datetimeMonth", TIME, "toUnixTimestamp(toDateTime(toStartOfMonth(day), 'UTC'))", "the first of its month"),
)
_DOMAIN_FIELDS = (
    Field("zoneTag", STRING, "domain_id", "id of the domain whose address received the report"),
    Field("zoneName", STRING, "domain", "its name"),
    _text("reporter", "org_name", "the reporter's name, as the reporter states it"),
    _text("reporterEmail", "org_email", "the reporter's address"),
    Field("reportId", STRING, "report_id", "the reporter's id for the report"),
    Field("reportKey", STRING, "report_key", "the system's id for the report"),
)
_IN_ROWS = (
    Field("begin", TIME, _instant("begin"), "the report's begin"),
    Field("end", TIME, _instant("end"), "the report's end"),
    Field("received", TIME, "toUnixTimestamp(received)", "when its mail was received"),
    Field("recordIndex", UINT, "record_index", "index of the record in its report, from 0"),
)

# Who sends: by the owner's name, else the service when it is known, else the network that the address belongs to.
_ORG = (
    "multiIf(ifNull(sender_label, '') != '', ifNull(sender_label, ''), ifNull(sender, '') != '', ifNull(sender, ''),"
    " ifNull(as_name, ''))"
)
_ORG_MEANING = "your name for the sender, otherwise the sending service, the network's owner, or empty"
_SLUG = f"trim(BOTH '-' FROM replaceRegexpAll(lowerUTF8({_ORG}), '[^\\\\p{{L}}\\\\p{{N}}]+', '-'))"
_DMARC = (
    *_WHEN,
    *_DOMAIN_FIELDS,
    Field("sourceIP", STRING, "source_ip", "sending address"),
    Field("sourceOrgName", STRING, _ORG, _ORG_MEANING),
    Field("sourceOrgSlug", STRING, _SLUG, "the same in lower case with dashes"),
    _text("sourceKind", "sender_kind", "kind of service"),
    _text("sourceDecision", "sender_decision", "your decision on the sender: mine, not_mine, forwarder or ignore"),
    _text("sourceHost", "ptr", "host name of the sending address (PTR)"),
    _text("sourceASName", "as_name", "owner of the sending network"),
    _text("sourceCountry", "country", "country of the sending address"),
    _text("headerFrom", "header_from", "domain in From"),
    _text("envelopeFrom", "envelope_from", "domain in MAIL FROM"),
    _text("envelopeTo", "envelope_to", "domain of the recipient"),
    Field("dmarc", STRING, "dmarc", "pass or fail"),
    _text("dkim", "dkim_aligned", "pass or fail: DKIM, aligned"),
    _text("spf", "spf_aligned", "pass or fail: SPF, aligned"),
    _text("disposition", "disposition", "none, quarantine, reject or pass"),
    _text("policyDomain", "policy_domain", "domain of the policy that the reporter found"),
    _text("policy", "p", "p= that the reporter found"),
    _text("subdomainPolicy", "sp", "sp= that the reporter found"),
    _texts("dkimDomains", "dkim.domain", "d= of its DKIM signatures"),
    _texts("dkimSelectors", "dkim.selector", "s= of its DKIM signatures"),
    _texts("dkimResults", "dkim.result", "results of its DKIM signatures"),
    _texts("spfDomains", "spf.domain", "domains that SPF was checked for"),
    _texts("spfResults", "spf.result", "their SPF results"),
    _texts("reasonTypes", "reasons.type", "override reasons: why the receiver did not apply the policy"),
)
_MESSAGES = Field("totalMatchingMessages", UINT, "count", "messages of the record")
_ROW_DETAILS = (
    *_IN_ROWS,
    _MESSAGES,
    Field("sourceASN", UINT, "asn", "AS number of the sending network", test="ifNull(asn, 0)"),
    Field(
        "sourceHostConfirmed",
        UINT,
        "toUInt64(ptr_confirmed)",
        "1 when the host name resolves back to the address, else 0; null when no name was looked up",
        test="toUInt64(ifNull(ptr_confirmed, 0))",
    ),
    Field(
        "sourceConfidence",
        UINT,
        "toUInt64(round(sender_confidence * 100))",
        "confidence of the sending service's name, in percent; null when it is not known",
        test="toUInt64(round(ifNull(sender_confidence, 0) * 100))",
    ),
    Field("percent", UINT, "if(pct < 0, NULL, toUInt64(pct))", "pct=", test="greatest(ifNull(pct, 100), 0)"),
    _text("nonexistentPolicy", "np", "np="),
    _text("dkimAlignment", "adkim", "adkim="),
    _text("spfAlignment", "aspf", "aspf="),
    _text("failureOptions", "fo", "fo="),
    _text("testing", "testing", "t="),
    _text("discoveryMethod", "discovery_method", "psl or treewalk"),
    _text("generator", "generator", "the reporter's software"),
    Field("reportErrors", STRINGS, "errors", "errors that the reporter states"),
)


def _share(condition: str) -> str:
    return f"if(sum(toUInt128(count)) = 0, NULL, sumIf(toUInt128(count), {condition}) / sum(toUInt128(count)))"


_PASS, _DKIM, _SPF = "dmarc = 'pass'", "dkim_aligned = 'pass'", "spf_aligned = 'pass'"
_REPORTER = "ifNull(org_name, '')"
_SUMS = _section(
    "sum",
    ("totalMatchingMessages", UINT, "sum(toUInt128(count))", "messages"),
    ("dmarc", UINT, f"sumIf(toUInt128(count), {_PASS})", "messages that pass DMARC"),
    ("dmarcFail", UINT, "sumIf(toUInt128(count), dmarc = 'fail')", "messages that fail DMARC"),
    ("dkimPass", UINT, f"sumIf(toUInt128(count), {_DKIM})", "messages with an aligned DKIM pass"),
    ("spfPass", UINT, f"sumIf(toUInt128(count), {_SPF})", "messages with an aligned SPF pass"),
    ("quarantined", UINT, "sumIf(toUInt128(count), disposition = 'quarantine')", "messages quarantined"),
    ("rejected", UINT, "sumIf(toUInt128(count), disposition = 'reject')", "messages rejected"),
)
_MEASURES = (
    _COUNT,
    *_SUMS,
    *_section(
        "avg",
        ("dmarc", FLOAT, _share(_PASS), "share of the messages that pass DMARC, 0 to 1; null without messages"),
        ("dkimPass", FLOAT, _share(_DKIM), "share with an aligned DKIM pass"),
        ("spfPass", FLOAT, _share(_SPF), "share with an aligned SPF pass"),
    ),
    *_section(
        "uniq",
        ("ipCount", UINT, "uniqExact(source_ip)", "sending addresses, exactly"),
        ("reports", UINT, "uniqExact(report_key)", "reports"),
        ("reporters", UINT, f"uniqExact({_REPORTER})", "reporters"),
        ("headerFroms", UINT, "uniqExact(ifNull(header_from, ''))", "domains in From"),
    ),
    *_section(
        "quantiles",
        ("messagesP50", UINT, "quantileExact(0.5)(count)", "median of the records' messages"),
        ("messagesP95", UINT, "quantileExact(0.95)(count)", "95th percentile of the records' messages"),
        ("messagesP99", UINT, "quantileExact(0.99)(count)", "99th percentile of the records' messages"),
    ),
)
_TOTALS = (
    *(
        replace(
            field, section="", name={"totalMatchingMessages": "messages", "dmarc": "passed"}.get(field.name, field.name)
        )
        for field in _SUMS
    ),
    Field("reports", UINT, "uniqExact(report_key)", "reports", measure=True),
    Field("reporters", UINT, f"uniqExact({_REPORTER})", "reporters", measure=True),
    Field("firstDate", DATE, "min(day)", "first UTC day with a message", measure=True),
    Field("lastDate", DATE, "max(day)", "last UTC day with a message", measure=True),
)


def _of(column: str, name: str, meaning: str) -> Field:
    return Field(name, STRING, f"max(ifNull({column}, ''))", meaning, measure=True)


_TLS = (
    *_WHEN,
    *_DOMAIN_FIELDS,
    _text("policyType", "policy_type", "sts, tlsa or no-policy-found"),
    _text("policyDomain", "policy_domain", "the policy's domain"),
)
_TLS_DETAILS = (
    *_IN_ROWS,
    Field(
        "successfulSessions", UINT, "successful_sessions", "sessions with TLS", test="ifNull(successful_sessions, 0)"
    ),
    Field("failedSessions", UINT, "failed_sessions", "sessions without TLS", test="ifNull(failed_sessions, 0)"),
    Field("policyStrings", STRINGS, "policy_string", "the policy's lines"),
    Field("mxHosts", STRINGS, "mx_host", "patterns of the policy's mail hosts"),
    _texts("resultTypes", "failures.result_type", "what failed"),
    _texts("receivingHosts", "failures.receiving_mx_hostname", "mail hosts at which it failed"),
    _texts("sendingIPs", "failures.sending_mta_ip", "sending addresses"),
)
_SHARE_TLS = "if({0} + {1} = 0, NULL, {0} / ({0} + {1}))"
_OK, _BAD = "sum(toUInt128(ifNull(successful_sessions, 0)))", "sum(toUInt128(ifNull(failed_sessions, 0)))"
_FAILURE = (
    *_WHEN,
    *_DOMAIN_FIELDS,
    _text("feedbackType", "feedback_type", "auth-failure, abuse …"),
    _text("authFailure", "auth_failure", "what failed"),
    _text("deliveryResult", "delivery_result", "what happened to the message"),
    _text("identityAlignment", "identity_alignment", "which identities aligned"),
    _text("reportedDomain", "reported_domain", "domain that the report is about"),
    _text("sourceIP", "source_ip", "sending address"),
    _text("dkimDomain", "dkim_domain", "d= of the signature"),
    _text("dkimSelector", "dkim_selector", "s= of the signature"),
    _text("headerFrom", "header_from", "address in From"),
    _text("messageId", "message_id", "the message's id"),
    _text("subject", "subject", "the message's subject"),
    Field("incidents", UINT, "incidents", "number of such messages", test="ifNull(incidents, 1)"),
    Field("received", TIME, "toUnixTimestamp(received)", "when its mail was received"),
)

ANALYTICS_NODES = (
    Node(
        "dmarcReportsSourcesAdaptiveGroups",
        "aggregate reports' records, grouped by the dimensions that you select",
        "dmarc_reports",
        "groups",
        (*_dimensions(_DMARC), *_MEASURES),
        filters=(_MESSAGES,),
    ),
    Node(
        "dmarcReportsAdaptive",
        "aggregate reports' records",
        "dmarc_reports",
        "rows",
        (*_DMARC, *_ROW_DETAILS),
        _DAY_KEYS,
    ),
    Node(
        "sources",
        "sending addresses with their figures",
        "dmarc_reports",
        "rollup",
        (
            Field("sourceIP", STRING, "source_ip", "sending address"),
            _of("ptr", "sourceHost", "its name"),
            _of(f"({_ORG})", "sourceOrgName", _ORG_MEANING),
            _of("as_name", "sourceASName", "owner of its network"),
            _of("country", "sourceCountry", "its country"),
            *_TOTALS,
        ),
        filters=(*_DMARC, _MESSAGES),
    ),
    Node(
        "senders",
        "sending services with their figures; unknown ones are combined under an empty name",
        "dmarc_reports",
        "rollup",
        (
            Field("sourceOrgName", STRING, _ORG, _ORG_MEANING),
            Field("sourceOrgSlug", STRING, _SLUG, "the same in lower case with dashes"),
            _of("sender_kind", "sourceKind", "kind of service"),
            Field("sources", UINT, "uniqExact(source_ip)", "sending addresses", measure=True),
            *_TOTALS,
        ),
        filters=(*_DMARC, _MESSAGES),
    ),
    Node("tls", "policies of TLS reports", "tls_reports", "rows", (*_TLS, *_TLS_DETAILS), _DAY_KEYS),
    Node(
        "tlsGroups",
        "TLS reports' policies, grouped by the dimensions that you select",
        "tls_reports",
        "groups",
        (
            *_dimensions(_TLS),
            replace(_COUNT, meaning="policies in reports"),
            *_section(
                "sum",
                ("successfulSessions", UINT, _OK, "sessions with TLS"),
                ("failedSessions", UINT, _BAD, "sessions without TLS"),
            ),
            *_section("avg", ("success", FLOAT, _SHARE_TLS.format(_OK, _BAD), "share with TLS")),
            *_section(
                "uniq",
                ("reports", UINT, "uniqExact(report_key)", "reports"),
                ("reporters", UINT, f"uniqExact({_REPORTER})", "reporters"),
            ),
        ),
        filters=_TLS_DETAILS,
    ),
    Node("failureReports", "failure reports", "failure_reports", "rows", _FAILURE, _DAY_KEYS),
)
