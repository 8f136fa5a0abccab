"""GraphQL of any form is prepared or refused within what its bounds allow: 64 KiB, 5,000 tokens, 600 fields."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from dmarcworks.api.graphql.prepare import GraphqlBounds, prepare
from dmarcworks.api.graphql.refusal import Refusal
from dmarcworks.api.graphql.service import decoded

QUERIES = {
    "aliases": "{viewer{" + " ".join(f"a{n}:__typename" for n in range(590)) + "}}",
    "the same field": "{viewer{" + "__typename " * 590 + "}}",
    "the same parent": "{" + "viewer{__typename} " * 290 + "}",
    "directives": "{viewer{__typename " + "@skip(if:false)" * 600 + "}}",
    "unknown directives": "{viewer{__typename " + "@a" * 2400 + "}}",
    "lists": "{viewer(a:" + "[" * 2400 + "]" * 2400 + "){a}}",
    "objects": "{viewer(a:" + "{a:" * 1600 + "){a}}",
    "selections": "{a" * 2400,
    "fragments": " ".join(f"fragment f{n} on Query{{...f{n + 1} ...f{n + 1}}}" for n in range(45)) + "{...f0}",
    "inline fragments": "{" + "...{" * 1600,
    "variables": "query(" + " ".join(f"$a{n}:Int" for n in range(1200)) + "){viewer{__typename}}",
    "types": "query($a:" + "[" * 4000 + "){a}",
    "blanks": "{" + " ," * 32_000,
    "comments": "#\n" * 32_000,
    "escapes": '{a(b:"' + "\\u0041" * 10_000 + '")}',
    "block strings": '{a(b:"""' + '\\"""' * 15_000 + '""")}',
    "digits": "{a(b:" + "1" * 65_000 + ")}",
    "names": "{" + "a" * 65_000 + "}",
}
BODIES = {"lists": "[" * 250_000, "objects": '{"a":' * 50_000, "digits": "1" * 250_000, "escapes": '"' + "\\" * 250_000}
# Many times what the slowest takes, a small part of what anything quadratic would.
_SECONDS, _MOST = 60, 6.0


def run() -> None:
    """In a child: processor time of each; ended by the kernel when it hangs."""
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    prepare("{viewer{__typename}}", {}, None, GraphqlBounds())
    for name, query in QUERIES.items():
        started = time.process_time()
        with contextlib.suppress(Refusal):
            prepare(query, {}, None, GraphqlBounds())
        print(json.dumps([name, time.process_time() - started]), flush=True)
    for name, body in BODIES.items():
        started = time.process_time()
        with contextlib.suppress(Refusal):
            decoded(body)
        print(json.dumps([f"body {name}", time.process_time() - started]), flush=True)


def test_no_form_of_graphql_takes_long() -> None:
    """Every form ends, in a child with a limit of processor time, as a plan or as a refusal."""
    root = Path(__file__).parents[3]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join((str(root / "src"), str(root)))}
    code = "import runpy, sys; runpy.run_path(sys.argv[1])['run']()"
    command = [sys.executable, "-c", code, __file__]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout[-200:], done.stderr[-500:])
    seconds = dict(json.loads(line) for line in done.stdout.splitlines())
    assert len(seconds) == len(QUERIES) + len(BODIES)
    assert {name: spent for name, spent in seconds.items() if spent > _MOST} == {}
