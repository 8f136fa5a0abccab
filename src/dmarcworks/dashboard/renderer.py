"""The pages' HTML: templates with what all of them share, and errors as pages. The dependency `Html` of every page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from dmarcworks.api.deps import Deps
from dmarcworks.dashboard import charts, format, sender_words
from dmarcworks.dashboard.assets import Assets
from dmarcworks.dashboard.form_token import form_token
from dmarcworks.dashboard.links import sender_path, url
from dmarcworks.dashboard.visit import Visit

__all__ = ["Html", "Renderer"]

_WORDS = {
    400: ("Invalid request", "The address or the form contains a value that this page does not accept."),
    403: (
        "Not allowed",
        "The form was not sent from this page, or the page has expired. Go back, reload and try again.",
    ),
    404: ("Not found", "There is no such page, or it belongs to another account."),
    405: ("Not found", "This address does not support the request method."),
    409: ("Conflict", ""),
    413: ("Request too large", "The request is larger than this page accepts."),
    429: ("Too many attempts", "Wait a minute, then try again."),
    503: (
        "Storage is unavailable",
        "Nothing is lost: incoming mail is deferred and will be sent again. Reload in a moment.",
    ),
}
_FALLBACK = (
    "Internal error",
    "The error is in the server's log. Your reports are safe. Reload, or go back.",
)


class Renderer:
    """Templates and static files; there is one per application, in `app.state.html`."""

    def __init__(self, deps: Deps, assets: Assets | None = None) -> None:
        self._deps = deps
        self.assets = assets or Assets()
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(format.FILTERS)
        self._templates.globals.update(
            asset=self.assets.url,
            percent=format.percent,
            ago=self._ago,
            share=charts.share,
            url=url,
            unknown=format.UNKNOWN,
            sender_path=sender_path,
            sender_class=sender_words.CLASSES.__getitem__,
            sender_kind=sender_words.kind_of,
            sender_to_do=sender_words.to_do,
        )

    async def page(self, visit: Visit, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """Render a template for the visitor."""
        # When problems cannot be counted, the requested page must still be shown.
        problems = await self._deps.problems.count(visit.user.account_id) if visit.user else 0
        return HTMLResponse(self.render(visit, template, problems_open=problems, **values), status)

    def render(self, visit: Visit, template: str, **values: Any) -> str:
        """The template's text."""
        return self._templates.get_template(template).render(
            user=visit.user, csrf=form_token(visit.secret), path=visit.request.url.path, now=self._deps.now(), **values
        )

    def error(self, visit: Visit, status: int, text: str = "") -> HTMLResponse:
        """An error as a page: what happened, what is safe, what to try."""
        title, words = _WORDS.get(status, _FALLBACK)
        # Starlette's own details ("Not Found") only repeat the title.
        detail = text if " " in text and text.casefold() != title.casefold() and status < 500 else words
        page = self.render(visit, "error.html", status=status, title=title, text=detail or words, problems_open=0)
        return HTMLResponse(page, status)

    def _ago(self, value: Any) -> str:
        return format.ago(value, self._deps.now())


async def _renderer(request: Request) -> Renderer:
    html: Renderer = request.app.state.html
    return html


Html = Annotated[Renderer, Depends(_renderer)]
