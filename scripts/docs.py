"""Write docs/settings.md from the settings table. Run: python scripts/docs.py"""

from __future__ import annotations

from pathlib import Path

from dmarcworks.settings import Settings, describe

TARGET = Path(__file__).resolve().parent.parent / "docs" / "settings.md"


def table() -> str:
    """The page: a row per setting with its default, bounds and meaning."""
    lines = [
        "# Settings",
        "",
        "Environment first, then the TOML file that `DMARCWORKS_CONFIG` names, then the default. A variable with",
        "`_FILE` at its end names a file with the value. `dmarcworks settings` prints what is in force and why.",
        "",
        "| variable | default | bounds | meaning |",
        "|---|---|---|---|",
    ]
    for row in describe(Settings.model_validate({}), {}):
        limits = Settings.model_fields[row.name].metadata
        bounds = [f"{sign} {value:,}" for limit in limits for sign, value in _limits(limit)]
        lines.append(f"| `{row.variable}` | {row.default or '–'} | {', '.join(bounds) or '–'} | {row.help} |")
    return "\n".join(lines) + "\n"


def _limits(limit: object) -> list[tuple[str, float]]:
    names = (("ge", "≥"), ("gt", ">"), ("le", "≤"))
    return [(sign, getattr(limit, name)) for name, sign in names if getattr(limit, name, None) is not None]


if __name__ == "__main__":
    TARGET.write_text(table())
