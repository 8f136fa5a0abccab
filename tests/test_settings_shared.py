"""What a running server shares with the commands of its data directory: everything but secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmarcworks.errors import SettingsError
from dmarcworks.settings import Settings, shared_settings, with_shared


def test_the_servers_name_counts_and_the_commands_own_tuning() -> None:
    """The host name always; what the command sets for itself stays; the rest is the server's."""
    shared = shared_settings(Settings(hostname="a.example", mail_bytes=5000, sql_rows=7, home=Path("/srv/a")))
    own = Settings(hostname="b.example", mail_bytes=2000, home=Path("/srv/a"))
    settings = with_shared(own, {"hostname", "mail_bytes"}, shared)
    assert (settings.hostname, settings.mail_bytes, settings.sql_rows) == ("a.example", 2000, 7)
    assert settings.home == Path("/srv/a")


def test_a_secret_is_never_shared() -> None:
    """Neither a password in a URL nor the key; the command must name the same store itself."""
    url = "postgresql://user:geheim@db.example/dmarc"
    server = Settings(database_url=url, dkim_key="-----BEGIN", relay_url="smtp://me:geheim@relay.example")
    shared = shared_settings(server)
    assert "geheim" not in str(shared)
    assert "BEGIN" not in str(shared)
    assert with_shared(Settings(database_url=url), {"database_url"}, shared).database_url == url
    for own, sources in ((Settings(), set()), (Settings(database_url="sqlite:////x.db"), {"database_url"})):
        with pytest.raises(SettingsError, match=r"uses postgresql://user:\*\*\*@db\.example/dmarc"):
            with_shared(own, sources, shared)


def test_another_store_is_an_error_and_the_same_one_is_not() -> None:
    """Compared with its default filled in."""
    shared = shared_settings(Settings(home=Path("/srv/a")))
    same = Settings(home=Path("/srv/a"), objects_url="file:///srv/a/objects")
    assert with_shared(same, {"objects_url"}, shared) == same
    other = Settings(home=Path("/srv/a"), objects_url="file:///srv/b/objects")
    with pytest.raises(SettingsError, match="DMARCWORKS_OBJECTS_URL must name the same store"):
        with_shared(other, {"objects_url"}, shared)


def test_a_server_of_another_version() -> None:
    """One that shares nothing, and one with a setting that this version does not know."""
    assert with_shared(Settings(), set(), None) == Settings()
    assert with_shared(Settings(), set(), {"values": {"unknown": 1, "hostname": "a.example"}}).hostname == "a.example"
