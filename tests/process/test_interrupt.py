"""Interrupting a thread: Python code ends, a thread that is over cannot be reached."""

from __future__ import annotations

import threading

from dmarcworks.process.interrupt import ThreadInterrupt, interrupt


def test_python_code_that_never_ends_is_interrupted() -> None:
    """The exception arrives in an endless loop, and only there."""
    running, seen = threading.Event(), []

    def spin() -> None:
        try:
            running.set()
            while True:
                pass
        except ThreadInterrupt:
            seen.append(threading.current_thread().name)

    thread = threading.Thread(target=spin, name="endless", daemon=True)
    thread.start()
    assert running.wait(30)
    assert interrupt(thread)
    thread.join(30)
    assert not thread.is_alive()
    assert seen == ["endless"]


def test_a_broad_handler_does_not_swallow_it() -> None:
    """`except Exception` in the interrupted code lets it pass."""
    assert not issubclass(ThreadInterrupt, Exception)


def test_a_thread_that_has_ended_or_not_begun_is_not_reached() -> None:
    """The answer says so, and nobody else is hit."""
    thread = threading.Thread(target=lambda: None)
    assert not interrupt(thread)
    thread.start()
    thread.join(30)
    assert not interrupt(thread)
