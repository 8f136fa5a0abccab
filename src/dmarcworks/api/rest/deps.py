"""The caller of a route. Every route of /api/v1 has a `Reader`, `Writer` or `Admin` among its parameters.

A caller sees its own account, and of that the domains that its token is limited to; anything else is 404, with the same
response as for something that does not exist.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from dmarcworks.api import auth
from dmarcworks.api.deps import Dependencies, Deps, deps_of
from dmarcworks.catalogue.accounts import Domain, Token
from dmarcworks.errors import DeniedError, NotFoundError

__all__ = ["Admin", "Caller", "Reader", "Writer", "authenticated"]


@dataclass(frozen=True, slots=True)
class Caller:
    """A request's token and what it may see."""

    deps: Deps
    token: Token
    peer: str

    @property
    def account_id(self) -> str:
        """The one account that it sees."""
        return self.token.account_id

    @property
    def name(self) -> str:
        """What a person calls it."""
        return f"token {self.token.name or self.token.id}"

    def whole(self) -> None:
        """`DeniedError` for a token that is limited to some domains: this concerns the whole account."""
        auth.require_whole(self.token)

    async def domain(self, name_or_id: str) -> Domain:
        """A domain within reach, by name or id; `NotFoundError` for any other."""
        match = await self.deps.accounts.domain(self.account_id, name_or_id)
        if match is None or not self.token.sees(match.id):
            raise NotFoundError("there is no such domain")
        return match

    async def domains(self) -> list[Domain]:
        """All domains within reach, by name."""
        return [domain for domain in await self.deps.accounts.domains(self.account_id) if self.token.sees(domain.id)]

    async def domain_ids(self, wanted: str | None) -> tuple[str, ...] | None:
        """What a list is narrowed to: the wanted domain, else those of the token, or None for the whole account."""
        return self.token.domains if wanted is None else ((await self.domain(wanted)).id,)


_SCHEME = HTTPBearer(auto_error=False, scheme_name="token", description="A token of `dmarcworks token create`.")


async def authenticated(request: Request) -> Token:
    """The request's token, looked up once."""
    verified: Token | None = getattr(request.state, "token", None)
    if verified is None:
        verified = await auth.token(request, (await deps_of(request)).accounts)
        request.state.token = verified
    return verified


def _needs(scope: str) -> Callable[..., Awaitable[Caller]]:
    async def dependency(request: Request, deps: Dependencies, _: Annotated[object, Depends(_SCHEME)]) -> Caller:
        token = await authenticated(request)
        if not token.allows(scope):
            raise DeniedError(f"this needs a token with the scope {scope!r}")
        return Caller(deps, token, auth.address(request))

    return dependency


Reader = Annotated[Caller, Depends(_needs("read"))]
Writer = Annotated[Caller, Depends(_needs("write"))]
Admin = Annotated[Caller, Depends(_needs("admin"))]
