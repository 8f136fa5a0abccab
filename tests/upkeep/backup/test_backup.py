"""Promise of backup and restore: what comes back is what was there, to the last sum, or the damage is told."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from dmarcworks.errors import ConflictError, SettingsError, UsageError
from dmarcworks.settings import MailboxTable, Settings
from dmarcworks.upkeep import jobs
from dmarcworks.upkeep.backup import create as backups
from dmarcworks.upkeep.retention.periods import RetentionPeriods
from dmarcworks.upkeep.setup import opened_upkeep
from dmarcworks.workers.message import Message
from dmarcworks.workers.outcome import ACCEPTED
from dmarcworks.workers.point_writer import PointWriter
from dmarcworks.workers.points import DataPointOwner, DataPoints
from tests.support.filled import filled
from tests.support.harness import HOST, Harness
from tests.support.ingesting import deliver
from tests.support.mails import BEGIN, DAY, report_mail

EVERYTHING = ("accounts", "domains", "mails", "reports", "sightings", "problems", "kv", "queue", "retention", "users")


async def content(harness: Harness) -> tuple[object, object, object]:
    """Everything that a person could miss: the catalogue, objects, figures."""
    rows = {table: sorted(map(str, harness.sql(f"SELECT * FROM {table}"))) for table in EVERYTHING}
    root = harness.path / "objects"
    objects = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    figures = {
        table: await harness.query(f"SELECT * FROM {table} ORDER BY report_key, record_index")
        for table in ("dmarc_reports", "tls_reports", "failure_reports")
    }
    figures["data_points"] = await harness.query("SELECT * FROM data_points ORDER BY timestamp")
    return rows, objects, figures


async def test_a_round_trip_brings_everything_back(harness: Harness, tmp_path: Path) -> None:
    """Every table, object and row is the same, a waiting mail still waits, and the new home has no difference."""
    await filled(harness)
    domain = await harness.context.domain("example.com")
    assert domain is not None
    await harness.accounts.add_user("a@example.com")
    table = MailboxTable("box", "imaps://a@imap.example/INBOX")
    await harness.stores.mailboxes.add(domain.account_id, table, "hush", "command")
    message = Message("a@mail.example", domain.rua, report_mail("waits"))
    assert await deliver(message, harness.context.env) == ACCEPTED
    # Of two days: each is a file of its own.
    points = DataPoints(iter((1_790_100_000.125, 1_790_200_000.0, 1_790_200_000.5)).__next__)
    for text in ("é", "", "x" * 16_000):
        points.write(
            DataPointOwner(domain.account_id, domain.id),
            "mine",
            {"indexes": [text[:9]], "blobs": [text], "doubles": [0.1]},
        )
    await PointWriter(points, harness.analytics).flush()
    (result,) = await harness.do("backup", folder=str(tmp_path / "backup"))
    assert len(list((tmp_path / "backup" / "rows").iterdir())) == 2
    assert {name: result[name] for name in ("objects", "copied", "damaged", "reports")} == {
        "objects": 14,
        "copied": 14,
        "damaged": 0,
        "reports": 6,
    }
    before = await content(harness)
    # The engine serves one folder at a time.
    await harness.analytics.close()
    async with opened_upkeep(Settings(home=tmp_path / "other", hostname=HOST)) as context:
        other = Harness(tmp_path / "other", context)
        (result,) = await other.do("restore", folder=str(tmp_path / "backup"))
        assert (result["left"], result["kept"]) == (0, 0)
        # A mailbox waits for a person, and its password for the key file.
        restored = await other.stores.mailboxes.get(None, "box")
        assert restored.paused
        with pytest.raises(SettingsError, match="without it stored passwords cannot be used"):
            await other.stores.mailboxes.password(restored)
        after = await content(other)
        for there, was in zip(after, before, strict=True):
            assert there == was
        assert harness.sql("SELECT count(*) FROM queue") == [(1,)]
        await other.receive(domain)
        assert sum(row[3] for row in await other.sums()) == 33 + 5
        assert await other.kinds() == []


async def test_rows_that_the_archive_can_no_longer_give_come_back_too(harness: Harness, tmp_path: Path) -> None:
    """Attachments taken by retention: their rows are in the backup, and again in the figures."""
    await filled(harness)
    harness.sql(f"UPDATE reports SET received = received - {40 * DAY} WHERE kind != 'failure'")
    owner = await harness.accounts.account_by_name("default")
    await RetentionPeriods(harness.stores.database, harness.settings).set(owner.id, "archived_reports", 30)
    await harness.do("retention")
    await harness.receive((await harness.accounts.domains())[0], report_mail("young", begin=BEGIN + DAY))
    await harness.do("backup", folder=str(tmp_path / "backup"))
    assert len(list((tmp_path / "backup" / "rows").iterdir())) == 2
    before = await harness.sums()
    assert [row[2] for row in before] == [8, 2]
    await harness.analytics.close()
    async with opened_upkeep(Settings(home=tmp_path / "other", hostname=HOST)) as context:
        other = Harness(tmp_path / "other", context)
        assert (await other.do("restore", folder=str(tmp_path / "backup")))[-1]["left"] == 0
        assert await other.sums() == before


async def test_again_on_the_same_folder_only_what_is_new_is_copied(harness: Harness, tmp_path: Path) -> None:
    """And what is gone from the store goes from the backup; a run that was cut off is gone on with."""
    folder = tmp_path / "backup"
    await filled(harness)
    await harness.do("backup", folder=str(folder))
    (domain,) = await harness.accounts.domains()
    await harness.receive(domain, report_mail("more"))
    (raw,) = harness.sql("SELECT object_key FROM mails WHERE reports = 0")[0]
    harness.object(raw).unlink()
    (result,) = await harness.do("backup", folder=str(folder))
    assert (result["objects"], result["copied"]) == (14, 2)
    assert not (folder / "objects" / raw).exists()
    assert len([path for path in (folder / "objects").rglob("*") if path.is_file()]) == 14
    (result,) = await harness.do("backup", folder=str(folder))
    assert (result["objects"], result["copied"]) == (14, 0)


async def test_a_backup_that_was_cut_off_is_none_and_goes_on(
    harness: Harness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not restored before it is finished; finished, it did not copy again what was there."""
    folder = tmp_path / "backup"
    await filled(harness)
    monkeypatch.setattr(backups, "_AT_ONCE", 4)
    events = jobs.run(harness.context, "backup", {"folder": str(folder)})
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
        await harness.do("restore", folder=str(folder), force=True)
    monkeypatch.setattr(backups, "_copy", real)
    (result,) = await harness.do("backup", folder=str(folder))
    assert (result["objects"], result["copied"]) == (13, 5)


async def test_a_home_that_holds_something_is_refused_unless_told(harness: Harness, tmp_path: Path) -> None:
    """Without --force nothing is touched; with it the home is what the backup says."""
    folder = tmp_path / "backup"
    await filled(harness)
    await harness.do("backup", folder=str(folder))
    before = await harness.sums()
    (domain,) = await harness.accounts.domains()
    await harness.receive(domain, report_mail("later"))
    with pytest.raises(ConflictError, match="is not empty"):
        await harness.do("restore", folder=str(folder))
    assert [row[2] for row in await harness.sums()] == [10]
    assert (await harness.do("restore", folder=str(folder), force=True))[-1]["left"] == 0
    assert await harness.sums() == before


async def test_damage_is_told(harness: Harness, tmp_path: Path) -> None:
    """In the store while it is copied; in the backup when it is restored: the file is named."""
    folder = tmp_path / "backup"
    reports = await filled(harness)
    path = harness.object(reports[0]["object"])
    whole = path.read_bytes()
    path.write_bytes(b"x" + whole)
    events = await harness.do("backup", folder=str(folder))
    assert [event["key"] for event in events if event["event"] == "damaged"] == [reports[0]["object"]]
    changed = path.stat().st_mtime_ns
    path.write_bytes(whole)
    os.utime(path, ns=(changed + 10**9, changed + 10**9))  # however coarse the file system's clock is
    assert (await harness.do("backup", folder=str(folder)))[-1]["copied"] == 1
    (folder / "objects" / reports[1]["object"]).write_bytes(b"y")
    path.unlink()
    harness.object(reports[1]["object"]).unlink()
    with pytest.raises(UsageError, match="is damaged"):
        await harness.do("restore", folder=str(folder), force=True)
    table = folder / "catalogue" / "reports.jsonl.gz"
    table.write_bytes(table.read_bytes()[:-1])
    with pytest.raises(UsageError, match=r"reports\.jsonl\.gz is damaged"):
        await harness.do("restore", folder=str(folder), force=True)
    assert harness.sql("SELECT count(*) FROM reports") == [(6,)]


async def test_only_a_backups_folder_is_written_to(harness: Harness, tmp_path: Path) -> None:
    """A folder with anything else in it is refused, and one that is none is no backup to restore."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("x")
    with pytest.raises(UsageError, match="neither empty nor a backup"):
        await harness.do("backup", folder=str(tmp_path / "full"))
    with pytest.raises(UsageError, match="holds no backup"):
        await harness.do("restore", folder=str(tmp_path / "full"))
    await harness.do("backup", folder=str(tmp_path / "backup"))
    head = json.loads((tmp_path / "backup" / "backup.json").read_text())
    (tmp_path / "backup" / "backup.json").write_text(json.dumps(head | {"revision": "9999"}))
    with pytest.raises(UsageError, match="restore it with that version"):
        await harness.do("restore", folder=str(tmp_path / "backup"))
