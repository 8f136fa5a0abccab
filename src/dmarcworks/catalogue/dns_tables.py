"""Tables of DNS records: what a domain published when, its newest report card, and when it is checked next.

They belong to `tables.metadata`. States and cards name their domain by id without pointing at it: a domain that is
removed and added again has its id back, and with it its history. The schedule goes with the domain.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, String, Table, Text

from dmarcworks.catalogue.tables import metadata

__all__ = ["dns_cards", "dns_checks", "dns_pace", "dns_states"]

# A row per period in which the records of a name stayed the same. `records` is a JSON list, in the order in which they
# are compared; `digest` covers them in full also where they were `shortened`. `current` is the newest row of its name.
# `checked` is the newest look-up, `failure` why it had no answer ("" when it had one).
dns_states = Table(
    "dns_states",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("account_id", String(32), ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    Column("domain_id", String(32), nullable=False),
    Column("kind", String(24), nullable=False),
    Column("name", String(255), nullable=False),
    Column("records", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("shortened", Boolean, nullable=False),
    # The codes of the findings about it, as JSON.
    Column("codes", Text, nullable=False),
    Column("first_seen", Float, nullable=False),
    Column("last_seen", Float, nullable=False),
    Column("checked", Float, nullable=False),
    Column("failure", String(200), nullable=False),
    Column("resolver", String(255), nullable=False),
    Column("current", Boolean, nullable=False),
    Index("dns_states_domain", "account_id", "domain_id", "id"),
    sqlite_autoincrement=True,
)

# The newest report card of a domain, as JSON.
dns_cards = Table(
    "dns_cards",
    metadata,
    Column("account_id", String(32), ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
    Column("domain_id", String(32), primary_key=True),
    Column("checked", Float, nullable=False),
    Column("resolver", String(255), nullable=False),
    Column("answered", Boolean, nullable=False),
    Column("card", Text, nullable=False),
)

# When each part of a domain's records is checked next. `requested`: when a person requested a check. `claimed`: until
# when the process `holder` works on it. `selectors`: DKIM selectors that a person named, as JSON.
dns_checks = Table(
    "dns_checks",
    metadata,
    Column("domain_id", String(32), ForeignKey("domains.id", ondelete="CASCADE"), primary_key=True),
    Column("part", String(16), primary_key=True),
    Column("due", Float, nullable=False),
    Column("requested", Float),
    Column("claimed", Float, nullable=False),
    Column("holder", String(32), nullable=False),
    Column("checked", Float),
    Column("failures", Integer, nullable=False),
    Column("selectors", Text, nullable=False),
    Index("dns_checks_due", "due"),
    Index("dns_checks_requested", "requested"),
)

# Until when the time for queries is given out, to any process: the bound on queries holds for all of them.
dns_pace = Table(
    "dns_pace",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("reserved", Float, nullable=False),
)
