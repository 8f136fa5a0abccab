"""/domains/{domain}/setup and /domains/import: what is published of a domain's records, and many domains at once."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from dmarcworks.api.rest.deps import Reader, Writer
from dmarcworks.api.rest.params import DomainRef
from dmarcworks.api.rest.route import Route
from dmarcworks.api.rest.setup_models import DomainFileIn, DomainOutcomesOut, DomainSetupOut
from dmarcworks.api.rest.tags import answer
from dmarcworks.catalogue.domain_lines import add_lines, domain_lines
from dmarcworks.errors import ConflictError, NotFoundError

__all__ = ["FILE_DOMAINS", "routes"]

# Domains of one request: each is a transaction.
FILE_DOMAINS = 500

routes = APIRouter(tags=["domains"], route_class=Route)


@routes.get(
    "/domains/{domain}/setup",
    operation_id="get_domain_setup",
    response_model=DomainSetupOut,
    responses={404: {}},
    summary="Show the set-up of a domain",
)
async def show(request: Request, caller: Reader, domain: DomainRef) -> Response:
    """What is published, what is missing and what to publish, as of the newest look at DNS."""
    return answer(request, DomainSetupOut.of(await caller.deps.setups.of(await caller.domain(domain))))


@routes.post(
    "/domains/{domain}/setup/check",
    operation_id="check_domain_setup",
    status_code=202,
    response_model=DomainSetupOut,
    responses={404: {}, 409: {}},
    summary="Look up the records of a domain",
)
async def check(request: Request, caller: Writer, domain: DomainRef) -> Response:
    """DNS is looked up in the background; `checking` in the response of /setup is false once it is done."""
    wanted = await caller.domain(domain)
    if not caller.deps.setup_checks:
        raise ConflictError("this server does not look up records (DMARCWORKS_SETUP_CHECKS is off)")
    await caller.deps.setups.request(wanted)
    out = DomainSetupOut.of(await caller.deps.setups.of(wanted))
    return answer(request, out, 202, {"Location": f"/api/v1/domains/{wanted.id}/setup"})


@routes.post(
    "/domains/import",
    operation_id="import_domains",
    response_model=DomainOutcomesOut,
    responses={400: {}},
    summary="Add many domains",
)
async def add_file(request: Request, caller: Writer, body: DomainFileIn) -> Response:
    """Add every domain of a file that the account does not have yet; each line has its outcome."""
    caller.whole()
    account = await caller.deps.accounts.account(caller.account_id)
    if account is None:
        raise NotFoundError("there is no such account")
    outcomes = await add_lines(caller.deps.accounts, account, domain_lines(body.csv, FILE_DOMAINS))
    return answer(request, DomainOutcomesOut.of(outcomes))
