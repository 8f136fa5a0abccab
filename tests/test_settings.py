"""One table of settings: what it does not know it refuses, with the near name; what is secret it never shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dmarcworks.errors import SettingsError
from dmarcworks.process.settings_table import describe
from dmarcworks.settings import Settings, load


def test_the_defaults_run_on_a_small_machine() -> None:
    """Nothing set: loopback, embedded stores in ./var, the bounds of the design."""
    settings, sources = load({})
    assert sources == {}
    assert (settings.smtp_host, settings.smtp_port, settings.http_host, settings.http_port) == (
        "127.0.0.1",
        2525,
        "127.0.0.1",
        8080,
    )
    assert (settings.mail_bytes, settings.inflated_bytes, settings.members, settings.nesting) == (
        26_214_400,
        268_435_456,
        100,
        5,
    )
    assert (settings.xml_depth, settings.records, settings.smtp_recipients) == (50, 1_000_000, 100)
    home = Path("var").resolve()
    assert settings.database == f"sqlite:///{home}/dmarcworks.db"
    assert settings.objects == f"file://{home}/objects"
    assert settings.analytics == f"chdb://{home}/analytics"


def test_the_environment_sets() -> None:
    """A variable is its setting in upper case with the prefix; its source is told; other variables are not ours."""
    settings, sources = load({"DMARCWORKS_SMTP_PORT": "0", "DMARCWORKS_HOSTNAME": "reports.example.net", "HOME": "/x"})
    assert (settings.smtp_port, settings.hostname) == (0, "reports.example.net")
    assert sources == {"smtp_port": "DMARCWORKS_SMTP_PORT", "hostname": "DMARCWORKS_HOSTNAME"}


@pytest.mark.parametrize(
    ("variable", "near"),
    [
        ("DMARCWORKS_SMPT_PORT", "DMARCWORKS_SMTP_PORT"),
        ("DMARCWORKS_HOST_NAME", "DMARCWORKS_HOSTNAME"),
        ("DMARCWORKS_DATABASE_URI", "DMARCWORKS_DATABASE_URL"),
    ],
)
def test_an_unknown_name_suggests_the_near_one(variable: str, near: str) -> None:
    """A misspelt variable never passes silently."""
    with pytest.raises(SettingsError) as refused:
        load({variable: "1"})
    assert str(refused.value) == f"{variable} is not a setting; did you mean {near}?"


def test_a_name_near_to_nothing_points_to_the_list() -> None:
    """Where there is no near name, the list is."""
    with pytest.raises(SettingsError, match="is not a setting; `dmarcworks settings` lists all settings"):
        load({"DMARCWORKS_ZZZZZZZZZZ": "1"})


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("DMARCWORKS_SMTP_PORT", "65536", "DMARCWORKS_SMTP_PORT=65536: .*less than or equal to 65535"),
        ("DMARCWORKS_SMTP_PORT", "many", "DMARCWORKS_SMTP_PORT=many: .*integer"),
        ("DMARCWORKS_SMTP_IDLE_SECONDS", "0", "DMARCWORKS_SMTP_IDLE_SECONDS=0: .*greater than or equal to 1"),
        ("DMARCWORKS_MAIL_BYTES", "1", "greater than or equal to 1024"),
        ("DMARCWORKS_XML_DEPTH", "10000", "less than or equal to 200"),
        ("DMARCWORKS_HOSTNAME", "two words", "DMARCWORKS_HOSTNAME=two words"),
        ("DMARCWORKS_LOG_LEVEL", "loud", "DMARCWORKS_LOG_LEVEL=loud"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_name(variable: str, value: str, words: str) -> None:
    """The error names the variable, the value and the bound."""
    with pytest.raises(SettingsError, match=words):
        load({variable: value})


def test_every_wrong_value_is_told_at_once() -> None:
    """Two mistakes take one try to see, not two."""
    with pytest.raises(SettingsError) as refused:
        load({"DMARCWORKS_SMTP_PORT": "-1", "DMARCWORKS_QUEUE_BATCH": "0"})
    assert "DMARCWORKS_SMTP_PORT=-1" in str(refused.value)
    assert "DMARCWORKS_QUEUE_BATCH=0" in str(refused.value)


def test_a_file_holds_a_secret(tmp_path: Path) -> None:
    """`_FILE` reads the value from a file, without its last newline; the source says so."""
    secret = tmp_path / "url"
    secret.write_text("postgresql://dmarc:hush@db.example/dmarc\n")
    settings, sources = load({"DMARCWORKS_DATABASE_URL_FILE": str(secret)})
    assert settings.database == "postgresql://dmarc:hush@db.example/dmarc"
    assert sources == {"database_url": "DMARCWORKS_DATABASE_URL_FILE"}


def test_a_secret_is_never_shown(tmp_path: Path) -> None:
    """Neither the listing nor an error prints a URL's password."""
    settings, sources = load({"DMARCWORKS_DATABASE_URL": "postgresql://dmarc:hush@db.example/dmarc"})
    (row,) = [row for row in describe(settings, sources) if row.name == "database_url"]
    assert row.value == "postgresql://dmarc:***@db.example/dmarc"
    assert row.source == "DMARCWORKS_DATABASE_URL"
    with pytest.raises(SettingsError) as refused:
        load({"DMARCWORKS_DATABASE_URL": "postgresql://dmarc:hush@db.example/dmarc", "DMARCWORKS_SMTP_PORT": "x"})
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("variable", ["DMARCWORKS_DATABASE_URL_FILE", "DMARCWORKS_CONFIG"])
def test_a_file_that_is_not_there_is_told(variable: str, tmp_path: Path) -> None:
    """A missing secret or configuration is an error, never a default."""
    with pytest.raises(SettingsError, match=rf"{variable}={tmp_path}/absent cannot be read"):
        load({variable: str(tmp_path / "absent")})


def test_a_secrets_file_that_holds_none_is_told(tmp_path: Path) -> None:
    """An empty file, a folder and bytes that are no text are errors with name, path and reason, and quote nothing."""
    secret = tmp_path / "key"
    for content, reason in ((b" \n", " is empty"), (b"hush\xff", " cannot be read: it is not text")):
        secret.write_bytes(content)
        with pytest.raises(SettingsError) as refused:
            load({"DMARCWORKS_DKIM_KEY_FILE": str(secret)})
        assert str(refused.value) == f"DMARCWORKS_DKIM_KEY_FILE={secret}{reason}"
    with pytest.raises(SettingsError) as refused:
        load({"DMARCWORKS_DKIM_KEY_FILE": str(tmp_path)})
    assert str(refused.value) == f"DMARCWORKS_DKIM_KEY_FILE={tmp_path} cannot be read: Is a directory"


def test_a_toml_file_sets_and_the_environment_wins(tmp_path: Path) -> None:
    """The file that DMARCWORKS_CONFIG names stands between the defaults and the environment."""
    config = tmp_path / "dmarcworks.toml"
    config.write_text('hostname = "reports.example.net"\nsmtp_port = 25\nhttp_port = 80\n')
    settings, sources = load({"DMARCWORKS_CONFIG": str(config), "DMARCWORKS_HTTP_PORT": "8081"})
    assert (settings.hostname, settings.smtp_port, settings.http_port) == ("reports.example.net", 25, 8081)
    assert sources == {"hostname": str(config), "smtp_port": str(config), "http_port": "DMARCWORKS_HTTP_PORT"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("smtp_prot = 25", "smtp_prot is not a setting; did you mean smtp_port?"),
        ("smtp_port = ", "is not TOML"),
        ("smtp_port = 70000", "smtp.toml=70000"),
    ],
)
def test_a_wrong_toml_file_is_told_by_its_name(text: str, words: str, tmp_path: Path) -> None:
    """The error names the file and what is wrong in it."""
    config = tmp_path / "smtp.toml"
    config.write_text(text)
    with pytest.raises(SettingsError) as refused:
        load({"DMARCWORKS_CONFIG": str(config)})
    assert words in str(refused.value)
    assert str(config) in str(refused.value)


def test_every_setting_has_help_and_a_row() -> None:
    """`dmarcworks settings` prints them all, each with its meaning."""
    rows = describe(*load({}))
    assert [row.name for row in rows] == list(Settings.model_fields)
    assert [row.name for row in rows if not row.help] == []
    assert {row.source for row in rows} == {"default"}
    assert rows[0].variable == "DMARCWORKS_HOME"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("10.0.0.300", "'10.0.0.300' is not a network; write an address or a network like 10.0.0.0/24"),
        ("127.0.0.1, proxy.example", "'proxy.example' is not a network"),
        ("10.0.0.1/24", "'10.0.0.1/24' is not a network"),
        ("0.0.0.0/0", "'0.0.0.0/0' would trust every address; name the proxies' own networks"),
        ("::/0", "'::/0' would trust every address"),
    ],
)
def test_trusted_proxies_are_networks(text: str, words: str) -> None:
    """Nothing else starts; the error names the setting, the value and the form."""
    with pytest.raises(SettingsError, match=re.escape(words)) as raised:
        load({"DMARCWORKS_TRUSTED_PROXIES": text})
    assert str(raised.value).startswith(f"DMARCWORKS_TRUSTED_PROXIES={text}: ")


def test_trusted_proxies_are_parted_by_commas_or_spaces() -> None:
    """None by default; a bare address is a network of one."""
    assert load({})[0].proxies == ()
    proxies = load({"DMARCWORKS_TRUSTED_PROXIES": " 127.0.0.1, 10.0.0.0/24\t2001:db8::/32 "})[0].proxies
    assert [str(network) for network in proxies] == ["127.0.0.1/32", "10.0.0.0/24", "2001:db8::/32"]
