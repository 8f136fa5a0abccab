"""Whether an authenticated domain is aligned with the author's domain (RFC 9989 §4.4, RFC 7489 §3.1). Pure.

Names are compared as the store has them: lower case, A-labels, no trailing dot. The organisational domain is that of
the Public Suffix List: reports do not state the `psd` tags that the tree walk of RFC 9989 would have found.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

__all__ = ["is_aligned", "organizational_domain"]


def is_aligned(author: str, domain: str, strict: bool) -> bool:
    """Strict: the same name. Relaxed: the same organisational domain."""
    if not author or not domain:
        return False
    return author == domain or (not strict and organizational_domain(author) == organizational_domain(domain))


@functools.lru_cache(maxsize=65_536)
def organizational_domain(name: str) -> str:
    """The public suffix of the name and one label more; a public suffix itself is its own organisation."""
    registered = _suffixes().privatesuffix(name)
    return registered or name


@functools.cache
def _suffixes() -> PublicSuffixList:
    # Imported on first use: reading the list takes a tenth of a second.
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList(accept_unknown=True)
