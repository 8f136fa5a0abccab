"""`dmarcworks token …` and `audit`: what is made is what was asked for, and the log tells who did it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dmarcworks.cli.token import expiry
from dmarcworks.errors import UsageError
from tests.support.commands import run

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("12h", "2026-11-25T00:00:00+00:00"),
        ("90d", "2027-02-22T12:00:00+00:00"),
        ("2W", "2026-12-08T12:00:00+00:00"),
        ("2027-01-31", "2027-01-31T00:00:00+00:00"),
        ("2027-01-31T12:00+02:00", "2027-01-31T10:00:00+00:00"),
    ],
)
def test_an_end_is_a_span_or_a_date(text: str, ends: str) -> None:
    """Spans count from now, dates are UTC unless they say otherwise."""
    assert expiry(text, NOW).isoformat() == ends


@pytest.mark.parametrize("text", ["", "0d", "-1d", "90", "tomorrow", "999999d", "1y"])
def test_what_is_no_end_is_refused(text: str) -> None:
    """With the forms that there are."""
    with pytest.raises(UsageError, match="write 12h, 90d, 26w or a date"):
        expiry(text, NOW)


def test_tokens_are_made_listed_and_revoked(tmp_path: Path) -> None:
    """For a domain and until a day; the list never holds the secret; each change stands in the log with its command."""
    told = json.loads(run(tmp_path, "domain", "add", "example.com", "--json").stdout)
    made = run(
        tmp_path, "token", "create", "--scope", "write", "--name", "ci", "--domain", "example.com", "--expires", "90d",
        "--json",
    )  # fmt: skip
    token = json.loads(made.stdout)
    assert token["account_id"] == told["account_id"]
    assert (token["scope"], token["name"], token["domains"]) == ("write", "ci", ["example.com"])
    assert 89 <= (datetime.fromisoformat(token["expires"]) - datetime.now(UTC)).days <= 90
    listed = run(tmp_path, "token", "list", "--json")
    assert [row["id"] for row in json.loads(listed.stdout)] == [token["id"]]
    assert token["token"] not in listed.stdout
    assert run(tmp_path, "token", "create", "--domain", "nowhere.example").returncode == 1
    assert run(tmp_path, "token", "create", "--expires", "soon").returncode == 2
    assert run(tmp_path, "token", "revoke", token["id"]).returncode == 0
    assert run(tmp_path, "token", "revoke", token["id"]).returncode == 1
    rows = json.loads(run(tmp_path, "audit", "--json").stdout)
    assert [(row["actor"], row["action"], row["target"], row["peer"]) for row in rows] == [
        ("command", "token.revoke", token["id"], "local"),
        ("command", "token.create", token["id"], "local"),
        ("command", "domain.add", "example.com", "local"),
        ("command", "account.add", "default", "local"),
    ]
    assert [row["action"] for row in json.loads(run(tmp_path, "audit", "--action", "domain", "--json").stdout)] == [
        "domain.add"
    ]
    assert token["token"] not in json.dumps(rows)


def test_mail_for_a_domain_is_switched_off_and_on(tmp_path: Path) -> None:
    """`domain disable` and `enable` say the address; `show` says how it stands."""
    rua = json.loads(run(tmp_path, "domain", "add", "example.com", "--json").stdout)["rua"]
    assert f"{rua} is now rejected" in run(tmp_path, "domain", "disable", "example.com").stdout
    assert json.loads(run(tmp_path, "domain", "show", "example.com", "--json").stdout)["enabled"] is False
    assert f"{rua} is now accepted" in run(tmp_path, "domain", "enable", "example.com").stdout
    assert run(tmp_path, "domain", "disable", "nowhere.example").returncode == 1


def test_tokens_are_named_by_people(tmp_path: Path) -> None:
    """A token is rotated and revoked by its id or its name; a name that two tokens have decides nothing."""
    made = [
        json.loads(run(tmp_path, "token", "create", "--name", name, "--json").stdout) for name in ("ci", "ci", "cd")
    ]
    twice = run(tmp_path, "token", "revoke", "ci")
    assert (twice.returncode, twice.stdout) == (1, "")
    assert "2 tokens have the name ci; use an id" in twice.stderr
    rotated = json.loads(run(tmp_path, "token", "rotate", "cd", "--json").stdout)
    assert (rotated["id"], rotated["token"] == made[2]["token"]) == (made[2]["id"], False)
    assert run(tmp_path, "token", "revoke", "cd").stdout == "Revoked cd.\n"
    assert json.loads(run(tmp_path, "token", "revoke", made[0]["id"], "--json").stdout) == {
        "id": made[0]["id"],
        "revoked": True,
    }
    assert run(tmp_path, "token", "revoke", "").returncode == 1
    (left,) = json.loads(run(tmp_path, "token", "list", "--json").stdout)
    assert (left["id"], left["name"], left["account"]) == (made[1]["id"], "ci", "default")
    shown = run(tmp_path, "token", "list").stdout
    assert "default" in shown
    assert left["account_id"] not in shown


def test_domains_are_listed_with_the_account_by_name(tmp_path: Path) -> None:
    run(tmp_path, "domain", "add", "example.com", "--account", "acme")
    (domain,) = json.loads(run(tmp_path, "domain", "list", "--json").stdout)
    assert (domain["name"], domain["account"]) == ("example.com", "acme")
    assert "acme" in run(tmp_path, "domain", "list").stdout
    assert "dmarcworks user add" in run(tmp_path, "user", "list").stdout
