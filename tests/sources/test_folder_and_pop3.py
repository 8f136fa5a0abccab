"""Reports from a folder, a Maildir and a POP3 mailbox, with the same promises as from IMAP."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from tests.support.dovecot import Dovecot
from tests.support.harness import Harness
from tests.support.mailboxes import PRIVATE, actions, added, counts, fetched
from tests.support.mails import document, report_mail

pytestmark = pytest.mark.asyncio(loop_scope="module")


def old(path: Path, content: bytes) -> None:
    """A file that has not changed for a while."""
    path.write_bytes(content)
    os.utime(path, (1_790_000_000, 1_790_000_000))


async def test_a_folder_of_files_and_mails(harness: Harness, tmp_path: Path) -> None:
    """Report files are wrapped, mails are read, other files stay; unfinished ones wait; what was done is moved."""
    old(tmp_path / "a.xml", document("fa"))
    old(tmp_path / "b.xml.gz", gzip.compress(document("fb"), mtime=0))
    old(tmp_path / "c.eml", report_mail("fc"))
    old(tmp_path / "note.txt", b"no report")
    old(tmp_path / "big.xml", bytes((1 << 20) + 1))
    old(tmp_path / "d.xml.part", document("fd"))
    (tmp_path / "e.xml").write_bytes(document("fe"))
    os.utime(tmp_path / "e.xml", (4_000_000_000, 4_000_000_000))
    row = await fetched(harness, await added(harness, "folder", f"file://{tmp_path}", "move:Done", ""))
    assert (row.error, counts(row)) == ("", {"accepted": 3, "left_alone": 1, "too_large": 1})
    assert sorted(path.name for path in (tmp_path / "Done").iterdir()) == ["a.xml", "b.xml.gz", "c.eml"]
    os.rename(tmp_path / "d.xml.part", tmp_path / "d.xml")
    os.utime(tmp_path / "e.xml", (1_790_000_000, 1_790_000_000))
    row = await fetched(harness, row)
    assert counts(row) == {"accepted": 5, "left_alone": 1, "too_large": 1}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Done", "big.xml", "note.txt"]
    rows = await harness.query("SELECT count(DISTINCT report_id) AS n FROM dmarc_reports WHERE report_id LIKE 'f%'")
    assert int(rows[0]["n"]) == 5


async def test_a_maildir(harness: Harness, tmp_path: Path) -> None:
    """Seen moves a mail to cur with its flag; a mail whose flags change is the same."""
    for name in ("tmp", "new", "cur"):
        (tmp_path / name).mkdir()
    (tmp_path / "new" / "1.a").write_bytes(report_mail("md1"))
    (tmp_path / "cur" / "2.b:2,R").write_bytes(report_mail("md2"))
    (tmp_path / "new" / "3.c").write_bytes(PRIVATE)
    row = await fetched(harness, await added(harness, "maildir", f"file://{tmp_path}", "seen", ""))
    assert counts(row) == {"accepted": 2, "left_alone": 1}
    assert sorted(path.name for path in (tmp_path / "cur").iterdir()) == ["1.a:2,S", "2.b:2,RS"]
    os.rename(tmp_path / "new" / "3.c", tmp_path / "cur" / "3.c:2,F")
    assert counts(await fetched(harness, row)) == {"accepted": 2, "left_alone": 1}
    look = await actions(harness).look(row)
    assert (look.folders[0].mails, look.folders[0].new) == (3, 0)
    gone = await fetched(harness, await added(harness, "no-folder", f"file://{tmp_path}/nothing", "leave", ""))
    assert (gone.error_code, gone.error) == ("folder", f"There is no folder {tmp_path}/nothing; check its name.")


async def test_pop3_leaves_and_deletes(harness: Harness, dovecot: Dovecot) -> None:
    """By unique ids: nothing twice. What is deleted is gone at the end; private and too large mail stays."""
    large = PRIVATE + b"x" * 70 + b"\r\n"
    dovecot.deliver("pop", [report_mail("pop1"), PRIVATE, report_mail("pop2"), large * 12_000])
    row = await fetched(harness, await added(harness, "pop-leave", dovecot.url("pop", "", "pop3s")))
    assert (row.error, counts(row)) == ("", {"accepted": 2, "left_alone": 1, "too_large": 1})
    assert counts(await fetched(harness, row)) == counts(row)
    dovecot.deliver("pop", [report_mail("pop3")])
    assert counts(await fetched(harness, row)) == {"accepted": 3, "left_alone": 1, "too_large": 1}
    row = await fetched(harness, await added(harness, "pop-delete", dovecot.url("pop", "", "pop3s"), "delete"))
    assert (row.error, counts(row)) == ("", {"known": 3, "left_alone": 1, "too_large": 1})
    assert dovecot.count("pop") == 2
    wrong = await fetched(harness, await added(harness, "pop-wrong", dovecot.url("pop", "", "pop3s"), secret="wrong"))
    assert (wrong.error_code, "could not log in as pop" in wrong.error) == ("login", True)
