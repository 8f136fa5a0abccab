"""Promise: what changes about senders is applied to stored rows by itself, once, to the rows that it concerns."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from dmarcworks.analytics import month_changes, refresh
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.senders import OwnerDecision
from dmarcworks.catalogue.source_addresses import SourceAddresses
from dmarcworks.enrich.network.addresses import AddressName
from dmarcworks.errors import StoreError
from dmarcworks.ingest.enriching import enricher
from dmarcworks.upkeep import jobs
from dmarcworks.upkeep.refresh_claim import CLAIM, claimed, running_refresh
from dmarcworks.upkeep.refresh_state import RefreshState
from dmarcworks.upkeep.scheduler import MINUTE_SECONDS, refresh_changed
from tests.support.harness import Harness
from tests.support.mails import BEGIN, DAY, document, mail


async def due(harness: Harness) -> dict[str, Any]:
    """The result of the job."""
    events = [event async for event in jobs.run(harness.context, "senders-refresh-due", {})]
    return {name: events[-1][name] for name in ("scopes", "groups", "changed")}


def nothing() -> dict[str, Any]:
    return {"scopes": 0, "groups": 0, "changed": 0}


async def stored(harness: Harness) -> list[tuple[Any, ...]]:
    """Domain, month, sender, kind and decision of the rows of 192.0.2.1."""
    rows = await harness.query(
        "SELECT domain, toYYYYMM(day) AS month, sender, sender_kind, sender_decision FROM dmarc_reports"
        " WHERE source_ip = '192.0.2.1' ORDER BY domain, day"
    )
    return [tuple(row.values()) for row in rows]


def use_sender_file(harness: Harness, path: Path, text: str) -> None:
    path.write_text(text)
    settings = harness.settings.model_copy(update={"sender_file": str(path)})
    made = enricher(settings, SourceAddresses(harness.stores.database), harness.stores.senders)
    env = dataclasses.replace(harness.context.env, enricher=made)
    harness.context = dataclasses.replace(harness.context, settings=settings, env=env)


@pytest.fixture
async def domains(harness: Harness) -> list[Domain]:
    """Three months of one domain, one of another account's; all of it is applied."""
    first, second = await harness.add_domain("one.example"), await harness.add_domain("two.example", "other")
    for number in range(3):
        await harness.receive(first, raw("one.example", number))
    await harness.receive(second, raw("two.example", 0))
    assert (await due(harness))["scopes"] == 1
    return [first, second]


def raw(domain: str, number: int) -> bytes:
    return mail((f"{number}.xml", document(str(number), domain=domain, begin=BEGIN - (2 - number) * 40 * DAY)))


async def test_nothing_runs_when_nothing_changed(harness: Harness, domains: list[Domain]) -> None:
    assert await due(harness) == nothing()
    ran = []

    async def noted(*_: Any) -> None:
        ran.append(1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(harness.stores.kv.__class__, "delete", noted)
        assert await refresh_changed(harness.context) == MINUTE_SECONDS
    # No claim was taken, so none was given back.
    assert ran == []


async def test_a_decision_and_an_own_name_reach_the_rows_they_are_about(
    harness: Harness, domains: list[Domain]
) -> None:
    one, two = domains
    senders = harness.stores.senders
    names = {row[2] for row in await stored(harness)}
    key = "envelope:one.example"
    await senders.decide(one, key, OwnerDecision.mine)
    assert await refresh_changed(harness.context) >= MINUTE_SECONDS
    assert [row[4] for row in await stored(harness)] == ["mine", "mine", "mine", None]
    assert await due(harness) == nothing()
    await senders.withdraw(one, key)
    assert (await due(harness))["scopes"] == 1
    assert {row[4] for row in await stored(harness)} == {None}
    own = await senders.add_own_name(two.account_id, "Billing", "block", "192.0.2.1/32")
    result = await due(harness)
    assert (result["scopes"], result["changed"]) == (1, 1)
    assert [row[2:4] for row in await stored(harness)] == [(*names, None)] * 3 + [("Billing", "own")]
    await senders.remove_own_name(two.account_id, own.id)
    await due(harness)
    assert {row[2] for row in await stored(harness)} == names == {None}


async def test_a_new_file_reaches_all_rows_and_goes_on_where_it_was_interrupted(
    harness: Harness, domains: list[Domain], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"192.0.2.1": AddressName("mail.base.example", True)}
    addresses = SourceAddresses(harness.stores.database, queued=True)
    await addresses.known(names)
    await addresses.store(names)
    use_sender_file(harness, tmp_path / "base.csv", "base.example,Base Hosting,Web Host\n")
    with monkeypatch.context() as patch:
        write, left = month_changes._write, [1]

        async def fails_later(*arguments: Any) -> None:
            if not left:
                raise StoreError("the disk is full")
            left.pop()
            await write(*arguments)

        patch.setattr(month_changes, "_write", fails_later)
        with pytest.raises(StoreError):
            await due(harness)
    assert [row[2] for row in await stored(harness)] == ["Base Hosting", None, None, "Base Hosting"]
    # A decision meanwhile is not lost in the month that is done.
    await harness.stores.senders.decide(domains[0], "name:Base Hosting", OwnerDecision.forwarder)
    state = await RefreshState.load(harness.stores.kv)
    months = [row[1] for row in await stored(harness)]
    assert state.month == months[0]
    seen = []
    groups = refresh._groups

    async def noted(analytics: Any, where: str, parameters: Any) -> Any:
        seen.append(where)
        return await groups(analytics, where, parameters)

    monkeypatch.setattr(refresh, "_groups", noted)
    await due(harness)
    assert [str(months[0]) in where.partition(" AND ")[0] for where in seen] == [False, False]
    assert [row[2] for row in await stored(harness)] == ["Base Hosting"] * 4
    assert (await due(harness))["scopes"] == 1
    assert [row[4] for row in await stored(harness)] == ["forwarder"] * 3 + [None]
    assert await due(harness) == nothing()


async def test_one_process_only_and_its_progress_is_shown(harness: Harness, domains: list[Domain]) -> None:
    kv = harness.stores.kv
    await harness.stores.senders.decide(domains[0], "block:192.0.2.0", OwnerDecision.mine)
    async with claimed(kv) as claim:
        await claim.progress(3, 12)
        running = await running_refresh(kv)
        assert running is not None
        assert (running.done, running.total) == (3, 12)
        assert await refresh_changed(harness.context) == MINUTE_SECONDS
        with pytest.raises(Exception, match=r"by another process \(3 of 12 parts done\)"):
            await due(harness)
    assert (await running_refresh(kv), await kv.get(CLAIM)) == (None, None)
    assert (await due(harness))["scopes"] == 1
