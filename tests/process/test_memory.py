"""Code pages given back to the kernel: of the library that is named, and its code still runs afterwards."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="madvise on mapped code is Linux")

_CODE = """
import lxml.etree
from dmarcworks.process.memory import release_code_pages
print(release_code_pages("etree") > 0, release_code_pages("no-such-library"))
print(lxml.etree.fromstring("<a><b/></a>")[0].tag)
"""


def test_a_librarys_code_pages_are_released_and_run_again() -> None:
    """In a process of its own; lxml is loaded, its code is dropped from memory and maps again at the next call."""
    done = subprocess.run([sys.executable, "-c", _CODE], capture_output=True, text=True, check=True)
    assert done.stdout == "True 0\nb\n"
