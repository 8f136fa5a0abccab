"""The analytics tables as data: every column once, with its type in the store, its codec and its type in Arrow.

`schema.py` makes DDL and rows from it, `api/sql.py` its list of names. The ALIAS columns answer the names of the
original's dataset (blob1 …, double1 …); they cost no byte, and where the original would hold NaN for an absent
value they hold the default that RFC 7489 §6.3 gives the tag: sp = p, pct = 100, adkim and aspf = r, else code 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import pyarrow as pa

TEXT = pa.string()
TEXTS = pa.list_(pa.string())
INSTANT = pa.timestamp("ms", tz="UTC")

_LOW = "LowCardinality(String)"
_LOW_MAYBE = "LowCardinality(Nullable(String))"
_MAYBE = "Nullable(String)"

# A lightweight DELETE rebuilds the sums of the parts that it touches.
REBUILD = "lightweight_mutation_projection_mode = 'rebuild'"
# A month in which nothing is stored for a day becomes one part: each part costs every question a millisecond and more.
QUIET = "min_partition_age_to_force_merge_seconds = 86400"
# Small parts wait until there are ten to be merged: half the work of merging where many small batches come.
GATHER = "min_parts_to_merge_at_once = 10"


@dataclass(frozen=True, slots=True)
class Column:
    """A stored column: name, engine type, Arrow type, codec (or "" for the engine's own)."""

    name: str
    type: str
    arrow: pa.DataType
    codec: str = ""

    def ddl(self) -> str:
        """The column as CREATE TABLE states it."""
        return f"`{self.name}` {self.type}" + (f" CODEC({self.codec})" if self.codec else "")


@dataclass(frozen=True, slots=True)
class Alias:
    """A column that is computed when it is queried."""

    name: str
    type: str
    expression: str

    def ddl(self) -> str:
        """The column as CREATE TABLE states it."""
        return f"`{self.name}` {self.type} ALIAS {self.expression}"


@dataclass(frozen=True, slots=True)
class Projection:
    """Sums that the engine keeps inside every part of a table, and takes by itself for a question that they answer."""

    name: str
    select: str

    def ddl(self) -> str:
        """The projection as CREATE TABLE states it."""
        return f"PROJECTION {self.name} ({self.select})"


@dataclass(frozen=True)
class Table:
    """A table of the store; `account_id` is first in every sort key, `domain_id` second."""

    name: str
    columns: tuple[Column, ...]
    aliases: tuple[Alias, ...] = ()
    projections: tuple[Projection, ...] = ()
    month_of: str = "day"
    order: str = "day, report_key, record_index"

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema of its rows, in column order."""
        return pa.schema([(column.name, column.arrow) for column in self.columns])

    @property
    def create(self) -> str:
        """CREATE TABLE: an insert is durable when it returns; sorted so that a question reads one domain only."""
        pieces: list[Column | Alias | Projection] = [*self.columns, *self.aliases, *self.projections]
        parts = ",\n    ".join(piece.ddl() for piece in pieces)
        return (
            f"CREATE TABLE IF NOT EXISTS {self.name} (\n    {parts}\n) ENGINE = MergeTree"
            f" PARTITION BY toYYYYMM({self.month_of}) ORDER BY (account_id, domain_id, {self.order})"
            f" SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, {REBUILD}, {QUIET}, {GATHER}"
        )

    def named(self, name: str) -> Table:
        """The same table under another name: a part of one can be attached to the other."""
        return replace(self, name=name)


def _structs(**fields: tuple[str, pa.DataType]) -> tuple[str, pa.DataType]:
    engine = ", ".join(f"{name} {kind}" for name, (kind, _) in fields.items())
    arrow = pa.struct([(name, kind) for name, (_, kind) in fields.items()])
    return f"Array(Tuple({engine}))", pa.list_(arrow)


def _low(name: str) -> Column:
    return Column(name, _LOW_MAYBE, TEXT)


_TEXT_MAYBE, _WORD = (_MAYBE, TEXT), (_LOW_MAYBE, TEXT)
_REASONS = _structs(type=_WORD, comment=_TEXT_MAYBE)
_DKIM = _structs(domain=_WORD, selector=_WORD, result=_WORD, human_result=_TEXT_MAYBE)
_SPF = _structs(domain=_WORD, scope=_WORD, result=_WORD, human_result=_TEXT_MAYBE)
_FAILURES = _structs(
    result_type=_WORD,
    sending_mta_ip=_TEXT_MAYBE,
    receiving_mx_hostname=_TEXT_MAYBE,
    receiving_mx_helo=_TEXT_MAYBE,
    receiving_ip=_TEXT_MAYBE,
    failed_sessions=("Nullable(UInt64)", pa.uint64()),
    additional_information=_TEXT_MAYBE,
    failure_reason_code=_TEXT_MAYBE,
)

# What every row of every kind of report has: whose it is, of when, out of which report.
_COMMON = (
    Column("account_id", _LOW, TEXT),
    Column("domain_id", _LOW, TEXT),
    Column("domain", _LOW, TEXT),
    Column("day", "Date", pa.date32(), "Delta, ZSTD"),
    Column("begin", "Int64", pa.int64(), "ZSTD"),
    Column("end", "Int64", pa.int64(), "ZSTD"),
    Column("received", "DateTime64(3, 'UTC')", INSTANT, "ZSTD"),
    Column("report_key", "String", TEXT, "ZSTD"),
    Column("report_id", "String", TEXT, "ZSTD"),
    Column("record_index", "UInt32", pa.uint32(), "Delta, ZSTD"),
    _low("org_name"),
    _low("org_email"),
    Column("object_key", "String", TEXT, "ZSTD"),
)


def _code(column: str, codes: str, default: str = "0.") -> str:
    words = codes.split()
    names = ", ".join(f"'{word.partition('=')[0]}'" for word in words)
    values = ", ".join(f"{word.partition('=')[2]}." for word in words)
    return f"transform(ifNull(toString({column}), ''), [{names}], [{values}], toFloat64({default}))"


def _encode_uri(text: str) -> str:
    # JavaScript's encodeURI leaves these as they are; the engine's function encodes them all.
    for character in ";,/?:@&=+$!*()#'":
        literal = "\\'" if character == "'" else character
        text = f"replaceAll({text}, '%{ord(character):02X}', '{literal}')"
    return text


_INDEX = _encode_uri("encodeURLComponent(concat(report_id, '-', toString(record_index)))")
_POLICY = "none=0 quarantine=1 reject=2"
_REASON = "other=0 forwarded=1 sampled_out=2 trusted_forwarder=3 mailing_list=4 local_policy=5"
_ERRORS = "multiIf(empty(errors), '', length(errors) = 1, toJSONString(errors[1]), toJSONString(errors))"
_BLOBS = {
    1: "replaceOne(report_id, '-', '_')",
    2: "ifNull(toString(org_name), '')",
    3: _ERRORS,
    4: "toString(policy_domain)",
    5: "source_ip",
    6: "ifNull(toString(envelope_to), '')",
    7: "ifNull(toString(header_from), '')",
}
_DOUBLES = {
    1: "toFloat64(begin)",
    2: "toFloat64(end)",
    3: _code("adkim", "r=0 s=1"),
    4: _code("aspf", "r=0 s=1"),
    5: _code("p", _POLICY),
    6: f"if(sp IS NULL, {_code('p', _POLICY)}, {_code('sp', _POLICY)})",
    7: "toFloat64(ifNull(pct, 100))",
    8: "toFloat64(count)",
    9: _code("dkim_aligned", "fail=0 pass=1"),
    10: _code("spf_aligned", "fail=0 pass=1"),
    11: _code("disposition", _POLICY),
    12: _code("reasons[1].1", _REASON),
}
_ALIASES = (
    Alias("timestamp", "DateTime('UTC')", "toDateTime(received, 'UTC')"),
    Alias("index1", "String", f"substring({_INDEX}, 1, 32)"),
    *(Alias(f"blob{n}", "String", _BLOBS.get(n, "''")) for n in range(1, 21)),
    *(Alias(f"double{n}", "Float64", _DOUBLES.get(n, "toFloat64(0)")) for n in range(1, 21)),
    Alias("_sample_interval", "UInt32", "toUInt32(1)"),
    Alias("dataset", "String", "'dmarc_reports'"),
)

# Half the questions read the address of every row: a byte a row more, unpacked in a third of the time.
ADDRESS = Column("source_ip", "String", TEXT, "LZ4HC(3)")

# Whether the address's name leads back to it; how sure the sender's name is, 0 to 1; the file of ASN and country.
ENRICHED = (
    Column("ptr_confirmed", "Nullable(Bool)", pa.bool_(), "ZSTD"),
    Column("sender_confidence", "Nullable(Float32)", pa.float32(), "ZSTD"),
    _low("ip_data"),
)
# What the owner of the domain decided about the sender, and the owner's name for it.
DECIDED = (_low("sender_decision"), _low("sender_label"))

# In 128 bits, since any reporter may write counts whose sum goes past the end of 64. A record with index 0 stands for
# its report. The queries write these sums exactly so, character by character, so that the engine recognises them.
SUMS = (
    "sum(toUInt128(count))",
    "sumIf(toUInt128(count), dmarc = 'pass')",
    "sumIf(toUInt128(count), dkim_aligned = 'pass')",
    "sumIf(toUInt128(count), spf_aligned = 'pass')",
    "sumIf(toUInt128(count), disposition = 'quarantine')",
    "sumIf(toUInt128(count), disposition = 'reject')",
    "countIf(record_index = 0)",
)
_DAILY = "account_id, domain_id, day, org_name"
DAILY = Projection("daily_sums", f"SELECT {_DAILY}, {', '.join(SUMS)} GROUP BY {_DAILY}")

DMARC_REPORTS = Table(
    "dmarc_reports",
    (
        *_COMMON,
        Column("policy_domain", _LOW, TEXT),
        *map(_low, ("version", "generator")),
        Column("errors", "Array(String)", TEXTS, "ZSTD"),
        ADDRESS,
        Column("count", "UInt64", pa.uint64(), "T64, ZSTD"),
        *map(_low, ("disposition", "dkim_aligned", "spf_aligned")),
        Column("dmarc", _LOW, TEXT),
        *map(_low, ("header_from", "envelope_from", "envelope_to")),
        Column("reasons", *_REASONS, "ZSTD"),
        Column("dkim", *_DKIM, "ZSTD"),
        Column("spf", *_SPF, "ZSTD"),
        *map(_low, ("p", "sp", "np", "adkim", "aspf", "fo", "testing", "discovery_method")),
        Column("pct", "Nullable(Int64)", pa.int64(), "ZSTD"),
        *map(_low, ("ptr", "as_name", "country", "sender", "sender_kind", "report_authentic")),
        Column("asn", "Nullable(UInt32)", pa.uint32(), "ZSTD"),
        *ENRICHED,
        *DECIDED,
    ),
    _ALIASES,
    (DAILY,),
)

TLS_REPORTS = Table(
    "tls_reports",
    (
        *_COMMON,
        *map(_low, ("policy_type", "policy_domain")),
        Column("policy_string", "Array(String)", TEXTS, "ZSTD"),
        Column("mx_host", "Array(String)", TEXTS, "ZSTD"),
        Column("successful_sessions", "Nullable(UInt64)", pa.uint64(), "T64, ZSTD"),
        Column("failed_sessions", "Nullable(UInt64)", pa.uint64(), "T64, ZSTD"),
        Column("failures", *_FAILURES, "ZSTD"),
    ),
)

FAILURE_REPORTS = Table(
    "failure_reports",
    (
        *_COMMON,
        *map(_low, ("feedback_type", "version", "user_agent", "auth_failure", "delivery_result", "identity_alignment")),
        *map(_low, ("reported_domain", "dkim_domain", "dkim_selector", "spf_dns")),
        Column("source_ip", _MAYBE, TEXT, "ZSTD"),
        Column("incidents", "Nullable(UInt64)", pa.uint64(), "ZSTD"),
        Column("original_mail_from", _MAYBE, TEXT, "ZSTD"),
        Column("original_rcpt_to", "Array(String)", TEXTS, "ZSTD"),
        Column("header_from", _MAYBE, TEXT, "ZSTD"),
        Column("message_id", _MAYBE, TEXT, "ZSTD"),
        Column("subject", _MAYBE, TEXT, "ZSTD"),
    ),
)

# What workers of the operator's own write; the original's columns and whose they are. No report's rows: what replays,
# keeps and restores reports has nothing to do with it.
POINT_BLOBS, POINT_DOUBLES = 20, 20
# Whose points are that belong to no account. No account has this id.
NOBODY = "0" * 32
DATA_POINTS = Table(
    "data_points",
    (
        Column("account_id", _LOW, TEXT),
        Column("domain_id", _LOW, TEXT),
        Column("dataset", _LOW, TEXT),
        Column("timestamp", "DateTime64(3, 'UTC')", INSTANT, "Delta, ZSTD"),
        Column("_sample_interval", "UInt32", pa.uint32()),
        Column("index1", "String", TEXT, "ZSTD"),
        *(Column(f"blob{n}", "String", TEXT, "ZSTD") for n in range(1, POINT_BLOBS + 1)),
        *(Column(f"double{n}", "Float64", pa.float64(), "ZSTD") for n in range(1, POINT_DOUBLES + 1)),
    ),
    month_of="timestamp",
    order="dataset, timestamp",
)

# The tables of reports, and all that SQL may name.
TABLES = {table.name: table for table in (DMARC_REPORTS, TLS_REPORTS, FAILURE_REPORTS)}
QUERYABLE_TABLES = {**TABLES, DATA_POINTS.name: DATA_POINTS}
