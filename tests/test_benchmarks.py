"""The benchmarks run seldom: what they import of ours must be there, also within functions."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

BENCH = Path(__file__).parent.parent / "bench"
SCRIPTS = sorted(path.name for path in BENCH.glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS)
def test_what_a_benchmark_imports_is_there(script: str) -> None:
    """Every module and every name, wherever the import stands."""
    missing = []
    for node in ast.walk(ast.parse((BENCH / script).read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("dmarcworks", "tests"):
            module = import_module(str(node.module))
            for name in (alias.name for alias in node.names):
                if not hasattr(module, name):
                    try:
                        import_module(f"{node.module}.{name}")
                    except ImportError:
                        missing.append(f"{node.module}.{name}")
    assert missing == []
