"""The documents say what the code does: every setting, every command, every link."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent


def _docs_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_script", ROOT / "scripts" / "docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_settings_page_is_the_settings_table() -> None:
    """docs/settings.md is what scripts/docs.py writes now (run `make docs` after a change)."""
    assert (ROOT / "docs" / "settings.md").read_text() == _docs_script().table()


def test_the_page_of_the_dns_checks_is_their_table() -> None:
    """docs/dns-checks.md has every code and every test domain (run `make docs` after a change)."""
    assert (ROOT / "docs" / "dns-checks.md").read_text() == _docs_script().checks()


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


_DESCRIBED = ("HACKING.md", "docs/architecture.md")


def _unknown(text: str, root: Path) -> list[str]:
    """Paths and names in a page's code spans, and targets of make, that the tree does not have."""
    package = root / "src" / "dmarcworks"
    code = "\n".join(
        path.read_text() for folder in (package, root / "tests" / "support") for path in folder.rglob("*.py")
    )
    words = set(re.findall(r"\w+", code))
    targets = set(re.findall(r"^([a-z]+):", (root / "Makefile").read_text(), re.MULTILINE))
    missing = [
        f"make {name}" for name in re.findall(r"(?:^    |`)make ([a-z]+)", text, re.MULTILINE) if name not in targets
    ]
    for span in re.findall(r"`([^`\n]+)`", text):
        path = re.fullmatch(r"([\w.][\w.-]*(?:/[\w.-]+)*/?)(?:: (\w+)(?:\(\))?)?", span)
        if path and ("/" in path[1] or path[1].endswith((".py", ".toml"))):
            places = [place / path[1] for place in (root, package) if (place / path[1]).exists()]
            places += [] if "/" in path[1] else [*root.glob(f"src/**/{path[1]}"), *root.glob(f"tests/**/{path[1]}")]
            defined = rf"^(?:async def |def |class )?{path[2]}\b" if path[2] else ""
            if not any(not defined or re.search(defined, place.read_text(), re.MULTILINE) for place in places):
                missing.append(span)
        elif re.fullmatch(r"[A-Z]\w+|[a-z]+_[a-z_]+", span) and span not in words and span not in code:
            missing.append(span)
    return missing


@pytest.mark.parametrize("page", _DESCRIBED)
def test_the_architecture_pages_describe_the_tree(page: str) -> None:
    """Every path, every name and every target that they mention exists."""
    assert _unknown((ROOT / page).read_text(), ROOT) == []


def test_what_the_tree_has_not_is_found() -> None:
    """The check itself: a file, a name in a file, a class and a target that do not exist."""
    text = "`ingest/nothing.py` `ingest/item.py: Nothing` `ingest/item.py: MailItem` `NoSuchName` `make nothing`"
    assert _unknown(text, ROOT) == ["make nothing", "ingest/nothing.py", "ingest/item.py: Nothing", "NoSuchName"]
