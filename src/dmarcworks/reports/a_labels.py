"""Internationalised domain names as A-labels, the form that DNS has (IDNA 2008, RFC 5891, after the mapping of UTS 46).

The mapping accepts names as people type them: capitals, full-width characters, 。 as a dot. `ß`, `ς` and the joiners
are distinct characters here; Python's own codec (IDNA 2003) replaces them and so names another domain. Pure.
"""

from __future__ import annotations

__all__ = ["a_labels"]

# A name of 253 octets has fewer characters than this in any script; the look at a longer one would only take time.
_LONGEST = 1_000
_LABEL = 63


def a_labels(name: str) -> str | None:
    """The name with each non-ASCII label as an A-label; None for what IDNA 2008 refuses, such as an emoji.

    ASCII labels are only measured: `_dmarc` and `*` are no host names, but names in DNS. An ASCII name stays as it is.
    """
    if name.isascii():
        return name
    if len(name) > _LONGEST:
        return None
    # Imported when first needed: its tables are large, and almost every name is ASCII.
    import idna

    try:
        mapped = idna.uts46_remap(name, std3_rules=False)
        labels = [label if label.isascii() else idna.alabel(label).decode("ascii") for label in mapped.split(".")]
    except (idna.IDNAError, UnicodeError, ValueError):
        return None
    # Some characters are mapped to an @, a / or a space, which would turn the name into something else.
    added = {char for char in mapped if char.isascii() and not char.isalnum() and char not in ".-_"} - set(name)
    if added or not all(labels[:-1]) or any(len(label) > _LABEL for label in labels):
        return None
    return ".".join(labels)
