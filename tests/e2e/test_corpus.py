"""The public samples: what is accepted is summed exactly, what is not is a problem, and twice is once."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dmarcworks.catalogue.accounts import normal_domain
from dmarcworks.errors import UsageError
from dmarcworks.reports.model import AggregateReport
from dmarcworks.reports.read import read_bytes, read_mail
from tests.support.mails import mail
from tests.support.system import System, skip

CORPUS = Path(os.environ.get("DMARCWORKS_TEST_CORPUS", Path(__file__).parents[3] / "shared" / "corpus"))


@dataclass(frozen=True)
class Sample:
    """A file of the index: what it is said to hold, and the domain that its reports are about."""

    path: str
    expected: str
    messages: int
    content: bytes
    domain: str
    identities: frozenset[tuple[object, ...]]

    @property
    def raw(self) -> bytes:
        name = self.path.rsplit("/", 1)[-1]
        return self.content if name.endswith(".eml") else mail((name.replace('"', ""), self.content))


def samples() -> Iterator[Sample]:
    with (CORPUS / "INDEX.tsv").open(newline="") as index:
        for row in csv.DictReader(index, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["kind"] != "aggregate":
                continue
            content = (CORPUS / row["path"]).read_bytes()
            reading = read_mail(content) if row["container"] == "eml" else read_bytes(content, row["path"])
            reports = [item.report for item in reading.items if isinstance(item.report, AggregateReport)]
            domains = {report.policy.domain for report in reports}
            assert len(domains) <= 1, f"{row['path']} is about several domains"
            yield Sample(
                row["path"],
                row["expected"],
                int(row["messages"] or 0),
                content,
                next(iter(domains), ""),
                frozenset(
                    (report.org_name, report.policy.domain, report.report_id, report.begin, report.end, report.records)
                    for report in reports
                ),
            )


def owner(name: str) -> str:
    """The domain to add for a policy domain; none of it where that is no domain's name."""
    try:
        return normal_domain(name)
    except UsageError:
        return "elsewhere.example"


@pytest.fixture(scope="module")
def corpus() -> list[Sample]:
    if not (CORPUS / "INDEX.tsv").exists():
        skip(f"there is no corpus at {CORPUS}")
    return list(samples())


def test_the_corpus(system: System, corpus: list[Sample]) -> None:
    """Every aggregate sample mailed in: SUM(double8) is the index's sum, every unreadable file a problem, once."""
    system.add_domains(*sorted({owner(sample.domain) for sample in corpus}))

    seen: set[tuple[object, ...]] = set()
    expected: Counter[str] = Counter()
    for sample in corpus:
        if sample.domain and not sample.identities <= seen and owner(sample.domain) == sample.domain:
            expected[sample.domain] += sample.messages
        seen |= sample.identities
    assert sum(expected.values()) > 5000

    for _ in range(2):
        replies = system.send_all((system.rua[owner(sample.domain)], sample.raw) for sample in corpus)
        assert replies == [(250, "")] * len(corpus)
        system.settle(60)
        rows = system.sql("SELECT blob4 AS domain, SUM(double8) AS messages FROM dmarc_reports GROUP BY domain")
        assert {row["domain"]: int(row["messages"]) for row in rows if int(row["messages"])} == +expected
        assert system.total() == sum(expected.values())

    problems = system.problems()
    unread = [sample for sample in corpus if not sample.identities]
    assert {sample.expected for sample in unread} <= {"invalid"}
    assert all(sample.expected != "valid" for sample in unread)
    # Sent twice, each invalid file is told of in both of its mails.
    hopeless = [problem for problem in problems if problem["reason"] != "other_domain"]
    assert len({problem["mail_id"] for problem in hopeless}) >= 2 * len(unread)
    assert [problem for problem in problems if not problem["detail"].strip() or not problem["where"]] == []
