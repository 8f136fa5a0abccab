"""Log lines: none is lost or out of order, few are seen at once, many share a write, and a warning waits for nobody."""

from __future__ import annotations

import subprocess
import sys
import threading
from io import StringIO

from dmarcworks.process.log_writer import BufferedLoggerFactory
from tests.support.waiting import wait_for


class Counted(StringIO):
    """Counts the writes."""

    writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)


def test_one_line_is_there_at_once() -> None:
    """Where little happens nobody waits for the log."""
    file = Counted()
    BufferedLoggerFactory(file)().info("up")
    assert file.getvalue() == "up\n"


def test_many_lines_share_writes_and_keep_their_order() -> None:
    """Ten threads' lines all arrive, each thread's in its order, by far fewer writes than lines."""
    file = Counted()
    make = BufferedLoggerFactory(file)

    def talk(who: int) -> None:
        logger = make("name")
        for n in range(500):
            logger.info(f"{who} {n}")

    threads = [threading.Thread(target=talk, args=(who,)) for who in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_for(lambda: file.getvalue().count("\n") == 5000, "every line written")
    lines = [line.split() for line in file.getvalue().splitlines()]
    assert len(lines) == 5000
    for who in range(10):
        assert [int(n) for w, n in lines if int(w) == who] == list(range(500))
    assert file.writes < 1000


def test_a_warning_takes_what_waits_along() -> None:
    """It is written before the call returns, behind what was said before it."""
    file = Counted()
    logger = BufferedLoggerFactory(file)()
    for n in range(20):
        logger.info(str(n))
    logger.warning("look")
    assert file.getvalue() == "".join(f"{n}\n" for n in range(20)) + "look\n"


def test_the_last_lines_of_a_process_are_written() -> None:
    """An end of the process, by an error too, loses no line."""
    code = (
        "import sys\nimport structlog\nfrom dmarcworks.process import logs\nlogs.setup('json')\n"
        "log = structlog.get_logger('x')\n"
        "for n in range(50):\n    log.info('said', n=n)\nraise SystemExit(3)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 3
    lines = done.stderr.splitlines()
    assert len(lines) == 50
    assert '"n": 49' in lines[-1]


def test_nobody_reads_any_more() -> None:
    """A closed file ends nothing."""
    file = Counted()
    logger = BufferedLoggerFactory(file)()
    file.close()
    logger.error("told to nobody")
    logger.info("nor this")
