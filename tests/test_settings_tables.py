"""Lists of tables in the TOML file: what is right is typed, what is wrong is refused by file, table and reason."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from dmarcworks.errors import SettingsError
from dmarcworks.process.settings_table import describe
from dmarcworks.settings import MailboxTable, Settings, load

BOTH = """
hostname = "reports.example"
[[mailbox]]
name = "main"
url = "imaps://reports@mail.example:993/INBOX/DMARC"
password_file = "/run/secrets/main"
settle = "move:Done/2026"
account = "customers"
[[mailbox]]
name = "old"
url = "pop3s://reports:hush@old.example"
"""


def written(tmp_path: Path, text: str) -> dict[str, str]:
    config = tmp_path / "d.toml"
    config.write_text(text)
    return {"DMARCWORKS_CONFIG": str(config)}


def test_tables_are_typed_frozen_and_in_order(tmp_path: Path) -> None:
    """Defaults are filled in; other settings of the file hold; the source is the file."""
    settings, sources = load(written(tmp_path, BOTH))
    assert settings.hostname == "reports.example"
    assert settings.mailboxes == (
        MailboxTable(
            "main",
            "imaps://reports@mail.example:993/INBOX/DMARC",
            "/run/secrets/main",
            "move:Done/2026",
            "customers",
        ),
        MailboxTable("old", "pop3s://reports:hush@old.example", "", "leave", "default"),
    )
    assert sources["mailboxes"] == str(tmp_path / "d.toml")
    with pytest.raises(FrozenInstanceError):
        settings.mailboxes[0].name = "other"  # type: ignore[misc]
    assert Settings.model_validate(settings.model_dump(mode="json")) == settings
    assert load({})[0].mailboxes == ()


def test_a_table_is_shown_without_its_password(tmp_path: Path) -> None:
    """In the listing of `dmarcworks settings`, under the name that the file has for it."""
    (row,) = [row for row in describe(*load(written(tmp_path, BOTH))) if row.name == "mailboxes"]
    assert row.variable == "[[mailbox]]"
    assert row.value == (
        "main=imaps://reports@mail.example:993/INBOX/DMARC settle=move:Done/2026 account=customers, "
        "old=pop3s://reports:***@old.example settle=leave account=default"
    )
    assert (row.default, row.source) == ("", str(tmp_path / "d.toml"))


TABLE = '[[mailbox]]\nname = "main"\nurl = "imaps://a@mail.example/INBOX"\n'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('mailbox = "imaps://x"', "mailbox is not a list of tables; begin each with [[mailbox]]"),
        (TABLE.replace("[[mailbox]]", "[mailbox]"), "mailbox is not a list of tables; begin each with [[mailbox]]"),
        ("mailbox = [1]", "mailbox is not a list of tables; begin each with [[mailbox]]"),
        ("[[mailbox]]\n", "[[mailbox]] 1: name and url must be given"),
        ('[[mailbox]]\nname = "main"\n', "[[mailbox]] main: url must be given"),
        (TABLE + 'passwordfile = "x"', "[[mailbox]] main: passwordfile is not a key of this table; "
         "did you mean password_file?"),
        (TABLE + "zzz = 1", "[[mailbox]] main: zzz is not a key of this table; there are name, url, "
         "password_file, settle, account"),
        (TABLE + "account = 7", "[[mailbox]] main: account is not text; write it in quotation marks"),
        ("[[mailbox]]\nname = 7\n", "[[mailbox]] 1: name is not text; write it in quotation marks"),
        (TABLE.replace("main", "a b"), "[[mailbox]] a b: a name has letters, digits, dots, hyphens and "
         "underscores, at most 63"),
        (TABLE * 2, "[[mailbox]] main: there are two tables with this name; give each its own"),
        (TABLE.replace("a@", "a:hush@") + 'password_file = "/x"', "[[mailbox]] main: the password is in "
         "the URL and in password_file; keep only password_file"),
        (TABLE + 'settle = "burn"', "[[mailbox]] main: settle=burn is none of leave, seen, move:FOLDER "
         "and delete"),
        (TABLE.replace("imaps", "ftp").replace("a@", "a:hush@"), "[[mailbox]] main: url=ftp://a:***@mail"
         ".example/INBOX begins with none of imaps:, imap+starttls:, imap:, pop3s:, graph:, gmail:, s3:, file:"),
        (TABLE.replace("imaps", "imap"), "[[mailbox]] main: url=imap://a@mail.example/INBOX would send "
         "the password unencrypted; use imaps: or imap+starttls:"),
        (TABLE.replace("a@mail.example", ""), "[[mailbox]] main: url=imaps:///INBOX has no host; write "
         "it like imaps://user@host/INBOX"),
        (TABLE.replace("mail.example", "mail.example:x"), "[[mailbox]] main: url=imaps://a@mail.example"
         ":x/INBOX is not a URL; write it like imaps://user@host:993/INBOX"),
        (TABLE.replace("[[mailbox]]", "[[mailbos]]"), "mailbos is not a setting; did you mean mailbox?"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    """The file, the table and the reason; never a password."""
    with pytest.raises(SettingsError) as refused:
        load(written(tmp_path, text))
    assert str(refused.value) == f"{tmp_path}/d.toml: {sentence}"
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["imap://a@127.0.0.1/INBOX", "imap://a@[::1]:143/INBOX", "imap://a@localhost", "s3://b"]
)
def test_plain_imap_is_for_this_machine(tmp_path: Path, url: str) -> None:
    """Nothing leaves it unencrypted."""
    text = f'[[mailbox]]\nname = "x"\nurl = "{url}"\n'
    assert [mailbox.url for mailbox in load(written(tmp_path, text))[0].mailboxes] == [url]


@pytest.mark.parametrize("name", ["DMARCWORKS_MAILBOXES", "DMARCWORKS_MAILBOX"])
def test_the_environment_has_no_tables(name: str) -> None:
    """They are in the file."""
    with pytest.raises(SettingsError, match=f"{name} is not a setting"):
        load({name: "x"})


def run(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **written(tmp_path, BOTH), "DMARCWORKS_HOME": str(tmp_path / "home")}
    code = "import sys; from dmarcworks.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_lists_them(tmp_path: Path) -> None:
    """`dmarcworks settings` shows names and URLs, and no password."""
    listed = run(tmp_path, "settings", "--json")
    (row,) = [row for row in json.loads(listed.stdout) if row["name"] == "mailboxes"]
    assert row["value"].startswith("main=imaps://reports@mail.example:993/INBOX/DMARC")
    assert "hush" not in listed.stdout + listed.stderr
