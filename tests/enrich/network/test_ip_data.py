"""Promise: ASN and country come from the files that are there; a new file counts at once, a broken one is ignored."""

from __future__ import annotations

import threading
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from dmarcworks.enrich.network.attribution import DBIP, IPINFO, MAXMIND
from dmarcworks.enrich.network.ip_data import LOOK_SECONDS, NO_FACTS, IpData, IpFacts
from dmarcworks.enrich.network.ip_file import IpDataError, opened_file
from dmarcworks.enrich.network.layouts import NOTHING, IpRecord, layout_of
from tests.support import mmdb
from tests.support.mmdb import write_mmdb

BUILT = "2026-09-21"


class Now:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def later(self) -> None:
        self.seconds += LOOK_SECONDS


def test_the_three_layouts_are_told_apart_by_their_metadata(tmp_path: Path) -> None:
    lite = write_mmdb(
        tmp_path / "a.mmdb", mmdb.IPINFO, {"8.8.8.0/24": mmdb.ipinfo("AS15169", "Google LLC", "google.com", "US")}
    )
    geo = write_mmdb(tmp_path / "b.mmdb", "GeoLite2-ASN", {"8.8.8.0/24": mmdb.asn(15169, "GOOGLE")})
    place = write_mmdb(tmp_path / "c.mmdb", "GeoLite2-City", {"8.8.8.0/24": mmdb.country("DE")})
    other = write_mmdb(tmp_path / "d.mmdb", "DBIP-Country-Lite", {"8.8.8.0/24": mmdb.country("FR")})
    net = write_mmdb(tmp_path / "e.mmdb", "DBIP-ASN-Lite (compat=GeoLite2-ASN)", {"8.8.8.0/24": mmdb.asn(1, "One")})
    assert IpData([lite]).lookup("8.8.8.8") == IpFacts(15169, "Google LLC", "google.com", "US", f"ipinfo-lite {BUILT}")
    assert IpData([geo]).lookup("8.8.8.8") == IpFacts(15169, "GOOGLE", None, None, f"geolite2-asn {BUILT}")
    assert IpData([place]).lookup("8.8.8.8") == IpFacts(country="DE", source=f"geolite2-city {BUILT}")
    assert IpData([other]).lookup("8.8.8.8") == IpFacts(country="FR", source=f"dbip-country-lite {BUILT}")
    assert IpData([net]).lookup("8.8.8.8") == IpFacts(1, "One", None, None, f"dbip-asn-lite {BUILT}")
    assert [opened_file(path).layout.attribution for path in (lite, geo, other)] == [IPINFO, MAXMIND, DBIP]


def test_several_files_serve_an_address_together(tmp_path: Path) -> None:
    write_mmdb(tmp_path / "1.mmdb", "GeoLite2-ASN", {"8.8.8.0/24": mmdb.asn(15169, "GOOGLE")})
    write_mmdb(
        tmp_path / "2.mmdb", "GeoLite2-Country", {"8.8.8.0/24": mmdb.country("US"), "9.9.9.0/24": mmdb.country("CH")}
    )
    write_mmdb(tmp_path / "3.mmdb", mmdb.IPINFO, {"8.0.0.0/8": mmdb.ipinfo("AS9", "Nine", "nine.example", "FR")})
    data = IpData([tmp_path])
    both = f"geolite2-asn {BUILT} + geolite2-country {BUILT}"
    # A number and its name come from one file.
    assert data.lookup("8.8.8.8") == IpFacts(15169, "GOOGLE", None, "US", both)
    assert data.lookup("9.9.9.9") == IpFacts(country="CH", source=f"geolite2-country {BUILT}")
    assert data.lookup("8.9.9.9") == IpFacts(9, "Nine", "nine.example", "FR", f"ipinfo-lite {BUILT}")
    assert [file.built for file in data.files] == [date(2026, 9, 21)] * 3


@pytest.mark.parametrize(
    "text", ["", "not an address", "8.8.8.8.8", "10.0.0.1", "fe80::1%eth0", "::", "🙂", "8.8.8.8\n"]
)
def test_what_is_no_address_or_not_in_the_file_has_no_facts(tmp_path: Path, text: str) -> None:
    write_mmdb(tmp_path / "a.mmdb", mmdb.IPINFO, {"8.8.8.0/24": mmdb.ipinfo("AS1", "One", "one.example", "US")})
    assert IpData([tmp_path]).lookup(text) == NO_FACTS


def test_ipv6_and_mapped_addresses(tmp_path: Path) -> None:
    records = {
        "2001:db8::/32": mmdb.ipinfo("AS6", "Six", "six.example", "NL"),
        "8.8.8.0/24": mmdb.ipinfo("AS4", "Four", "four.example", "US"),
    }
    write_mmdb(tmp_path / "a.mmdb", mmdb.IPINFO, records)
    data = IpData([tmp_path])
    assert (data.lookup("2001:DB8::25").asn, data.lookup("::ffff:8.8.8.8").asn) == (6, 4)
    four = write_mmdb(tmp_path / "four", mmdb.IPINFO, {"8.8.8.0/24": records["8.8.8.0/24"]}, version=4)
    assert (IpData([four]).lookup("8.8.8.8").asn, IpData([four]).lookup("2001:db8::1")) == (4, NO_FACTS)


def test_a_file_that_is_replaced_counts_without_a_restart(tmp_path: Path) -> None:
    now, path = Now(), tmp_path / "a.mmdb"
    data = IpData([tmp_path], now)
    assert data.lookup("8.8.8.8") == NO_FACTS
    write_mmdb(path, mmdb.IPINFO, {"8.8.8.0/24": mmdb.ipinfo("AS1", "One", "one.example", "US")})
    assert data.lookup("8.8.8.8") == NO_FACTS  # not looked at again yet
    now.later()
    assert data.lookup("8.8.8.8").as_name == "One"
    records = {"8.8.8.0/24": mmdb.ipinfo("AS2", "Two", "two.example", "DE")}
    write_mmdb(path, mmdb.IPINFO, records, built=1_792_000_000)
    now.later()
    assert data.lookup("8.8.8.8") == IpFacts(2, "Two", "two.example", "DE", "ipinfo-lite 2026-10-14")


def test_a_broken_new_file_leaves_the_old_one_in_use_and_is_named_once(tmp_path: Path) -> None:
    now, path = Now(), tmp_path / "a.mmdb"
    write_mmdb(path, mmdb.IPINFO, {"8.8.8.0/24": mmdb.ipinfo("AS1", "One", "one.example", "US")})
    data = IpData([path], now)
    assert data.lookup("8.8.8.8").asn == 1
    path.write_bytes(b"this is no database" * 1000)
    with capture_logs() as logs:
        for _ in range(3):
            now.later()
            assert data.lookup("8.8.8.9").asn == 1
    assert logs == [
        {
            "event": "IP data file cannot be used",
            "log_level": "warning",
            "reason": logs[0]["reason"],
            "effect": f"ipinfo-lite {BUILT} stays in use",
        }
    ]
    assert str(path) in logs[0]["reason"]
    path.unlink()
    now.later()
    assert data.lookup("8.8.8.7").asn == 1
    write_mmdb(path, mmdb.IPINFO, {"8.8.8.0/24": mmdb.ipinfo("AS3", "Three", "three.example", "US")})
    now.later()
    assert data.lookup("8.8.8.8").asn == 3


def test_a_file_that_is_overwritten_in_place_while_it_is_in_use_ends_no_process(tmp_path: Path) -> None:
    """The bytes that are mapped are a copy of ours: cutting the file short is no SIGBUS."""
    path = write_mmdb(tmp_path / "a.mmdb", mmdb.IPINFO, {"8.0.0.0/8": mmdb.ipinfo("AS1", "One", "one.example", "US")})
    data = IpData([path], Now())
    assert data.lookup("8.8.8.8").asn == 1
    path.write_bytes(b"")
    assert data.lookup("8.9.9.9").asn == 1


def test_another_kind_of_database_is_refused_by_name(tmp_path: Path) -> None:
    path = write_mmdb(tmp_path / "a.mmdb", "GeoIP2-Anonymous-IP", {"8.8.8.0/24": {"is_tor": "no"}})
    with pytest.raises(IpDataError, match=f"{path} has the database type 'GeoIP2-Anonymous-IP'; supported are IPinfo"):
        opened_file(path)
    with pytest.raises(IpDataError, match="cannot be read: No such file"):
        opened_file(tmp_path / "none.mmdb")


def test_many_threads_look_up_while_the_file_changes(tmp_path: Path) -> None:
    path, now, wrong = tmp_path / "a.mmdb", Now(), []
    write_mmdb(path, mmdb.IPINFO, {"8.0.0.0/8": mmdb.ipinfo("AS1", "One", "one.example", "US")})
    data = IpData([path], now)

    def ask() -> None:
        for number in range(2000):
            facts = data.lookup(f"8.{number % 200}.1.1")
            if (facts.asn, facts.as_name) not in ((1, "One"), (2, "Two")):
                wrong.append(facts)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    write_mmdb(path, mmdb.IPINFO, {"8.0.0.0/8": mmdb.ipinfo("AS2", "Two", "two.example", "DE")})
    now.later()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert data.lookup("8.1.1.1").asn == 2


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    changes=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=8),
    cut=st.integers(0, 5000),
)
def test_no_damage_makes_a_look_up_fail(tmp_path: Path, changes: list[tuple[int, int]], cut: int) -> None:
    path = tmp_path / "a.mmdb"
    write_mmdb(
        path,
        mmdb.IPINFO,
        {"8.0.0.0/8": mmdb.ipinfo("AS1", "One", "one.example", "US"), "2001:db8::/32": mmdb.asn(5, "x")},
    )
    content = bytearray(path.read_bytes())
    for place, value in changes:
        content[place % len(content)] = value
    path.write_bytes(content[: len(content) - cut % 700])
    data = IpData([path])
    for address in ("8.8.8.8", "1.1.1.1", "2001:db8::1", "::1"):
        assert isinstance(data.lookup(address), IpFacts)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
_FIELDS = ("asn", "as_name", "as_domain", "country", "country_code", "iso_code", "autonomous_system_number")


@given(
    kind=st.sampled_from([mmdb.IPINFO, "GeoLite2-City", "DBIP-ASN-Lite"]),
    record=_JSON | st.dictionaries(st.sampled_from(_FIELDS), _JSON),
)
def test_a_record_of_anything_is_read_as_checked_values_or_nothing(kind: str, record: object) -> None:
    layout = layout_of(kind)
    assert layout is not None
    read = layout.read(record)
    assert read.asn is None or 0 < read.asn < 2**32
    assert read.country is None or (len(read.country) == 2 and read.country.isascii() and read.country.isupper())
    assert read.as_name is None or (read.as_name.isprintable() and 0 < len(read.as_name) <= 200)


def test_values_that_are_none_are_absent() -> None:
    layout = layout_of("ipinfo lite")
    assert layout is not None
    hostile = {
        "asn": "AS99999999999",
        "as_name": "a\x1b[31m\nb\ud800",
        "as_domain": "bad domain",
        "country_code": "usa",
    }
    assert layout.read(hostile) == IpRecord(None, "a [31m b", None, None)
    assert layout.read({"asn": "AS0", "as_name": "", "country": "DE", "country_code": None}) == IpRecord(country="DE")
    assert layout.read("text") == NOTHING
    assert [layout_of(kind) for kind in ("", "GeoIP2-Anonymous-IP", "GeoLite2", "ipdata", "DBIP")] == [None] * 5
