"""`dmarcworks settings --example`: a file that changes nothing as printed, and everything that it may."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from dmarcworks.settings import TABLES, Settings, load


def printed(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from dmarcworks.cli import main; main()", "settings", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def active(text: str) -> str:
    """The file with every setting in effect and its explanations left out."""
    lines = [line.removeprefix("# ") for line in text.splitlines()]
    return "\n".join(line for line in lines if re.match(r"\w+ = |\[\[\w+\]\]$", line))


def test_the_example_changes_nothing_as_printed(tmp_path: Path) -> None:
    done = printed("--example")
    assert (done.returncode, done.stderr) == (0, "")
    assert tomllib.loads(done.stdout) == {}
    file = tmp_path / "dmarcworks.toml"
    file.write_text(done.stdout)
    assert load({"DMARCWORKS_CONFIG": str(file)}) == (Settings(), {})


def test_each_line_of_the_example_is_the_default(tmp_path: Path) -> None:
    """With all comments taken off, every setting is there with its default, and the tables are valid."""
    file = tmp_path / "dmarcworks.toml"
    file.write_text(active(printed("--example").stdout))
    settings, sources = load({"DMARCWORKS_CONFIG": str(file)})
    assert sources.keys() == Settings.model_fields.keys()
    tables = {kind.setting for kind in TABLES.values()}
    assert settings.model_dump(exclude=tables) == Settings().model_dump(exclude=tables)
    assert all(len(getattr(settings, name)) == 1 for name in tables)


def test_the_example_explains_each_setting_with_its_bounds() -> None:
    text = printed("--example").stdout
    assert "# Port that SMTP listens on; 0: any free port. (at least 0, at most 65,535)\n# smtp_port = 2525\n" in text
    assert max(map(len, text.splitlines())) <= 120
    assert text.startswith("# Settings of dmarcworks")


def test_the_example_is_printed_where_the_settings_are_wrong() -> None:
    """It depends on nothing that is set."""
    assert printed("--example", DMARCWORKS_SMTP_PORT="many").stdout == printed("--example").stdout


def test_the_example_is_no_json() -> None:
    done = printed("--example", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--json and --example cannot be combined" in done.stderr
