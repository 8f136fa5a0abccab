"""How far a folder is whose mails have names instead of rising numbers: POP3's unique ids, and files. Pure.

Every name that is done and still there is kept, so that with `leave` the number of mails is bounded.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from dmarcworks.catalogue.mailbox_state import FolderMark
from dmarcworks.sources.contract import MailboxError, WaitingMail

__all__ = ["NAMES", "NameProgress"]

# Names that are kept, at most.
NAMES = 10_000


class NameProgress:
    """The progress of one folder."""

    def __init__(self, folder: str, mark: FolderMark | None, names: Sequence[str]) -> None:
        values = json.loads(mark.marker) if mark is not None and mark.marker else {}
        there = set(names)
        self.folder = folder
        self._done: dict[str, None] = {name: None for name in values.get("done", ()) if name in there}
        self._unsettled = {name: None for name in values.get("unsettled", ()) if name in there}
        self._waiting = sum(name not in self._done for name in names)
        if len(self._done) > NAMES:
            raise MailboxError(
                "settings",
                f"{folder} holds more than {NAMES:,} mails that were processed and left there; choose move or delete,"
                " or remove some.",
            )

    def new(self, names: Iterable[str]) -> list[WaitingMail]:
        """Those that are not done, in their order."""
        return [WaitingMail(self.folder, name) for name in names if name not in self._done]

    def unsettled(self) -> list[WaitingMail]:
        """Those that were accepted and are to be settled."""
        return [WaitingMail(self.folder, name) for name in self._unsettled]

    def note(self, names: Iterable[str], *, settled: bool) -> FolderMark:
        """They are done, or accepted and to be settled."""
        for name in names:
            if name not in self._done:
                self._done[name] = None
                self._waiting -= 1
            if settled:
                self._unsettled.pop(name, None)
            else:
                self._unsettled[name] = None
        return self.mark()

    def mark(self) -> FolderMark:
        """What is stored."""
        values = {"done": list(self._done), "unsettled": list(self._unsettled)}
        return FolderMark(json.dumps(values, ensure_ascii=False), self._waiting)
