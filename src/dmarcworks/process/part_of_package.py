"""Import one module of a package without running the package's `__init__`, which imports all the others.

SQLAlchemy's asyncio package imports its object-relational mapper, 38 modules that nothing here uses and that would be a
fifth of the time of a short command.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType

__all__ = ["import_part"]


def import_part(package: str, part: str) -> ModuleType:
    """The module `package.part`. An import of the package later gives the whole package, with this module in it."""
    name = f"{package}.{part}"
    spec = None if package in sys.modules or name in sys.modules else importlib.util.find_spec(package)
    if spec is None:
        return importlib.import_module(name)
    # A package that is loaded but not executed: its parts find their neighbours through it.
    sys.modules[package] = importlib.util.module_from_spec(spec)
    try:
        return importlib.import_module(name)
    finally:
        del sys.modules[package]
