"""Files in the format of https://maxmind.github.io/MaxMind-DB/, written by the tests (records of 32 bits)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

_MARK = b"\xab\xcd\xefMaxMind.com"

IPINFO = "ipinfo bundle_location_lite.mmdb"
Node = list[Any]


def ipinfo(asn: str, name: str, domain: str, code: str) -> dict[str, Any]:
    """A record of IPinfo Lite."""
    return {
        "asn": asn,
        "as_name": name,
        "as_domain": domain,
        "continent": "Europe",
        "continent_code": "EU",
        "country": "Somewhere",
        "country_code": code,
    }


def asn(number: int, name: str) -> dict[str, Any]:
    """A record of GeoLite2-ASN and of DB-IP's ASN Lite."""
    return {"autonomous_system_number": number, "autonomous_system_organization": name}


def country(code: str) -> dict[str, Any]:
    """A record of GeoLite2-Country and -City, and of DB-IP's."""
    place = {"iso_code": code, "names": {"en": "Somewhere"}, "geoname_id": 2921044}
    return {"continent": {"code": "EU"}, "country": place, "registered_country": {"iso_code": "ZZ"}}


def write_mmdb(
    path: Path,
    database_type: str,
    records: Mapping[str, Any],
    *,
    built: int = 1_790_000_000,
    version: int = 6,
    record_size: int = 32,
) -> Path:
    """The file with a record for each network; written beside and renamed, as an update does it."""
    data, places = bytearray(), {}
    root: Node = [None, None]
    for text, record in records.items():
        network = ip_network(text)
        if version == 4 and network.version == 6:
            raise ValueError("no IPv6 network fits into a tree of IPv4")
        if text not in places:
            places[text] = len(data)
            data += _encode(record)
        bits = int(network.network_address)
        skip = 96 if network.version == 4 and version == 6 else 0
        width = network.max_prefixlen
        way = [0] * skip + [bits >> (width - 1 - place) & 1 for place in range(network.prefixlen)]
        node = root
        for bit in way[:-1]:
            if not isinstance(node[bit], list):
                node[bit] = [node[bit], node[bit]]
            node = node[bit]
        node[way[-1]] = places[text]
    nodes: list[Node] = []
    _number(root, nodes)
    order = {id(node): place for place, node in enumerate(nodes)}
    tree = b"".join(_node(record_size, *(_pointer(side, order, len(nodes)) for side in node[:2])) for node in nodes)
    metadata = {
        "binary_format_major_version": _Unsigned(2, 5),
        "binary_format_minor_version": _Unsigned(0, 5),
        "build_epoch": _Unsigned(built, 9),
        "database_type": database_type,
        "description": {"en": database_type},
        "ip_version": _Unsigned(version, 5),
        "languages": ["en"],
        "node_count": _Unsigned(len(nodes), 6),
        "record_size": _Unsigned(record_size, 5),
    }
    new = path.with_suffix(".new")
    new.write_bytes(tree + bytes(16) + bytes(data) + _MARK + _encode(metadata))
    new.replace(path)
    return path


class _Unsigned(int):
    """A number with its type of the format: 5 of 16 bits, 6 of 32, 9 of 64."""

    kind: int

    def __new__(cls, value: int, kind: int) -> _Unsigned:
        made = super().__new__(cls, value)
        made.kind = kind
        return made


def _number(node: Node, nodes: list[Node]) -> None:
    nodes.append(node)
    for side in node:
        if isinstance(side, list):
            _number(side, nodes)


def _node(record_size: int, left: int, right: int) -> bytes:
    if record_size == 32:
        return struct.pack(">II", left, right)
    # Of 28 bits the highest four of both records share a byte in the middle.
    middle = bytes([left >> 24 << 4 | right >> 24]) if record_size == 28 else b""
    return (left & 0xFFFFFF).to_bytes(3, "big") + middle + (right & 0xFFFFFF).to_bytes(3, "big")


def _pointer(side: Any, order: Mapping[int, int], count: int) -> int:
    if side is None:
        return count
    return order[id(side)] if isinstance(side, list) else count + 16 + side


def _encode(value: Any) -> bytes:
    if isinstance(value, str):
        return _head(2, len(raw := value.encode())) + raw
    if isinstance(value, Mapping):
        return _head(7, len(value)) + b"".join(_encode(key) + _encode(one) for key, one in value.items())
    if isinstance(value, list):
        return _head(11, len(value)) + b"".join(map(_encode, value))
    kind = value.kind if isinstance(value, _Unsigned) else 6
    raw = int(value).to_bytes((int(value).bit_length() + 7) // 8, "big")
    return _head(kind, len(raw)) + raw


def _head(kind: int, size: int) -> bytes:
    extended = bytes([kind - 7]) if kind > 7 else b""
    first = 0 if kind > 7 else kind << 5
    if size < 29:
        return bytes([first | size]) + extended
    if size < 285:
        return bytes([first | 29]) + extended + bytes([size - 29])
    return bytes([first | 30]) + extended + (size - 285).to_bytes(2, "big")
