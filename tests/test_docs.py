"""The documents say what the code does: every setting, every command, every link."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_the_settings_page_is_the_settings_table() -> None:
    """docs/settings.md is what scripts/docs.py writes now (run `make docs` after a change)."""
    spec = importlib.util.spec_from_file_location("docs_script", ROOT / "scripts" / "docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / "settings.md").read_text() == module.table()


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("docs/*.md")), ids=lambda p: p.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    """A relative link or picture in a page names a file that is there."""
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_operating_page_names_every_command_group() -> None:
    """README or docs mention each command that `--help` lists."""
    shown = subprocess.run(
        [sys.executable, "-c", "from dmarcworks.cli import main; main()", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin", "TERM": "dumb", "PYTHONPATH": os.environ.get("PYTHONPATH", "")},
    ).stdout
    commands = re.findall(r"^  (\w+)  ", shown.partition("Commands:")[2], re.MULTILINE)
    assert len(commands) >= 8
    pages = "".join(page.read_text() for page in [ROOT / "README.md", *ROOT.glob("docs/*.md"), ROOT / "CHANGELOG.md"])
    assert [name for name in commands if f"`{name}`" not in pages and f"dmarcworks {name}" not in pages] == []
