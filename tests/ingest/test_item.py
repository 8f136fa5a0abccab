"""Promise of the queued item: what is written is read again, also by the next version; a newer one is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.errors import UsageError
from dmarcworks.ingest.item import VERSION, Gate, MailItem

TEXT = st.text(max_size=60)
ITEMS = st.builds(
    MailItem,
    mail_id=TEXT,
    object_key=TEXT,
    account_id=TEXT,
    domain_id=TEXT,
    domain=TEXT,
    recipient=TEXT,
    received=st.floats(0, 4e9),
    size=st.integers(0, 1 << 40),
    sha256=st.none() | TEXT,
    sender=TEXT,
    peer=TEXT,
    helo=st.none() | TEXT,
    again=st.booleans(),
    adopt=st.dictionaries(TEXT, TEXT, max_size=3),
)


@given(ITEMS)
def test_what_is_written_is_read(item: MailItem) -> None:
    """Every field, whatever strangers put into it."""
    assert MailItem.from_json(item.to_json()) == item
    assert item.message().body == item.to_json()


def test_the_version_before_is_read() -> None:
    """No version, and what was optional is absent: no conversation, not read before, nothing adopted."""
    old = {"mail_id": "m", "object_key": "k", "account_id": "a", "domain_id": "d", "domain": "example.com"}
    old |= {"recipient": "r@h.example", "sender": "", "peer": "upload", "received": 1.5, "size": 7, "sha256": None}
    item = MailItem.from_json(json.dumps(old))
    assert (item.helo, item.again, dict(item.adopt), item.received, item.size) == (None, False, {}, 1.5, 7)


def test_a_newer_version_is_refused() -> None:
    """Its meaning is not known; the mail stays in the queue."""
    newer = {"version": VERSION + 1}
    with pytest.raises(UsageError, match=f"item version {VERSION + 1}"):
        MailItem.from_json(json.dumps(newer))


def test_a_gate_is_its_entry() -> None:
    """The KV entry of a rua address, as every version has written it."""
    gate = Gate("a", "d", "example.com")
    assert json.loads(gate.to_json()) == {"account_id": "a", "domain_id": "d", "domain": "example.com"}
    assert Gate.from_json(gate.to_json()) == gate
