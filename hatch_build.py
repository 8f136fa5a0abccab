"""The build hook: a wheel or an archive of the source has the scripts that the dashboard serves, or it is not built."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_HELP = (
    "the scripts of the dashboard's pages are missing: `scripts/assets.py` fetches them with npm and failed."
    " Install npm 9 or newer, or make the package registry reachable, and build again"
)


class AssetsHook(BuildHookInterface[Any]):
    """Bring `dashboard/static/vendor` up to date before anything is packed."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Refuse the build without the files. An editable installation serves them from the working tree."""
        if version == "editable":
            return
        script = Path(self.root) / "scripts" / "assets.py"
        if subprocess.run([sys.executable, str(script)], check=False).returncode:  # noqa: S603
            raise RuntimeError(_HELP)
