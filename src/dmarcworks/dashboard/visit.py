"""Who sends a request to a page, and with which form: the dependencies `UserVisit` and `AnyVisit` of every page.

In: a request. Out: a `Visit`. Refused: a form without its token or from another site (403), a form over 16 KiB or, with
a file, over 256 KiB (413). Without a session a `UserVisit` raises `LoginRequiredError`, which the page's route answers
with the way to the login.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import parse_qsl, urlsplit

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request

from dmarcworks.api import auth
from dmarcworks.api.deps import Dependencies, Deps
from dmarcworks.catalogue.accounts import User
from dmarcworks.catalogue.audit import Actor, act
from dmarcworks.dashboard.form_token import is_form_token
from dmarcworks.dashboard.uploaded_form import uploaded_form
from dmarcworks.errors import DeniedError, UsageError

__all__ = ["AnyVisit", "LoginRequiredError", "UserVisit", "Visit", "visit_of"]

FORM_BYTES = 16 * 1024
# A form with a file.
UPLOAD_BYTES = 256 * 1024


class LoginRequiredError(DeniedError):
    """A page was requested without a session."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A request with who sent it. `user` is None only on pages that are open to all."""

    request: Request
    user: User | None
    secret: str
    form: Mapping[str, str]

    @property
    def account_id(self) -> str:
        """The account that the visitor may see."""
        if self.user is None:
            raise DeniedError("this page requires a login")
        return self.user.account_id

    @property
    def email(self) -> str:
        """The user's e-mail address; empty for a visitor who is not logged in."""
        return self.user.email if self.user else ""

    @property
    def address(self) -> str:
        """The network address of the visitor."""
        return auth.address(self.request)

    def query(self, name: str, default: str = "") -> str:
        """A query parameter, at most 400 characters of it."""
        return self.request.query_params.get(name, default)[:400]

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """A query parameter as a number between bounds; the default when it is none."""
        text = self.query(name)
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            return default
        return min(max(int(text), least), most)


async def visit_of(request: Request, deps: Dependencies) -> Visit:
    """The visit; also in `request.state.visit`, so that an error page knows its visitor."""
    user = await auth.user(request, deps.accounts)
    secret = request.cookies[auth.COOKIE] if user else ""
    form: dict[str, str] = {}
    if request.method == "POST":
        _require_same_site(request, deps)
        form = await _form(request, upload=user is not None)
        if user is not None:
            act(Actor("user", user.email, auth.address(request)))
        if user is not None and not is_form_token(form.get("csrf", ""), secret):
            raise HTTPException(403)
    visit = Visit(request, user, secret, form)
    request.state.visit = visit
    return visit


AnyVisit = Annotated[Visit, Depends(visit_of)]


async def _signed_in(visit: AnyVisit) -> Visit:
    if visit.user is None:
        raise LoginRequiredError("this page requires a login")
    return visit


UserVisit = Annotated[Visit, Depends(_signed_in)]


def _require_same_site(request: Request, deps: Deps) -> None:
    """Browsers send where a form comes from; one from another site is refused, logged in or not."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        allowed = site in ("same-origin", "none")
    else:
        ours = {request.headers.get("host", ""), urlsplit(deps.public_url).netloc}
        allowed = origin is None or urlsplit(origin).netloc in ours
    if not allowed:
        raise HTTPException(403)


async def _form(request: Request, *, upload: bool) -> dict[str, str]:
    """The fields of a form; a file only from somebody who is logged in."""
    content_type = request.headers.get("content-type", "")
    uploaded = upload and content_type.lower().startswith("multipart/form-data")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > (UPLOAD_BYTES if uploaded else FORM_BYTES):
            raise HTTPException(413)
    if uploaded:
        try:
            return uploaded_form(content_type, bytes(body))
        except UsageError:
            raise HTTPException(400) from None
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise HTTPException(400) from None
    return dict(pairs)
