"""Bytes become lines and mails by RFC 5321 alone, however they are cut; what is over a bound costs no memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.routing.smtp.grammar import Path, parse_path
from dmarcworks.routing.smtp.wire import CommandReader, MailReader

PIECES = st.lists(st.sampled_from([b"\r", b"\n", b".", b"\0", b"a", b"\r\n", b"..", b"\r\n."]), max_size=40)


def stuffed(mail: bytes) -> bytes:
    """As a client sends it: dots doubled, ended."""
    return (b"\r\n" + mail).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"


def reader(**bounds: int) -> MailReader:
    return MailReader(**{"mail_bytes": 1000, "line_bytes": 1000, **bounds})


@given(PIECES, st.lists(st.integers(1, 5), min_size=1))
def test_what_is_sent_comes_out(pieces: list[bytes], cuts: list[int]) -> None:
    """Any mail whose lines end in CRLF arrives as it was, in one piece, whatever the packets."""
    mail = b"".join(pieces) + b"\r\n"
    wire, mails, rest = stuffed(mail), reader(), b""
    at = turn = 0
    while at < len(wire):
        size = cuts[turn % len(cuts)]
        rest += mails.feed(wire[at : at + size]) if not mails.done else wire[at : at + size]
        at, turn = at + size, turn + 1
    assert (mails.done, mails.raw, rest) == (True, mail, b"")


@given(PIECES, st.lists(st.integers(1, 5), min_size=1))
def test_an_end_is_an_end_however_it_is_cut(pieces: list[bytes], cuts: list[int]) -> None:
    """Arbitrary bytes end where the first CRLF.CRLF ends, and what follows is handed back untouched."""
    wire = b"".join(pieces)
    end = (b"\r\n" + wire).find(b"\r\n.\r\n")
    mails, rest = reader(), b""
    at = turn = 0
    while at < len(wire):
        size = cuts[turn % len(cuts)]
        rest += mails.feed(wire[at : at + size]) if not mails.done else wire[at : at + size]
        at, turn = at + size, turn + 1
    assert mails.done == (end >= 0)
    if mails.done:
        assert rest == wire[end + 3 :]
        assert mails.raw == (b"\r\n" + wire[:end]).replace(b"\r\n.", b"\r\n")[2:]


def test_an_empty_mail_is_a_mail() -> None:
    """A dot at once ends a mail of nothing."""
    mails = reader()
    assert mails.feed(b".\r\nQUIT\r\n") == b"QUIT\r\n"
    assert (mails.done, mails.raw, mails.too_large) == (True, b"", False)


@pytest.mark.parametrize(("size", "refused"), [(100, False), (101, True), (50_000, True)])
def test_the_size_is_that_of_the_mail_without_its_extra_dots(size: int, refused: bool) -> None:
    """A mail of just the bound is taken though its doubled dots took more bytes on the way; its end is found anyway."""
    mail = b".\n" * (size // 2 - 1) + b"x" * (size % 2) + b"\r\n"
    mails = reader(mail_bytes=100)
    assert mails.feed(stuffed(mail) + b"NOOP\r\n") == b"NOOP\r\n"
    assert (mails.done, mails.too_large, len(mails.raw)) == (True, refused, 0 if refused else size)


def test_a_mail_over_the_bound_costs_no_memory() -> None:
    """However much comes, hardly more than the bound is held, and nothing after it was passed."""
    mails = reader(mail_bytes=1000)
    held = []
    for _ in range(1000):
        mails.feed(b"x" * 998 + b"\r\n")
        held.append(mails.held)
    assert max(held) < 3000
    assert held[-1] < 10
    mails.feed(b".\r\n")
    assert (mails.done, mails.too_large) == (True, True)


@pytest.mark.parametrize(("line", "refused"), [(100, False), (101, True), (5000, True)])
@pytest.mark.parametrize("where", [0, 1, 50])
def test_a_line_over_the_bound_is_found_wherever_it_is(line: int, refused: bool, where: int) -> None:
    """A line counts with its CRLF."""
    lines = [b"y" * 48 + b"\r\n"] * 60
    lines[where] = b"x" * (line - 2) + b"\r\n"
    mails = reader(mail_bytes=100_000, line_bytes=100)
    mails.feed(b"".join(lines) + b".\r\n")
    assert (mails.done, mails.too_long) == (True, refused)


@given(st.binary(max_size=300), st.integers(1, 7))
def test_command_lines_are_the_same_however_they_are_cut(wire: bytes, size: int) -> None:
    """Lines end with LF or CRLF, and no cut changes one."""

    def lines(pieces: list[bytes]) -> list[bytes | None]:
        commands, found = CommandReader(), []
        for piece in pieces:
            commands.buffer += piece
            while True:
                try:
                    found.append(commands.next())
                except LookupError:
                    break
        return found

    whole = lines([wire])
    assert whole == lines([wire[at : at + size] for at in range(0, len(wire), size)])
    assert whole == [line.removesuffix(b"\r") for line in wire.split(b"\n")[:-1]]


def test_a_command_too_long_is_one_refusal_and_no_memory() -> None:
    """A command without an end is not kept; the one after its end is heard."""
    commands = CommandReader()
    for _ in range(1000):
        commands.buffer += b"x" * 1000
        with pytest.raises(LookupError):
            commands.next()
        assert len(commands.buffer) <= 1000
    commands.buffer += b"\r\nNOOP\r\n"
    assert [commands.next(), commands.next()] == [None, b"NOOP"]


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("FROM:<a@example.com>", Path("a@example.com", {})),
        ("from:<a@example.com> SIZE=12 body=8BITMIME", Path("a@example.com", {"SIZE": "12", "BODY": "8BITMIME"})),
        ("FROM: <a@example.com>", Path("a@example.com", {})),
        ("FROM:a@example.com", Path("a@example.com", {})),
        ("FROM:<>", Path("", {})),
        ("FROM:<> SMTPUTF8", Path("", {"SMTPUTF8": None})),
        ("FROM:<@relay.example,@b.example:a@example.com>", Path("a@example.com", {})),
        ('FROM:<"a b>@ c"@example.com>', Path('"a b>@ c"@example.com', {})),
        ("FROM:<postmaster>", Path("postmaster", {})),
        ("FROM:<a@[192.0.2.1]>", Path("a@[192.0.2.1]", {})),
        ("FROM:<a@[IPv6:2001:db8::1]>", Path("a@[IPv6:2001:db8::1]", {})),
        ("FROM:<ü@bücher.example>", Path("ü@bücher.example", {})),
        ("FROM:<a@example.com> SIZE=", None),
        ("FROM:<a@example.com> SIZE=1 SIZE=2", None),
        ("FROM:", None),
        ("TO:<a@example.com>", None),
        ("FROM:<a b@example.com>", "<a b@example.com>"),
        ("FROM:<a@example.com", "<a@example.com"),
        ("FROM:<a@b@example.com>", "<a@b@example.com>"),
        ("FROM:<a\0@example.com>", "<a\0@example.com>"),
        ("FROM:<a@example.com>SIZE=1", "<a@example.com>SIZE=1"),
    ],
)
def test_paths(argument: str, expected: object) -> None:
    """What RFC 5321 allows is taken, the usual slips too, the rest is refused."""
    assert parse_path(argument, "FROM:") == expected


@given(st.text(max_size=200))
def test_no_argument_breaks_the_grammar(argument: str) -> None:
    """Any text is a path or a refusal, and no path has white space or control characters outside quotes."""
    path = parse_path("FROM:" + argument, "FROM:")
    if isinstance(path, Path) and '"' not in path.address:
        assert not any(character.isspace() or character < " " for character in path.address)
