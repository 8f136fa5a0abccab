"""Promise of backup and restore: what comes back is what was there, to the last sum, or the damage is told."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from dmarcworks.errors import ConflictError, UsageError
from dmarcworks.settings import Settings
from dmarcworks.upkeep import jobs
from dmarcworks.upkeep.backup import create as backups
from dmarcworks.upkeep.retention.periods import RetentionPeriods
from dmarcworks.wiring.server import opened_house
from dmarcworks.workers.message import Message
from dmarcworks.workers.outcome import ACCEPTED
from dmarcworks.workers.point_writer import PointWriter
from dmarcworks.workers.points import DataPointOwner, DataPoints
from tests.support.ingesting import deliver
from tests.support.mails import BEGIN, DAY, report_mail
from tests.support.upkeep import HOST, Home
from tests.upkeep.verify.test_verify import filled

EVERYTHING = ("accounts", "domains", "mails", "reports", "sightings", "problems", "kv", "queue", "retention", "users")


async def content(home: Home) -> tuple[object, object, object]:
    """Everything that a person could miss: the catalogue, objects, figures."""
    rows = {table: sorted(map(str, home.sql(f"SELECT * FROM {table}"))) for table in EVERYTHING}
    root = home.path / "objects"
    objects = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    figures = {
        table: await home.query(f"SELECT * FROM {table} ORDER BY report_key, record_index")
        for table in ("dmarc_reports", "tls_reports", "failure_reports")
    }
    figures["data_points"] = await home.query("SELECT * FROM data_points ORDER BY timestamp")
    return rows, objects, figures


async def test_a_round_trip_brings_everything_back(home: Home, tmp_path: Path) -> None:
    """Every table, object and row is the same, a waiting mail still waits, and the new home has no difference."""
    await filled(home)
    domain = await home.house.domain("example.com")
    assert domain is not None
    await home.house.stores.accounts.add_user("a@example.com")
    message = Message("a@mail.example", domain.rua, report_mail("waits"))
    assert await deliver(message, home.house.env) == ACCEPTED
    # Of two days: each is a file of its own.
    points = DataPoints(iter((1_790_100_000.125, 1_790_200_000.0, 1_790_200_000.5)).__next__)
    for text in ("é", "", "x" * 16_000):
        points.write(
            DataPointOwner(domain.account_id, domain.id),
            "mine",
            {"indexes": [text[:9]], "blobs": [text], "doubles": [0.1]},
        )
    await PointWriter(points, home.house.analytics).flush()
    (result,) = await home.do("backup", folder=str(tmp_path / "backup"))
    assert len(list((tmp_path / "backup" / "rows").iterdir())) == 2
    assert {name: result[name] for name in ("objects", "copied", "damaged", "reports")} == {
        "objects": 14,
        "copied": 14,
        "damaged": 0,
        "reports": 6,
    }
    before = await content(home)
    # The engine serves one folder at a time.
    await home.house.analytics.close()
    async with opened_house(Settings(home=tmp_path / "other", hostname=HOST)) as house:
        other = Home(tmp_path / "other", house)
        (result,) = await other.do("restore", folder=str(tmp_path / "backup"))
        assert (result["left"], result["kept"]) == (0, 0)
        after = await content(other)
        for there, was in zip(after, before, strict=True):
            assert there == was
        assert home.sql("SELECT count(*) FROM queue") == [(1,)]
        await other.mail(domain)
        assert sum(row[3] for row in await other.sums()) == 33 + 5
        assert await other.kinds() == []


async def test_rows_that_the_archive_can_no_longer_give_come_back_too(home: Home, tmp_path: Path) -> None:
    """Attachments taken by retention: their rows are in the backup, and again in the figures."""
    await filled(home)
    home.sql(f"UPDATE reports SET received = received - {40 * DAY} WHERE kind != 'failure'")
    owner = await home.house.stores.accounts.account_by_name("default")
    await RetentionPeriods(home.house.stores.database, home.house.settings).set(owner.id, "archived_reports", 30)
    await home.do("retention")
    await home.mail((await home.house.stores.accounts.domains())[0], report_mail("young", begin=BEGIN + DAY))
    await home.do("backup", folder=str(tmp_path / "backup"))
    assert len(list((tmp_path / "backup" / "rows").iterdir())) == 2
    before = await home.sums()
    assert [row[2] for row in before] == [8, 2]
    await home.house.analytics.close()
    async with opened_house(Settings(home=tmp_path / "other", hostname=HOST)) as house:
        other = Home(tmp_path / "other", house)
        assert (await other.do("restore", folder=str(tmp_path / "backup")))[-1]["left"] == 0
        assert await other.sums() == before


async def test_again_on_the_same_folder_only_what_is_new_is_copied(home: Home, tmp_path: Path) -> None:
    """And what is gone from the store goes from the backup; a run that was cut off is gone on with."""
    folder = tmp_path / "backup"
    await filled(home)
    await home.do("backup", folder=str(folder))
    (domain,) = await home.house.stores.accounts.domains()
    await home.mail(domain, report_mail("more"))
    (raw,) = home.sql("SELECT object_key FROM mails WHERE reports = 0")[0]
    home.object(raw).unlink()
    (result,) = await home.do("backup", folder=str(folder))
    assert (result["objects"], result["copied"]) == (14, 2)
    assert not (folder / "objects" / raw).exists()
    assert len([path for path in (folder / "objects").rglob("*") if path.is_file()]) == 14
    (result,) = await home.do("backup", folder=str(folder))
    assert (result["objects"], result["copied"]) == (14, 0)


async def test_a_backup_that_was_cut_off_is_none_and_goes_on(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not restored before it is finished; finished, it did not copy again what was there."""
    folder = tmp_path / "backup"
    await filled(home)
    monkeypatch.setattr(backups, "_AT_ONCE", 4)
    events = jobs.run(home.house, "backup", {"folder": str(folder)})
    real, calls = backups._copy, 0

    async def copy(*args: object) -> object:
        nonlocal calls
        calls += 1
        if calls > 8:
            raise RuntimeError("cut off")
        return await real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(backups, "_copy", copy)
    with pytest.raises(RuntimeError):
        async for _ in events:
            pass
    with pytest.raises(UsageError, match="was not finished"):
        await home.do("restore", folder=str(folder), force=True)
    monkeypatch.setattr(backups, "_copy", real)
    (result,) = await home.do("backup", folder=str(folder))
    assert (result["objects"], result["copied"]) == (13, 5)


async def test_a_home_that_holds_something_is_refused_unless_told(home: Home, tmp_path: Path) -> None:
    """Without --force nothing is touched; with it the home is what the backup says."""
    folder = tmp_path / "backup"
    await filled(home)
    await home.do("backup", folder=str(folder))
    before = await home.sums()
    (domain,) = await home.house.stores.accounts.domains()
    await home.mail(domain, report_mail("later"))
    with pytest.raises(ConflictError, match="is not empty"):
        await home.do("restore", folder=str(folder))
    assert [row[2] for row in await home.sums()] == [10]
    assert (await home.do("restore", folder=str(folder), force=True))[-1]["left"] == 0
    assert await home.sums() == before


async def test_damage_is_told(home: Home, tmp_path: Path) -> None:
    """In the store while it is copied; in the backup when it is restored: the file is named."""
    folder = tmp_path / "backup"
    reports = await filled(home)
    path = home.object(reports[0]["object"])
    whole = path.read_bytes()
    path.write_bytes(b"x" + whole)
    events = await home.do("backup", folder=str(folder))
    assert [event["key"] for event in events if event["event"] == "damaged"] == [reports[0]["object"]]
    changed = path.stat().st_mtime_ns
    path.write_bytes(whole)
    os.utime(path, ns=(changed + 10**9, changed + 10**9))  # however coarse the file system's clock is
    assert (await home.do("backup", folder=str(folder)))[-1]["copied"] == 1
    (folder / "objects" / reports[1]["object"]).write_bytes(b"y")
    path.unlink()
    home.object(reports[1]["object"]).unlink()
    with pytest.raises(UsageError, match="is damaged"):
        await home.do("restore", folder=str(folder), force=True)
    table = folder / "catalogue" / "reports.jsonl.gz"
    table.write_bytes(table.read_bytes()[:-1])
    with pytest.raises(UsageError, match=r"reports\.jsonl\.gz is damaged"):
        await home.do("restore", folder=str(folder), force=True)
    assert home.sql("SELECT count(*) FROM reports") == [(6,)]


async def test_only_a_backups_folder_is_written_to(home: Home, tmp_path: Path) -> None:
    """A folder with anything else in it is refused, and one that is none is no backup to restore."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("x")
    with pytest.raises(UsageError, match="neither empty nor a backup"):
        await home.do("backup", folder=str(tmp_path / "full"))
    with pytest.raises(UsageError, match="holds no backup"):
        await home.do("restore", folder=str(tmp_path / "full"))
    await home.do("backup", folder=str(tmp_path / "backup"))
    head = json.loads((tmp_path / "backup" / "backup.json").read_text())
    (tmp_path / "backup" / "backup.json").write_text(json.dumps(head | {"revision": "9999"}))
    with pytest.raises(UsageError, match="restore it with that version"):
        await home.do("restore", folder=str(tmp_path / "backup"))
