"""SQL of any form is compiled or refused in time that grows with its length, not with its nesting."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from dmarcworks.api.sql.allow import compile_sql
from dmarcworks.errors import DmarcworksError

_NESTED = """
(|) [|] {|} f(|) sum(|) tuple(|) array(|) Nullable(|) Map(|) date(|) String(|) decimal(|) (SELECT_|) if(1,|,2)
(1+|) CAST(|_AS_Int8) NOT_(|) count(DISTINCT_|) x_->_(|) (x)_->_(|) (x,y)_->_(|) x_IN_(|) EXTRACT(DAY_FROM_|)
INTERVAL_(|)_DAY CASE_WHEN_|_THEN_1_END tuple((|)) f((|)) a.b(|)
"""
_REPEATED = """
NOT_ - -_ + ~ CASE_WHEN_ INTERVAL_ x. 1+ 1_AND_ a, *_ x_->_ DISTINCT_ 'a'_ a_AS_b, 1::Int8:: a[1] x_IN_
EXISTS_ JOIN_ -- /* /*_*/ ' " ` $$ \\ ( [ { ) UNION_ALL_SELECT_1_ '' tuple(1), WITH_x_AS_ ORDER_BY_1_ SELECT_
FROM_ {{ {% 1. .. :: 0x
"""
_SECONDS = 60


def _compile(text: str) -> float:
    started = time.process_time()
    with contextlib.suppress(DmarcworksError):
        compile_sql(text, "0" * 32)
    return time.process_time() - started


def run() -> None:
    """In a child: every form at two sizes; ended by the kernel when it hangs."""
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    for form in _NESTED.replace("\n", " ").split():
        print(form, flush=True)
        before, _, after = form.replace("_", " ").partition("|")
        for depth in (1, 31):
            _compile(f"SELECT {before * depth}1{after * depth} FROM dmarc_reports")
    for form in _REPEATED.replace("\n", " ").split():
        print(form, flush=True)
        unit = form.replace("_", " ")
        small, large = (_compile(f"SELECT {unit * (size // len(unit))}1 FROM t") for size in (24_000, 96_000))
        assert large < max(small, 0.05) * 9, (unit, small, large)
    print("done")


def test_no_form_of_sql_takes_longer_than_its_length_says() -> None:
    """Each level of `tuple(` multiplied the time; 31 did not end within two minutes."""
    root = Path(__file__).parents[3]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join((str(root / "src"), str(root)))}
    code = "import runpy, sys; runpy.run_path(sys.argv[1])['run']()"
    done = subprocess.run(
        [sys.executable, "-c", code, __file__], env=environ, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1:] == ["done"], (done.stdout.splitlines()[-1:], done.stderr[-500:])
