"""Files, folders, mbox and Maildir become members, in order, each as it was given."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmarcworks.errors import UsageError
from dmarcworks.sources.files import SourceFile, count, members

MAIL = b"From: a@example.net\r\nTo: b@example.com\r\n\r\nbody\r\n"


def test_a_folder_gives_its_files_by_name_and_the_order_of_arguments_is_kept(tmp_path: Path) -> None:
    """Members come in the order of the arguments; inside a folder by name, folders in between."""
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "2.xml").write_bytes(b"two")
    (tmp_path / "b" / "1.xml").write_bytes(b"one")
    (tmp_path / "b" / "deep").mkdir()
    (tmp_path / "b" / "deep" / "3.xml").write_bytes(b"three")
    (tmp_path / "a.xml").write_bytes(b"zero")
    paths = [str(tmp_path / "b"), str(tmp_path / "a.xml")]
    folder = f"{tmp_path}/b"
    assert list(members(paths)) == [
        SourceFile(f"{folder}/1.xml", b"one"),
        SourceFile(f"{folder}/2.xml", b"two"),
        SourceFile(f"{folder}/deep/3.xml", b"three"),
        SourceFile(f"{tmp_path}/a.xml", b"zero"),
    ]
    assert count(paths) == 4


def test_a_maildir_gives_the_mails_of_new_and_cur(tmp_path: Path) -> None:
    """A folder with cur and new is a Maildir: tmp and other files are no mails."""
    for name in ("cur", "new", "tmp"):
        (tmp_path / name).mkdir()
    (tmp_path / "cur" / "2:2,S").write_bytes(MAIL)
    (tmp_path / "new" / "1").write_bytes(MAIL)
    (tmp_path / "tmp" / "0").write_bytes(b"half a mail")
    assert [member.path for member in members([str(tmp_path)])] == [f"{tmp_path}/new/1", f"{tmp_path}/cur/2:2,S"]


def test_an_mbox_gives_each_mail_with_its_number_and_unquotes_from_lines(tmp_path: Path) -> None:
    """A mailbox file is split at its From lines (RFC 4155); a quoted one inside a mail is text of that mail."""
    box = tmp_path / "reports.mbox"
    stamp = b"From reporter@example.net Tue Nov 24 12:00:00 2026\n"
    first = b"From: a@example.net\n\nFrom here on it is text\n>From the quoted line\n\n"
    box.write_bytes(stamp + first + stamp + b"From: c@example.net\n\nsecond\n")
    found = list(members([str(box)]))
    assert [member.path for member in found] == [f"{box}#1", f"{box}#2"]
    assert found[0].data == b"From: a@example.net\n\nFrom here on it is text\nFrom the quoted line\n\n"
    assert found[1].data == b"From: c@example.net\n\nsecond\n"


def test_a_single_mail_that_was_saved_with_its_from_line_is_that_file(tmp_path: Path) -> None:
    """Mail programs save one mail as a mailbox of one: the member is the file, without a number."""
    one = tmp_path / "one.eml"
    one.write_bytes(b"From MAILER-DAEMON Tue Nov 24 12:00:00 2026\n" + MAIL)
    assert list(members([str(one)])) == [SourceFile(str(one), MAIL)]


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Wrong usage says which path and why."""
    with pytest.raises(UsageError, match="absent: No such file or directory"):
        list(members([str(tmp_path / "absent")]))
