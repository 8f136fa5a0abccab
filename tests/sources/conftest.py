"""One Dovecot and one test system for the tests of a module."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.support.dovecot import Dovecot
from tests.support.harness import Harness, opened_harness


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    server = Dovecot()
    try:
        server.start()
        yield server
    finally:
        server.end()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def harness(tmp_path_factory: pytest.TempPathFactory, dovecot: Dovecot) -> AsyncIterator[Harness]:
    home = tmp_path_factory.mktemp("mailboxes") / "home"
    settings = {"mailbox_ca_file": str(dovecot.ca_file), "mailbox_timeout_seconds": 5.0, "mail_bytes": 1 << 20}
    async with opened_harness(home, **settings) as made:
        await made.add_domain("example.com")
        yield made
