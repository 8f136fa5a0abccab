"""The nodes over the catalogue: domains, reports of every kind, problems, and the activity log of incoming mail.

Expressions are SQL that SQLite and PostgreSQL both read; `whole(x)` is the whole seconds of a time there.
"""

from __future__ import annotations

from dataclasses import replace

from dmarcworks.api.graphql.model import DATE, STRING, TIME, UINT, Field, Node

_ZONE = Field("zoneTag", STRING, "domain_id", "id of the domain")
_ACTIVITY = (
    Field("datetime", TIME, "time", "when the mail was answered"),
    Field("datetimeHour", TIME, "whole(time) - whole(time) % 3600", "its hour"),
    Field("datetimeDay", TIME, "whole(time) - whole(time) % 86400", "its day"),
    _ZONE,
    Field("sessionId", STRING, "CAST(id AS VARCHAR(20))", "the system's number of the log line"),
    Field("messageId", STRING, "message_id", "the mail's Message-ID"),
    Field("from", STRING, "sender", "envelope sender"),
    Field("to", STRING, "recipient", "envelope recipient"),
    Field("subject", STRING, "subject", "the mail's subject"),
    Field("action", STRING, "action", "the rule's action"),
    Field("status", STRING, "outcome", "the outcome"),
    Field("smtpStatus", STRING, "status", "the reply's code"),
    Field("rule", STRING, "rule", "the rule that matched"),
    Field("spf", STRING, "spf", "SPF result of the mail"),
    Field("dkim", STRING, "dkim", "DKIM result of the mail"),
    Field("dmarc", STRING, "dmarc", "DMARC result of the mail"),
    Field("arc", STRING, "arc", "ARC result of the mail"),
    Field("errorDetail", STRING, "error", "the error's text"),
    Field("isNDR", UINT, "CASE WHEN sender = '' THEN 1 ELSE 0 END", "1 for a bounce: an empty envelope sender"),
)
# The original's clients query these; nothing here judges spam, so they are null. (A plain 0 in
# ORDER BY would be a column's place.)
_SPAM = tuple(
    Field(name, UINT, "NULL", "always null: spam is not classified", test="id - id")
    for name in ("isSpam", "spamScore", "spamThreshold")
)

CATALOGUE_NODES = (
    Node(
        "domains",
        "the account's domains",
        "domains",
        "rows",
        (
            Field("zoneTag", STRING, "id", "the domain's id"),
            Field("name", STRING, "name", "its name"),
            Field("rua", STRING, "rua", "the address that its reports are sent to"),
            Field("created", TIME, "created", "when it was added"),
        ),
        ("name",),
        catalogue=True,
        accounts_only=True,
        zone="id",
    ),
    Node(
        "reports",
        "reports of every kind, as received",
        "reports",
        "rows",
        (
            Field("reportKey", STRING, "key", "the system's id for the report"),
            _ZONE,
            Field("kind", STRING, "kind", "aggregate, tls or failure"),
            Field("state", STRING, "state", "counted, or why it is not"),
            Field("reporter", STRING, "org_name", "the reporter's name, as the reporter states it"),
            Field("reporterEmail", STRING, "org_email", "the reporter's address"),
            Field("policyDomain", STRING, "policy_domain", "domain that it is about"),
            Field("reportId", STRING, "report_id", "the reporter's id for the report"),
            Field("date", DATE, "day", "UTC day of its begin"),
            Field("begin", TIME, '"begin"', "its begin"),
            Field("end", TIME, '"end"', "its end"),
            Field("received", TIME, "received", "when its mail was received"),
            Field("records", UINT, "records", "records; TLS policies; 1 for a failure report"),
            Field("messages", UINT, "messages", "messages; TLS sessions; 1 for a failure report"),
            Field("fileName", STRING, "file_name", "the attachment's name"),
        ),
        ("day", "key"),
        catalogue=True,
    ),
    Node(
        "problems",
        "mail that could not be parsed or counted, and why",
        "problems",
        "rows",
        (
            Field("id", UINT, "id", "the problem's number"),
            _ZONE,
            Field("reason", STRING, "reason", "the reason's code"),
            Field("detail", STRING, "detail", "the reason as text"),
            Field("where", STRING, '"where"', "place in the mail"),
            Field("fileName", STRING, "file_name", "the attachment's name"),
            Field("created", TIME, "created", "when it was recorded"),
            Field("state", STRING, "state", "open or closed"),
        ),
        ("id",),
        catalogue=True,
    ),
    Node(
        "emailRoutingAdaptive",
        "mails received, and their outcome",
        "activity",
        "rows",
        (*_ACTIVITY, *_SPAM),
        ("time", "id"),
        catalogue=True,
    ),
    Node(
        "emailRoutingAdaptiveGroups",
        "the outcomes of mails, grouped by the dimensions that you select",
        "activity",
        "groups",
        (
            *(replace(field, section="dimensions") for field in _ACTIVITY),
            Field("count", UINT, "COUNT(*)", "mails", measure=True),
        ),
        catalogue=True,
    ),
)
