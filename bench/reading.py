"""Reading, side by side with parsedmarc from PyPI in one run: mails → finished typed rows. Medians of processor time, peak memory.

One command: `python bench/reading.py [--quick] [--write]`. The peer gets a virtual environment of its own under
bench/.peer/ and runs offline; its first pass is "cold" (every address new to its cache), the later ones "warm". Ours makes
Arrow tables ready for Analytics. Each measurement is a fresh process; ratios within this run are what counts, not the
absolute times. `--write` renews docs/benchmarks.md.
"""

# ruff: noqa: E501 - the report and the table are long lines by nature
from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from email.message import EmailMessage
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PEER = ROOT / "bench" / ".peer"
CORPUS = ROOT.parent / "shared" / "corpus"
# Name, mails, records per mail, warm passes, rounds: both in turn, so that a busy moment of the machine is not one's alone.
CASES = (("small", 300, (1, 10), 5, 5), ("medium", 60, (100, 100), 3, 3), ("large", 2, (10_000, 10_000), 3, 1))
HUGE = ("huge", 1, (200_000, 200_000), 1, 1)

RECORD = """  <record>
    <row>
      <source_ip>{ip}</source_ip>
      <count>{count}</count>
      <policy_evaluated>
        <disposition>{disposition}</disposition>
        <dkim>{dkim}</dkim>
        <spf>{spf}</spf>
      </policy_evaluated>
    </row>
    <identifiers>
      <header_from>example.com</header_from>
    </identifiers>
    <auth_results>
      <dkim>
        <domain>example.com</domain>
        <result>{dkim}</result>
        <selector>s{selector}</selector>
      </dkim>
      <spf>
        <domain>bounce{selector}.example.com</domain>
        <result>{spf}</result>
      </spf>
    </auth_results>
  </record>
"""


def document(dice: random.Random, number: int, records: int) -> tuple[bytes, int]:
    """A report in Google's habit with so many records, and the sum of its messages."""
    begin = 1_764_547_200
    rows, messages = [], 0
    for _ in range(records):
        count = dice.randint(1, 50)
        messages += count
        passed = dice.random() < 0.9
        rows.append(
            RECORD.format(
                ip=f"{dice.choice((192, 198, 203))}.{dice.randrange(256)}.{dice.randrange(256)}.{dice.randrange(1, 255)}",
                count=count,
                disposition="none" if passed else "quarantine",
                dkim="pass" if passed else "fail",
                spf="pass" if passed else "fail",
                selector=dice.randrange(8),
            )
        )
    head = (
        '<?xml version="1.0" encoding="UTF-8" ?>\n<feedback>\n  <report_metadata>\n    <org_name>google.com</org_name>\n'
        "    <email>noreply-dmarc-support@google.com</email>\n"
        f"    <report_id>{number:019}</report_id>\n    <date_range>\n      <begin>{begin}</begin>\n"
        f"      <end>{begin + 86_399}</end>\n    </date_range>\n  </report_metadata>\n  <policy_published>\n"
        "    <domain>example.com</domain>\n    <adkim>r</adkim>\n    <aspf>r</aspf>\n    <p>none</p>\n    <sp>none</sp>\n"
        "    <pct>100</pct>\n  </policy_published>\n"
    )
    return (head + "".join(rows) + "</feedback>\n").encode(), messages


def mail(xml: bytes, number: int, packing: str) -> bytes:
    """The report in a mail, as gzip or zip."""
    name = f"google.com!example.com!1764547200!1764633599!{number}"
    message = EmailMessage()
    message["From"] = "noreply-dmarc-support@google.com"
    message["To"] = "dmarc@example.com"
    message["Subject"] = f"Report domain: example.com Submitter: google.com Report-ID: {number}"
    message["Message-ID"] = f"<{number}@google.com>"
    message["Date"] = "Mon, 01 Dec 2025 10:00:00 +0000"
    if packing == "gz":
        message.add_attachment(gzip.compress(xml), maintype="application", subtype="gzip", filename=f"{name}.xml.gz")
    else:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{name}.xml", xml)
        message.add_attachment(packed.getvalue(), maintype="application", subtype="zip", filename=f"{name}.zip")
    return message.as_bytes()


def ours(folder: Path, passes: int) -> dict[str, Any]:
    """Read every mail to Arrow rows; seconds of each pass, the sums, peak memory in MB."""
    from datetime import UTC, datetime

    from dmarcworks.analytics.rows import Placed, row_count, tables_of
    from dmarcworks.ingest.steps import PUBLISH_ROWS
    from dmarcworks.process import garbage
    from dmarcworks.reports.read import read_bytes, read_mail
    from dmarcworks.settings import Settings

    # As the system does: rows of a batch of mails become one table.
    together = Settings().queue_batch
    received = datetime(2026, 1, 1, tzinfo=UTC)
    waiting: list[Placed[Any]] = []
    mails = 0
    rows = 0

    def flush() -> None:
        nonlocal mails, rows
        tables_of(waiting)
        waiting.clear()
        mails = rows = 0

    def one(path: Path, data: bytes) -> tuple[int, int]:
        nonlocal mails, rows
        reading = read_mail(data) if path.suffix == ".eml" else read_bytes(data, path.name)
        records = messages = 0
        for item in reading.items:
            waiting.append(
                Placed(item.report, "a" * 32, "d" * 32, "example.com", received, item.digest, "k", item.digest)
            )
            rows += row_count(item.report)
            if item.report.kind == "aggregate":
                records += len(item.report.records)
                messages += item.report.messages
        mails += 1
        if mails == together or rows >= PUBLISH_ROWS:
            flush()
        return records, messages

    garbage.rarely()  # as the system does
    return timed(folder, passes, one, flush)


def peer(folder: Path, passes: int) -> dict[str, Any]:
    """The same by parsedmarc, offline."""
    import logging

    import parsedmarc  # type: ignore[import-not-found]

    logging.disable(logging.CRITICAL)

    def one(path: Path, data: bytes) -> tuple[int, int]:
        parsed = parsedmarc.parse_report_file(
            data, offline=True, always_use_local_files=True, normalize_timespan_threshold_hours=10**6
        )
        if parsed["report_type"] != "aggregate":
            return 0, 0
        records = parsed["report"]["records"]
        return len(records), sum(record["count"] for record in records)

    return timed(folder, passes, one)


def timed(folder: Path, passes: int, one: Any, flush: Any = lambda: None) -> dict[str, Any]:
    """Run the passes; what a reader refuses is counted, not hidden."""
    import resource

    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "INDEX.tsv")
    # Both get the bytes: how fast the disk is says nothing of a reader. Processor time, all threads: what else the
    # machine does at the moment says nothing either.
    files = [(path, path.read_bytes()) for path in paths]
    seconds = []
    for _ in range(passes):
        records = messages = failed = 0
        started = time.process_time()
        for path, data in files:
            try:
                found = one(path, data)
            # Whatever a reader raises means that it did not read the file.
            except Exception:
                failed += 1
                continue
            records += found[0]
            messages += found[1]
        flush()
        seconds.append(time.process_time() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "files": len(paths),
        "records": records,
        "messages": messages,
        "failed": failed,
        "cold": seconds[0],
        "warm": statistics.median(seconds[1:] or seconds),
        "peak": peak,
    }


def child(python: Path, who: str, folder: Path, passes: int) -> dict[str, Any]:
    """One measurement in a process of its own."""
    # A child begins with its parent's peak memory, and this process holds the mails that it made: a shell in between.
    command = [
        "/bin/sh",
        "-c",
        '"$0" "$@"; exit $?',
        str(python),
        str(Path(__file__).resolve()),
        "--child",
        who,
        str(folder),
        str(passes),
    ]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT / "src")}
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def middle(results: list[dict[str, Any]]) -> dict[str, Any]:
    """The medians of several measurements of the same; what was read is the same in all."""
    first = results[0]
    for one in results:
        assert all(one[name] == first[name] for name in ("files", "records", "messages", "failed")), results
    return {**first, **{name: statistics.median(one[name] for one in results) for name in ("cold", "warm", "peak")}}


def peer_python() -> Path:
    """The peer's interpreter, installed at the first run."""
    python = PEER / "bin" / "python"
    if not python.exists():
        print("installing parsedmarc into bench/.peer (once)", file=sys.stderr)
        venv.create(PEER, with_pip=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "parsedmarc>=11,<12"], check=True)
    return python


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="without the report of 200,000 records")
    parser.add_argument("--write", action="store_true", help="regenerate docs/benchmarks.md")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        who, folder, passes = options.child
        print(json.dumps((ours if who == "ours" else peer)(Path(folder), int(passes))))
        return 0
    python = peer_python()
    version = subprocess.run(
        [str(python), "-c", "from importlib.metadata import version; print(version('parsedmarc'))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    lines = [
        f"| mails | compression | ours, records/s | parsedmarc {version} warm | cold | ratio to warm | peak MB ours | peak MB theirs |",
        "|---|---|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as scratch:
        for name, mails, (low, high), passes, rounds in CASES if options.quick else (*CASES, HUGE):
            for packing in ("gz", "zip"):
                folder = Path(scratch) / f"{name}-{packing}"
                folder.mkdir()
                dice = random.Random(7)
                written = [0, 0]
                for number in range(mails):
                    records = dice.randint(low, high)
                    xml, messages = document(dice, number, records)
                    (folder / f"{number:04}.eml").write_bytes(mail(xml, number, packing))
                    written[0] += records
                    written[1] += messages
                # Warm for the peer is the second pass; the huge one needs that pass too.
                # A pass of ours is short: more of them, so that one disturbance is not half of the median.
                rounds = [
                    (
                        child(Path(sys.executable), "ours", folder, (passes + 1) * (1 if mails == 1 else 5)),
                        child(python, "peer", folder, passes + 1),
                    )
                    for _ in range(rounds)
                ]
                mine, theirs = middle([turn[0] for turn in rounds]), middle([turn[1] for turn in rounds])
                for who, result in (("ours", mine), ("parsedmarc", theirs)):
                    if not result["failed"] and [result["records"], result["messages"]] != written:
                        print(f"{name} {packing}: {who} read {result}, written {written}", file=sys.stderr)
                size = str(low) if low == high else f"{low}–{high}"
                mails_per_second = f"({mails / mine['warm']:,.0f} mails/s)"
                if theirs["failed"]:
                    told = f"refused {theirs['failed']} of {mails} | refused | –"
                else:
                    told = (
                        f"{written[0] / theirs['warm']:,.0f} ({mails / theirs['warm']:,.1f} mails/s) "
                        f"| {written[0] / theirs['cold']:,.0f} | {theirs['warm'] / mine['warm']:.1f}×"
                    )
                lines.append(
                    f"| {mails:,} × {size} records | {packing} | {written[0] / mine['warm']:,.0f} {mails_per_second} "
                    f"| {told} | {mine['peak']:.0f} | {theirs['peak']:.0f} |"
                )
                print(lines[-1], flush=True)
        if CORPUS.is_dir():
            mine, theirs = child(Path(sys.executable), "ours", CORPUS, 3), child(python, "peer", CORPUS, 3)
            lines.append(
                f"| corpus of other projects, {mine['files']} files | as found | {mine['records'] / mine['warm']:,.0f}, "
                f"{mine['records']:,} records read | {theirs['records'] / theirs['warm']:,.0f}, {theirs['records']:,} records "
                f"read, {theirs['failed']} files refused | – | {theirs['warm'] / mine['warm']:.1f}× | {mine['peak']:.0f} "
                f"| {theirs['peak']:.0f} |"
            )
            print(lines[-1], flush=True)
    if options.write:
        text = (
            "# Benchmarks: parsing\n\n`python bench/reading.py --write` (in the project's virtual environment) regenerates this page. It measures parsing mails "
            "into\ntyped rows, side by side with parsedmarc from PyPI in the same run; each measurement is a separate process, and the figures are "
            f"medians of\nprocessor time. This run: {os.cpu_count()} cores, Python {sys.version.split()[0]}. Compare ratios; absolute times depend on "
            "the machine and the day.\n\n" + "\n".join(lines) + "\n"
        )
        (ROOT / "docs" / "benchmarks.md").write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
