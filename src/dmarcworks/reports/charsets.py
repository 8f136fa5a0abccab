"""A charset name from untrusted input → a text codec that runs in linear time, or none. Pure.

A name is looked up in a fixed table and never passed to `codecs.lookup`, which imports modules by that name and caches
every name it receives. The table excludes codecs that are no charset (hex, zip, rot13), those of domain names (punycode
and idna take quadratic time), and those whose output may contain halves of characters (utf-7, unicode_escape).
"""

from __future__ import annotations

from encodings import normalize_encoding
from encodings.aliases import aliases

__all__ = ["codec", "decoded", "text_of", "utf8_or_latin1"]

_LONGEST = 40
_REFUSED = {
    *("base64_codec", "bz2_codec", "hex_codec", "quopri_codec", "rot_13", "uu_codec", "zlib_codec"),
    *("idna", "punycode", "mbcs", "oem", "undefined", "unicode_escape", "raw_unicode_escape", "utf_7"),
}
_TABLE = {
    **{name: target for name, target in aliases.items() if target not in _REFUSED},
    **{target: target for target in aliases.values() if target not in _REFUSED},
    # Names that mails use and Python does not know.
    "iso_8859_8_i": "iso8859_8",
    "iso_8859_8_e": "iso8859_8",
    "ks_c_5601_1987": "cp949",
    "x_sjis": "shift_jis",
    "cp_850": "cp850",
}


def codec(name: str) -> str | None:
    """The name of the codec for a charset; None for a name that is unknown or no charset."""
    if not name.isascii() or len(name) > _LONGEST:
        return None
    return _TABLE.get(normalize_encoding(name.strip().lower()))


def decoded(data: bytes, charset: str) -> str | None:
    """The bytes as text in that charset, what is none replaced; None when the charset is not read."""
    codec_name = codec(charset)
    return None if codec_name is None else data.decode(codec_name, "replace").encode("utf-8", "replace").decode()


def utf8_or_latin1(content: bytes) -> str:
    """The text of bytes that state no charset."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def text_of(content: bytes) -> str:
    """As `utf8_or_latin1`; line ends are LF."""
    return utf8_or_latin1(content).replace("\r\n", "\n").replace("\r", "\n")
