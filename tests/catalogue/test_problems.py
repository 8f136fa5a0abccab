"""Nothing that could not be read vanishes: it is a problem once, until a person or a good retry closes it."""

from __future__ import annotations

from tests.support.catalogue import Catalogue


async def add(catalogue: Catalogue, **changes: str) -> int:
    values = {
        "account_id": "a" * 32,
        "domain_id": "d" * 32,
        "mail_id": "m1",
        "reason": "gzip_truncated",
        "where": "part 2 > a.xml.gz",
        "detail": "The file ends in the middle.",
        "object_key": "inbox/2026/09/22/m1.eml",
    }
    return await catalogue.problems.add(**{**values, **changes})


async def test_a_problem_is_noted_once(catalogue: Catalogue) -> None:
    """The same mail, reason and place is the same problem; any other is another."""
    first = await add(catalogue)
    assert await add(catalogue) == first
    others = [
        await add(catalogue, where="part 3"),
        await add(catalogue, reason="no_report"),
        await add(catalogue, mail_id="m2"),
    ]
    assert len({first, *others}) == 4
    assert await catalogue.problems.count("a" * 32) == 4
    assert await catalogue.problems.count() == 4
    assert [row.id for row in await catalogue.problems.list("a" * 32)] == [*reversed(others), first]


async def test_a_closed_problem_opens_again_when_it_comes_back(catalogue: Catalogue) -> None:
    """Closing hides it; the same trouble anew is open again with its new words."""
    number = await add(catalogue)
    await catalogue.problems.close(number)
    assert await catalogue.problems.count() == 0
    assert [row.id for row in await catalogue.problems.list(state="closed")] == [number]
    assert await add(catalogue, detail="Still cut.") == number
    row = await catalogue.problems.get(None, number)
    assert row is not None
    assert (row.state, row.detail) == ("open", "Still cut.")


async def test_a_retry_closes_what_the_mail_had(catalogue: Catalogue) -> None:
    """Only that mail's problems close."""
    await add(catalogue)
    await add(catalogue, where="part 3")
    other = await add(catalogue, mail_id="m2")
    await catalogue.problems.tried_mail("m1")
    await catalogue.problems.close_mail("m1")
    assert [row.id for row in await catalogue.problems.list()] == [other]


async def test_another_account_sees_no_problem(catalogue: Catalogue) -> None:
    """A number opens it only with its account."""
    number = await add(catalogue)
    assert await catalogue.problems.get("b" * 32, number) is None
    assert await catalogue.problems.list("b" * 32) == []
    assert await catalogue.problems.count("b" * 32) == 0


async def test_problems_page(catalogue: Catalogue) -> None:
    """`before` goes on where the page ended."""
    numbers = [await add(catalogue, mail_id=f"m{number}") for number in range(5)]
    first = await catalogue.problems.list(limit=2)
    rest = await catalogue.problems.list(before=first[-1].id)
    assert [row.id for row in [*first, *rest]] == numbers[::-1]


async def test_hostile_words_are_stored(catalogue: Catalogue) -> None:
    """A part's name may be anything at all."""
    number = await add(catalogue, where="part 1 > \udcff\0.zip", detail="<script>\ud800</script>", file_name="\udcff")
    row = await catalogue.problems.get(None, number)
    assert row is not None
    assert (row.where, row.detail, row.file_name) == (
        "part 1 > ?\N{REPLACEMENT CHARACTER}.zip",
        "<script>?</script>",
        "?",
    )
    assert await add(catalogue, where="part 1 > \udcff\0.zip") == number


async def test_open_problems_are_counted_by_domain_of_one_account(catalogue: Catalogue) -> None:
    """The front page's numbers: open ones only, of this account only, a domain without one absent."""
    first = await add(catalogue)
    await add(catalogue, mail_id="m2")
    await add(catalogue, mail_id="m3", domain_id="e" * 32)
    await add(catalogue, mail_id="m4", account_id="b" * 32, domain_id="f" * 32)
    assert await catalogue.problems.counts("a" * 32) == {"d" * 32: 2, "e" * 32: 1}
    await catalogue.problems.close(first)
    assert await catalogue.problems.counts("a" * 32) == {"d" * 32: 1, "e" * 32: 1}


async def test_what_was_discarded_stays_so(catalogue: Catalogue) -> None:
    """Found again by another read it is no open problem; who and when is kept, in the audit log too."""
    number = await add(catalogue)
    row = await catalogue.problems.get(None, number)
    assert row is not None
    await catalogue.problems.discard(row, "person@example.com")
    await catalogue.problems.tried_mail("m1")
    assert await add(catalogue, detail="Still cut.") == number
    row = await catalogue.problems.get(None, number)
    assert row is not None
    assert (row.state, row.detail, row.changed_by) == ("discarded", "Still cut.", "person@example.com")
    assert row.changed is not None
    (told,) = await catalogue.audit.list("a" * 32)
    assert (told.action, told.target) == ("problem.discard", str(number))


async def test_a_retry_ends_in_closed_or_open(catalogue: Catalogue) -> None:
    """While the mail waits its problems are neither; read, they close; given up, all open again."""
    first, second = await add(catalogue), await add(catalogue, where="part 3")
    other = await add(catalogue, mail_id="m2")
    row = await catalogue.problems.get(None, first)
    assert row is not None
    await catalogue.problems.retrying(row, "person@example.com")
    assert [row.id for row in await catalogue.problems.list(state="retrying")] == [second, first]
    await catalogue.problems.reopen_mail("m1")
    assert [row.id for row in await catalogue.problems.list()] == [other, second, first]
    await catalogue.problems.retrying(row, "person@example.com")
    await catalogue.problems.tried_mail("m1")
    await add(catalogue, where="part 3")
    assert [row.id for row in await catalogue.problems.list(state="retrying")] == [first]
    await catalogue.problems.close_mail("m1")
    assert [row.id for row in await catalogue.problems.list()] == [other, second]
    (closed,) = await catalogue.problems.list(state="closed")
    assert (closed.id, closed.changed_by, closed.tried is None) == (first, "person@example.com", False)


async def test_problems_are_counted_and_filtered_by_reason(catalogue: Catalogue) -> None:
    """The most frequent first, of one account and state."""
    await add(catalogue)
    await add(catalogue, mail_id="m2")
    last = await add(catalogue, reason="no_report")
    await add(catalogue, account_id="b" * 32, mail_id="m3", reason="empty")
    assert await catalogue.problems.reasons("a" * 32) == {"gzip_truncated": 2, "no_report": 1}
    assert list(await catalogue.problems.reasons("a" * 32)) == ["gzip_truncated", "no_report"]
    assert [row.id for row in await catalogue.problems.list("a" * 32, reason="no_report")] == [last]
    assert await catalogue.problems.reasons("a" * 32, "closed") == {}
