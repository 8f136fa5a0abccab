"""Promise of backup and restore with the catalogue on a real PostgreSQL: the same round trip, and from SQLite to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from dmarcworks.settings import Settings
from dmarcworks.upkeep.backup.create import all_tables
from dmarcworks.upkeep.context import UpkeepContext
from dmarcworks.wiring.server import opened_house
from dmarcworks.workers.message import Message
from dmarcworks.workers.outcome import ACCEPTED
from tests.support.ingesting import deliver
from tests.support.mails import report_mail
from tests.support.postgres import PostgresServer, fresh
from tests.support.system import skip
from tests.support.upkeep import HOST, Home


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    made = PostgresServer(tmp_path_factory.mktemp("postgres"))
    if not made.start():
        skip(f"no PostgreSQL server can be started here: {made.why}")
    yield made
    made.stop()


async def rows(house: UpkeepContext) -> dict[str, list[str]]:
    """Every table's rows."""
    found = {}
    async with house.stores.database.read() as connection:
        for table in all_tables():
            found[table.name] = sorted(
                str(dict(row._mapping)) for row in (await connection.execute(select(table))).all()
            )
    return found


async def fill(home: Home) -> None:
    """Reports of every kind, a problem, and a mail that waits."""
    await home.domain()
    domain = await home.house.domain("example.com")
    assert domain is not None
    for number in range(3):
        await home.mail(domain, report_mail(f"r{number}"))
    await home.mail(domain, b"Subject: x\r\n\r\nnothing\r\n")
    message = Message("a@mail.example", domain.rua, report_mail("waits"))
    assert await deliver(message, home.house.env) == ACCEPTED


@pytest.mark.parametrize("source", ["postgresql", "sqlite"])
async def test_a_round_trip_brings_everything_back(server: PostgresServer, tmp_path: Path, source: str) -> None:
    """Every table and sum is the same, the waiting mail is read, and new rows get numbers that nobody has."""
    url = await fresh(server.url) if source == "postgresql" else ""
    async with opened_house(Settings(home=tmp_path / "one", hostname=HOST, database_url=url)) as house:
        one = Home(tmp_path / "one", house)
        await fill(one)
        (result,) = await one.do("backup", folder=str(tmp_path / "backup"))
        assert (result["reports"], result["damaged"]) == (3, 0)
        before, sums = await rows(house), await one.sums()
    assert sum(row[3] for row in sums) == 15
    target = Settings(home=tmp_path / "two", hostname=HOST, database_url=await fresh(server.url))
    async with opened_house(target) as house:
        two = Home(tmp_path / "two", house)
        (result,) = await two.do("restore", folder=str(tmp_path / "backup"))
        assert (result["left"], result["kept"]) == (0, 0)
        after = await rows(house)
        for name in set(before) - {"replays"}:  # the restore's own
            assert after[name] == before[name], name
        assert await two.sums() == sums
        domain = await house.domain("example.com")
        assert domain is not None
        # A number that PostgreSQL gave twice would be refused here.
        await two.mail(domain, report_mail("since"), b"Subject: y\r\n\r\nnothing\r\n")
        assert sum(row[3] for row in await two.sums()) == 25
        assert await two.kinds() == []
