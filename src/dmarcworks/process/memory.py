"""Give memory back to the kernel that holds a library's code which nothing runs now (Linux; elsewhere nothing happens).

The pages are unchanged copies of the library's file. The kernel maps those that run again at their next use.
"""

from __future__ import annotations

import ctypes
import mmap
import re
import sys

__all__ = ["release_code_pages"]


def release_code_pages(library: str) -> int:
    """Unmap the code of the shared library whose file name begins with `library`; how many bytes, 0 for none."""
    if not sys.platform.startswith("linux"):
        return 0
    code = re.compile(rf"([0-9a-f]+)-([0-9a-f]+) r-xp .*/{re.escape(library)}[^/]*\.so[^/]*$")
    with open("/proc/self/maps") as maps:
        ranges = [match for line in maps if (match := code.match(line.rstrip()))]
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    advised = 0
    for match in ranges:
        start, end = int(match[1], 16), int(match[2], 16)
        if madvise(start, end - start, mmap.MADV_DONTNEED) == 0:
            advised += end - start
    return advised
