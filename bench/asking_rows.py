"""Report rows for the benchmark of asking, made inside the engine: no Python in the way, the same every time.

Row n belongs to a report of 1 to 32 records (7 reports in 64 rows), the report to a domain, a day and a reporter.
Domains differ as they do in life: the largest has some 7 % of all rows, half of them hardly any. Most messages come
from a domain's own few addresses, some from a pool that all share, the rest from anywhere.
"""

# ruff: noqa: E501, SIM905 - statements are long lines by nature
from __future__ import annotations

from datetime import date, timedelta

ACCOUNTS = 2_000
DOMAINS = 3_000
FIRST = date(2025, 11, 1)
DAYS = 365
LAST = FIRST + timedelta(days=DAYS - 1)

_REPORTERS = (
    "google.com Yahoo Outlook.com Enterprise-Outlook Mail.Ru AMAZON-SES comcast.net GMX WEB.DE Mimecast.org Fastmail "
    "seznam.cz mailbox.org posteo.de 1und1.de t-online.de orange.fr laposte.net libero.it wp.pl onet.pl rambler.ru zoho.com "
    "icloud.com proton.me cisco.com barracuda.com proofpoint.com trendmicro.com sophos.com"
).split()


def account_id(number: int) -> str:
    """The id of the account with that number."""
    return f"{number:032x}"


def domain_id(number: int) -> str:
    """The id of the domain with that number; it belongs to the account `number % ACCOUNTS`."""
    return f"d{number:031x}"


def insert(table: str, start: int, size: int, first: date, days: int) -> str:
    """INSERT … SELECT of `size` rows, numbered from `start`, on days of the period."""
    names = ", ".join(f"'{name}'" for name in _REPORTERS)
    own = "concat('198.51.', toString(domain % 200), '.', toString(cityHash64(number) % 8))"
    pool = "concat('203.0.', toString(cityHash64(number, 1) % 100), '.', toString(cityHash64(number, 2) % 100))"
    anywhere = (
        "if(cityHash64(number, 3) % 10 = 0, concat('2001:db8:', lower(hex(toUInt16(cityHash64(number, 4)))), '::',"
        " lower(hex(toUInt16(cityHash64(number, 5))))), IPv4NumToString(toUInt32(cityHash64(number, 6) % 4000000)))"
    )
    columns = {
        "account_id": f"leftPad(lower(hex(toUInt16(domain % {ACCOUNTS}))), 32, '0')",
        "domain_id": "concat('d', leftPad(lower(hex(toUInt16(domain))), 31, '0'))",
        "domain": "concat('domain', toString(domain), '.example')",
        "day": f"toDate('{first}') + toUInt16(cityHash64(report, 7) % {days})",
        "begin": "toInt64(toUnixTimestamp(toDateTime(day, 'UTC')))",
        "end": "begin + 86399",
        "received": "toDateTime64(begin + 93600 + cityHash64(report, 8) % 20000, 3, 'UTC')",
        "report_key": "lower(concat(hex(sipHash128(report)), hex(sipHash128(report, 1))))",
        "report_id": "toString(cityHash64(report, 9))",
        "record_index": "toUInt32(place)",
        "org_name": f"arrayElement([{names}], 1 + toUInt8({len(_REPORTERS)} * pow(cityHash64(report, 10) / pow(2, 64), 3)))",
        "org_email": "concat('dmarc@', assumeNotNull(org_name))",
        "object_key": "concat('2026/', toString(toMonth(day)), '/', report_key, '/report.xml.gz')",
        "policy_domain": "domain_",
        "source_ip": f"multiIf(kind < 70, {own}, kind < 90, {pool}, {anywhere})",
        "count": "toUInt64(exp(6 * pow(cityHash64(number, 11) / pow(2, 64), 3)))",
        "dkim_aligned": "if(cityHash64(number, 12) % 100 < multiIf(kind < 70, 97, kind < 90, 80, 5), 'pass', 'fail')",
        "spf_aligned": "if(cityHash64(number, 13) % 100 < multiIf(kind < 70, 92, kind < 90, 40, 2), 'pass', 'fail')",
        "dmarc": "if(dkim_aligned = 'pass' OR spf_aligned = 'pass', 'pass', 'fail')",
        "disposition": "if(dmarc = 'pass', 'none', arrayElement(['none', 'quarantine', 'reject'], 1 + domain % 3))",
        "header_from": "domain_",
        "p": "arrayElement(['none', 'quarantine', 'reject'], 1 + domain % 3)",
        "pct": "100",
        "reasons": (
            "CAST(if(dmarc = 'fail' AND cityHash64(number, 14) % 20 = 0, [('forwarded', NULL)], [])"
            ", 'Array(Tuple(type LowCardinality(Nullable(String)), comment Nullable(String)))')"
        ),
        "dkim": (
            "CAST([(domain_, concat('s', toString(cityHash64(number, 15) % 3)), dkim_aligned, NULL)], 'Array(Tuple("
            "domain LowCardinality(Nullable(String)), selector LowCardinality(Nullable(String)),"
            " result LowCardinality(Nullable(String)), human_result Nullable(String)))')"
        ),
        "spf": (
            "CAST([(domain_, 'mfrom', spf_aligned, NULL)], 'Array(Tuple(domain LowCardinality(Nullable(String)),"
            " scope LowCardinality(Nullable(String)), result LowCardinality(Nullable(String)),"
            " human_result Nullable(String)))')"
        ),
        "country": "arrayElement(['US', 'DE', 'FR', 'NL', 'IE', 'GB', 'CN', 'IN', 'BR', 'RU'], 1 + cityHash64(source_ip) % 10)",
        "sender": "if(kind < 70, 'Own servers', concat('Service ', toString(cityHash64(source_ip) % 40)))",
    }
    # `domain` is a number inside and a name outside, so it is renamed on the way.
    values = ", ".join(f"{text} AS {name}" for name, text in columns.items() if name != "domain")
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join('domain_ AS domain' if n == 'domain' else n for n in columns)}"
        f" FROM (SELECT {values}, {columns['domain']} AS domain_ FROM (SELECT number, cityHash64(number, 16) % 100 AS kind,"
        " intDiv(number, 64) * 8 + class AS report, place,"
        f" toUInt32({DOMAINS} * pow(cityHash64(report, 17) / pow(2, 64), 3)) AS domain FROM (SELECT number,"
        " number % 64 AS spot, if(spot = 0, 0, 1 + toUInt8(floor(log2(spot)))) AS class,"
        f" if(spot < 2, 0, spot - toUInt32(exp2(class - 1))) AS place FROM numbers({start}, {size}))))"
        " SETTINGS max_insert_threads = 1, min_insert_block_size_rows = 2000000, min_insert_block_size_bytes = 0,"
        " max_insert_block_size = 2000000, max_partitions_per_insert_block = 0"
    )
