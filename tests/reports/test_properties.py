"""Whatever is written and whatever is broken: read sums are the written sums, or a problem names what is missing.

Generated reports, archives and mails, valid, odd and broken; reading never raises, keeps its bounds, and the quick way
gives what the general one gives.
"""

from __future__ import annotations

import hashlib
import pickle
import random
import zipfile
from dataclasses import FrozenInstanceError, fields, replace
from xml.sax.saxutils import escape

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dmarcworks.reports import sniff, unpack
from dmarcworks.reports.aggregate import fast_path, reader
from dmarcworks.reports.aggregate.document import Broken
from dmarcworks.reports.aggregate.parse_cache import ParseCache
from dmarcworks.reports.bounds import Bounds
from dmarcworks.reports.closed import maker
from dmarcworks.reports.model import REASONS, AggregateReport, Item, Part, Policy, Reading, Record, Records
from dmarcworks.reports.notes import Notes, Refused, Work
from dmarcworks.reports.read import read_bytes, read_mail
from dmarcworks.reports.unpack import leaves
from tests.support.report_samples import METADATA, POLICY, TEXT, attachment, gz, mail, record, xml, zipped

TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"), max_size=12
)
SPACE = st.sampled_from(["", "", "\n", "  ", "\r\n\t"])
WORDS = st.sampled_from(["pass", "fail", "none", "Pass", "", "softfail", "hardfail", "unknown", " pass "])
NAMES = st.sampled_from(
    ["example.com", "Mail.Example.", "bücher.example", "", "a b", "x&amp;y", "<!-- c -->z", "<![CDATA[q]]>"]
)


@st.composite
def leaf(draw: st.DrawFn, name: str, values: st.SearchStrategy[str]) -> str:
    """An element with text, sometimes self-closed, with an attribute or unknown."""
    value = draw(values)
    form = draw(st.integers(0, 30))
    if form == 0:
        return f"<{name}/>"
    if form == 1:
        return f'<{name} lang="en">{value}</{name}>'
    if form == 2:
        return f"<x-new>{value}</x-new>"
    return f"<{name}>{value}</{name}>" + draw(SPACE)


@st.composite
def records(draw: st.DrawFn) -> tuple[str, int | None]:
    """A record and the count that must be read of it, None when it must be left out."""
    count: int | None = draw(st.one_of(st.integers(0, 9), st.integers(0, 2**40)))
    written = str(count)
    form = draw(st.integers(0, 25))
    if form == 0:
        written, count = draw(
            st.sampled_from([("-1", None), ("", None), ("x", None), ("1e3", None), (str(2**63), None)])
        )
    elif form == 1:
        written = f" {count}.0\n"
    address = draw(st.sampled_from(["192.0.2.1", "2001:DB8::1", "", "bad", "fe80::1%x", " 192.0.2.9\n"]))
    if not address and count == 0:
        address = "192.0.2.1"  # no sender and no mail is no record, which has tests of its own
    reason = draw(st.sampled_from(["", "<reason><type>forwarded</type><comment>c</comment></reason>", "<reason/>"]))
    evaluated = "".join(draw(leaf(name, WORDS)) for name in ("disposition", "dkim", "spf")) + reason
    identifiers = "".join(draw(leaf(name, NAMES)) for name in draw(st.permutations(["header_from", "envelope_from"])))
    groups = [
        f"<{kind}>"
        + draw(SPACE)
        + draw(leaf("domain", NAMES))
        + draw(leaf("result", WORDS))
        + f"</{kind}>"
        + draw(SPACE)
        for kind in draw(st.lists(st.sampled_from(["dkim", "spf"]), max_size=3))
    ]
    gap = draw(SPACE)
    parts = [
        f"<source_ip>{address}</source_ip>",
        f"<count>{written}</count>",
        f"<policy_evaluated>{gap}{evaluated}</policy_evaluated>",
    ]
    if draw(st.integers(0, 15)) == 0:
        parts.reverse()
    text = (
        f"<record>{gap}<row>{gap}{gap.join(parts)}{gap}</row>{gap}<identifiers>{identifiers}</identifiers>"
        f"{gap}<auth_results>{gap}{''.join(groups)}</auth_results>{gap}</record>{gap}"
    )
    return text, count


@st.composite
def documents(draw: st.DrawFn) -> tuple[bytes, list[int | None]]:
    """A report's bytes and the counts that must be read of it."""
    rows = draw(st.lists(records(), max_size=6))
    metadata = METADATA.replace("reporter.example</org", escape(draw(TEXTS)) + "</org")
    root = draw(st.sampled_from(["<feedback>", "<feedback>", '<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0">']))
    before = draw(st.sampled_from(["", "", "<!-- c -->", "<version>1.0</version>", "<extension><record/></extension>"]))
    declaration = draw(st.sampled_from(["", '<?xml version="1.0" encoding="UTF-8"?>', "<?xml version='1.0'?>\n"]))
    after = draw(st.sampled_from(["", "\n", "<!-- end -->", "<extension/>"]))
    body = "".join(text for text, _ in rows)
    text = f"{declaration}{root}{before}{metadata}{POLICY}{body}{after}</feedback>"
    encoding = draw(st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16"]))
    if encoding == "utf-16":
        text = text.replace(' encoding="UTF-8"', "")
    return text.encode(encoding), [count for _, count in rows]


def sums(reading: Reading) -> list[int]:
    return sorted(
        record.count
        for item in reading.items
        if isinstance(item.report, AggregateReport)
        for record in item.report.records
    )


PROFILE = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@PROFILE
@given(documents(), st.sampled_from(["xml", "gz", "zip", "gzgz", "zipgz"]))
def test_what_is_written_is_read_or_named(document: tuple[bytes, list[int | None]], form: str) -> None:
    """Every count is read to the unit through any container and mail; each one left out is one named problem."""
    data, counts = document
    packed = {
        "xml": lambda: data,
        "gz": lambda: gz(data),
        "zip": lambda: zipped(("a.xml", data)),
        "gzgz": lambda: gz(gz(data)),
        "zipgz": lambda: zipped(("a.xml.gz", gz(data))),
    }[form]()
    good = sorted(count for count in counts if count is not None)
    for reading in (read_bytes(packed, "a"), read_mail(mail(TEXT, attachment(packed)))):
        assert len(reading.items) == 1, reading.problems
        assert sums(reading) == good
        assert len(reading.problems) == len(counts) - len(good)
        assert all(problem.reason in REASONS for problem in reading.problems)
        assert reading.items[0].digest == hashlib.sha256(data).hexdigest()


def both_ways(data: bytes) -> list[object] | None:
    """What the quick way and the general one make of a file; None when the quick way leaves it."""
    bounds = Bounds()
    found: list[object] = []
    for quick, whole in ((True, True), (True, False), (False, True)):
        work = Work(bounds)
        (item,) = leaves(data, "a.xml", "a.xml", work)
        item = replace(item, whole=whole)
        head = sniff.look(item.head)
        if head.root != "feedback" or head.doctype:
            return None
        digest, notes = hashlib.sha256(), Notes()
        try:
            if quick:
                parsed = fast_path.read(item, head, bounds, digest, notes)
                if parsed is None:
                    return None
            else:
                parsed = reader._general(item, head, work, digest, notes)
            report = reader._finish(parsed, item, digest.hexdigest(), work)
            found.append((report, work.problems, digest.hexdigest()))
        except Refused as refused:
            found.append(refused.reason)
        except Broken:
            found.append("broken")
    return found


@PROFILE
@given(documents())
def test_the_quick_way_gives_what_the_general_one_gives(document: tuple[bytes, list[int | None]]) -> None:
    """Whatever the quick way takes, it reads as the general reader does: values, warnings, problems."""
    found = both_ways(document[0])
    assert found is None or found[0] == found[1] == found[2]


@settings(PROFILE, max_examples=100)
@given(documents(), st.integers(0, 2**32), st.sampled_from(["gz", "zip", "stored", "gzgz", "two", "folder"]))
def test_one_small_file_in_an_archive_is_read_as_any_archive_is(
    document: tuple[bytes, list[int | None]], seed: int, form: str
) -> None:
    """The short way through an archive gives what the long one gives, edited archives and tight bounds included."""
    data, _ = document
    packed = {
        "gz": lambda: gz(data),
        "zip": lambda: zipped(("r/a.xml", data)),
        "stored": lambda: zipped(("a.xml", data), method=zipfile.ZIP_STORED),
        "gzgz": lambda: gz(gz(data)),
        "two": lambda: zipped(("a.xml", data), ("b.xml", data)),
        "folder": lambda: zipped(("__MACOSX/a.xml", data)),
    }[form]()
    chance = random.Random(seed)
    bounds = chance.choice(
        [
            Bounds(),
            Bounds(),
            Bounds(members=1),
            Bounds(nesting=1),
            Bounds(inflated_bytes=len(data)),
            Bounds(xml_depth=4),
        ]
    )
    for edit in range(4):
        at = chance.randrange(len(packed))
        edited = packed if edit == 0 else packed[:at] + chance.randbytes(edit - 1) + packed[at + chance.randrange(4) :]
        with pytest.MonkeyPatch.context() as patch:
            short = [read_bytes(edited, "a", bounds), read_mail(mail(TEXT, attachment(edited)), bounds)]
            patch.setattr(unpack, "single", lambda *_: None)
            assert [read_bytes(edited, "a", bounds), read_mail(mail(TEXT, attachment(edited)), bounds)] == short


def test_known_texts_stay_inside_their_bounds() -> None:
    """However much strangers send, so many entries and characters are kept and no more; the newest are among them."""
    known: ParseCache[int] = ParseCache(entries=10, characters=100, longest=30)
    for number in range(1000):
        assert known.put(f"{number:05}", number) == number
        assert known.get(f"{number:05}") == number
        assert len(known) <= 20
    known.put("x" * 31, 1)
    assert known.get("x" * 31) is None
    for number in range(100):
        known.put(f"{number:030}", number)
        assert len(known) <= 3 + 10
    assert known.get(f"{99:030}") == 99
    assert known.get(f"{90:030}") is None


def test_records_by_columns_are_records_like_any_list() -> None:
    """Equal to the tuple of the same records, in order, sliced and counted alike; a record of it is frozen."""
    rows = [Record("192.0.2.1", n, "none", "pass", "fail", (), "a.example", None, None, (), ()) for n in range(5)]
    found = Records.of(rows)
    assert (list(found), len(found), found[1], found[-1], found[1:3]) == (rows, 5, rows[1], rows[4], tuple(rows[1:3]))
    assert found == Records.of(found) == tuple(rows)
    assert found != (*rows[1:], rows[0])
    assert found != Records.of(rows[:4])
    assert (hash(found), rows[2] in found, sum(found.counts)) == (hash(tuple(rows)), True, 10)
    assert pickle.loads(pickle.dumps(found)) == found
    with pytest.raises(IndexError):
        found[5]
    with pytest.raises(FrozenInstanceError):
        found[0].count = 4  # type: ignore[misc]


def test_what_is_filled_quickly_is_what_the_class_makes() -> None:
    """Equal, hashed, shown, pickled and frozen like a value that its class made, for each class that is made so."""
    policy = Policy("a.example", "r", "s", "none", None, None, None, 100, None, None)
    for made, usual in (
        (maker(Part)("a.gz", b"x", "part 1"), Part("a.gz", b"x", "part 1")),
        (maker(Item)(1, 2, "d", "a"), Item(1, 2, "d", "a")),  # type: ignore[arg-type]
        (
            maker(AggregateReport)("o", "e", None, "r", 1, 2, None, None, (), policy, (), ()),
            AggregateReport("o", "e", None, "r", 1, 2, None, None, (), policy, (), ()),
        ),
    ):
        assert (type(made), made, hash(made), repr(made)) == (type(usual), usual, hash(usual), repr(usual))
        assert pickle.loads(pickle.dumps(made)) == usual
        with pytest.raises(FrozenInstanceError):
            setattr(made, fields(made)[0].name, "b")  # type: ignore[arg-type]


PIECES = (
    *b"<record> </record> <row> </row> <count> </count> <count>7</count> <!--x--> <![CDATA[1]]> <?x?> ]]> > <".split(),
    *b"<dkim> </dkim> <extension> </extension> <spf/> <reason> </reason> &amp; &#49; <a> </a> <identifiers>".split(),
    *b"</identifiers> <policy_evaluated> </policy_evaluated> <auth_results> </auth_results> <feedback> - x".split(),
    *b"</feedback> <header_from>z</header_from> <1a>x</1a> <record/> <Record> <domain></domain> a='1'".split(),
    *b"<result>Pass</result> <type>x</type> <disposition>q</disposition> <source_ip>1.1.1.1</source_ip>".split(),
    *(b"\xef\xbf\xbf", b"\xff", b"\0", b"\xc2\xa0", b"\xe2\x80\xa8", b"\xc2\x85"),
    *(b" ", b"\n", b"\r", b"\r\n", b"\x0b", b"\x1f"),
)


@settings(PROFILE, max_examples=60)
@given(st.integers(0, 2**32))
def test_the_quick_way_gives_what_the_general_one_gives_of_edited_reports(seed: int) -> None:
    """Pieces put in, taken out and doubled at the edges of tags: no edit makes the two ways differ."""
    chance = random.Random(seed)
    whole = xml(record(3), record("5.0", ip="2001:db8::1"), record(1))
    edges = [at for at, byte in enumerate(whole) if byte in b"<>"]
    for _ in range(60):
        at = chance.choice(edges) + chance.randrange(2)
        how = chance.randrange(5)
        if how < 3:
            data = whole[:at] + chance.choice(PIECES) + whole[at:]
        elif how == 3:
            data = whole[:at] + whole[at + chance.randrange(1, 30) :]
        else:
            begin = chance.choice(edges)
            data = whole[:at] + whole[begin : begin + chance.randrange(1, 200)] + whole[at:]
        found = both_ways(data)
        assert found is None or found[0] == found[1] == found[2], data


def test_the_quick_way_takes_what_reporters_send() -> None:
    """It is no dead code: an ordinary report goes through it."""
    data = xml()
    (item,) = leaves(data, "a.xml", "a.xml", Work(Bounds()))
    assert fast_path.read(item, sniff.look(data), Bounds(), hashlib.sha256(), Notes()) is not None


@pytest.mark.parametrize("code", [n for n in range(32) if n not in (9, 10, 13)])
def test_the_quick_way_takes_no_control_character_wherever_it_stands(code: int) -> None:
    """XML knows none of them; a known record, an odd address, a count or the space between elements hides none."""
    data = xml(record(count=1), record(count=1), record(ip="::1", count=" 2 "))
    known = xml(record(count=1), record(ip="::1", count=" 2 "))
    bounds = Bounds()
    for text in (known, data):
        (item,) = leaves(text, "a.xml", "a.xml", Work(bounds))
        assert fast_path.read(item, sniff.look(text), bounds, hashlib.sha256(), Notes()) is not None
    for place in range(1, len(data) + 1):  # before the XML stands what is skipped, and noted
        odd = data[:place] + bytes([code]) + data[place:]
        (whole,) = leaves(odd, "a.xml", "a.xml", Work(bounds))
        stream = replace(whole, whole=False, open=lambda odd=odd: iter((odd[:500], odd[500:])))
        for item in (whole, stream):
            found = fast_path.read(item, sniff.look(odd), bounds, hashlib.sha256(), Notes())
            assert found is None, odd[max(0, place - 20) : place + 20]


def test_the_quick_way_reads_pieces_of_any_size() -> None:
    """Wherever a piece of the stream ends, the records are the same."""
    rows = [f"<record>\r\n <row><source_ip>192.0.2.{n % 250}</source_ip><count>{n}</count>\n" for n in range(300)]
    rows = [row + xml().decode().split("</count>")[1].split("</feedback>")[0] for row in rows]
    data = xml(*rows)
    for size in (1, 7, 64, 1000, len(data)):
        (item,) = leaves(data, "a.xml", "a.xml", Work(Bounds()))
        pieces = [data[start : start + size] for start in range(0, len(data), size)]
        item = replace(item, whole=False, open=lambda pieces=pieces: iter(pieces))
        document = fast_path.read(item, sniff.look(data), Bounds(), hashlib.sha256(), Notes())
        assert document is not None
        assert [record.count for record in document.tally.records] == list(range(300))


@PROFILE
@given(documents(), st.integers(0, 2**32), st.sampled_from(["cut", "flip", "insert", "delete", "double"]))
def test_a_broken_report_is_never_wrong_in_silence(
    document: tuple[bytes, list[int | None]], seed: int, how: str
) -> None:
    """Broken in transit (gzip tells): nothing is read, or what is read is what was written; never a raise."""
    data, counts = document
    packed = gz(data)
    chance = random.Random(seed)
    at = chance.randrange(len(packed))
    broken = {
        "cut": lambda: packed[:at],
        "flip": lambda: packed[:at] + bytes([packed[at] ^ (1 << chance.randrange(8))]) + packed[at + 1 :],
        "insert": lambda: packed[:at] + chance.randbytes(3) + packed[at:],
        "delete": lambda: packed[:at] + packed[at + 2 :],
        "double": lambda: packed[:at] + packed,
    }[how]()
    reading = read_mail(mail(TEXT, attachment(broken)))
    good = sorted(count for count in counts if count is not None)
    assert reading.problems or sums(reading) == good
    assert all(problem.reason in REASONS for problem in reading.problems)
    assert "internal" not in {problem.reason for problem in reading.problems}


@PROFILE
@given(documents(), st.integers(0, 2**32))
def test_broken_xml_never_raises_and_says_so(document: tuple[bytes, list[int | None]], seed: int) -> None:
    """A piece of the XML is cut out: a report comes with a problem, a warning or not at all; no unforeseen failure."""
    data, _ = document
    chance = random.Random(seed)
    at = chance.randrange(len(data))
    broken = data[:at] + data[at + chance.randrange(1, 40) :]
    for reading in (read_bytes(broken, "a.xml"), read_mail(mail(TEXT, attachment(broken, "a.xml", "text/xml")))):
        assert reading.items or reading.problems
        assert "internal" not in {problem.reason for problem in reading.problems}


@PROFILE
@given(
    st.binary(max_size=400),
    st.sampled_from([b"", b"\x1f\x8b\x08", b"PK\x03\x04", b"<feedback>", b"{", b"From: a\r\n", b"<?xml "]),
)
def test_no_bytes_make_reading_raise(data: bytes, start: bytes) -> None:
    """Any bytes at all are a reading with items or problems, and no unforeseen failure."""
    for reading in (read_bytes(start + data), read_mail(start + data)):
        assert reading.items or reading.problems
        assert {problem.reason for problem in reading.problems} <= REASONS.keys() - {"internal"}
