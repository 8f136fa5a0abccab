"""Promise of backup and restore with the catalogue on a real PostgreSQL: the same round trip, and from SQLite to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dmarcworks.catalogue.source_addresses import SourceAddresses
from dmarcworks.settings import Settings
from dmarcworks.upkeep.backup.create import table_copies
from dmarcworks.upkeep.context import UpkeepContext
from dmarcworks.upkeep.setup import opened_upkeep
from dmarcworks.workers.message import Message
from dmarcworks.workers.outcome import ACCEPTED
from tests.support.harness import HOST, Harness
from tests.support.ingesting import deliver
from tests.support.mails import report_mail
from tests.support.postgres import PostgresServer, fresh
from tests.support.system import skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    made = PostgresServer(tmp_path_factory.mktemp("postgres"))
    if not made.start():
        skip(f"no PostgreSQL server can be started here: {made.why}")
    yield made
    made.stop()


async def rows(context: UpkeepContext) -> dict[str, list[str]]:
    """Every table's rows."""
    copies = table_copies(context)
    async with copies.snapshot() as snapshot:
        return {table: sorted(map(str, await snapshot.rows(table))) for table in copies.tables}


async def fill(harness: Harness) -> None:
    """Reports of every kind, an address whose name is due, a problem, and a mail that waits."""
    addresses = SourceAddresses(harness.context.stores.database)
    await addresses.known({"198.51.100.9"})
    await addresses.settle()
    await harness.add_domain()
    domain = await harness.context.domain("example.com")
    assert domain is not None
    for number in range(3):
        await harness.receive(domain, report_mail(f"r{number}"))
    await harness.receive(domain, b"Subject: x\r\n\r\nnothing\r\n")
    message = Message("a@mail.example", domain.rua, report_mail("waits"))
    assert await deliver(message, harness.context.env) == ACCEPTED


@pytest.mark.parametrize("source", ["postgresql", "sqlite"])
async def test_a_round_trip_brings_everything_back(server: PostgresServer, tmp_path: Path, source: str) -> None:
    """Every table and sum is the same, the waiting mail is read, and new rows get numbers that nobody has."""
    url = await fresh(server.url) if source == "postgresql" else ""
    async with opened_upkeep(
        Settings(home=tmp_path / "one", hostname=HOST, database_url=url, address_names="off")
    ) as context:
        one = Harness(tmp_path / "one", context)
        await fill(one)
        (result,) = await one.do("backup", folder=str(tmp_path / "backup"))
        assert (result["reports"], result["damaged"]) == (3, 0)
        before, sums = await rows(context), await one.sums()
    assert sum(row[3] for row in sums) == 15
    target = Settings(home=tmp_path / "two", hostname=HOST, database_url=await fresh(server.url), address_names="off")
    async with opened_upkeep(target) as context:
        two = Harness(tmp_path / "two", context)
        (result,) = await two.do("restore", folder=str(tmp_path / "backup"))
        assert (result["left"], result["kept"]) == (0, 0)
        after = await rows(context)
        for name in set(before) - {"replays"}:  # the restore's own
            assert after[name] == before[name], name
        assert await two.sums() == sums
        domain = await context.domain("example.com")
        assert domain is not None
        # A number that PostgreSQL gave twice would be refused here.
        await two.receive(domain, report_mail("since"), b"Subject: y\r\n\r\nnothing\r\n")
        assert sum(row[3] for row in await two.sums()) == 25
        assert await two.kinds() == []
