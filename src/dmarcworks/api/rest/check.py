"""/domains/{domain}/check: the DNS records of one of the account's domains, looked up and checked now.

/domains/{domain}/checks: the last check as it was stored; POST requests a check in the background.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from dmarcworks.api.rest.check_models import DomainCheckOut
from dmarcworks.api.rest.deps import Caller, Reader, Writer
from dmarcworks.api.rest.history_models import CheckRequestIn, StoredCheckOut
from dmarcworks.api.rest.params import DomainRef
from dmarcworks.api.rest.route import Route
from dmarcworks.api.rest.tags import answer
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.errors import NotFoundError, UsageError
from dmarcworks.policy.dns_records.report_card import CardRequest
from dmarcworks.policy.dns_records.seen import seen_selectors

routes = APIRouter(tags=["domains"], route_class=Route)

_Selectors = Annotated[
    str | None,
    Query(pattern=r"^[A-Za-z0-9._,-]{1,1000}$", description="DKIM selectors to check, separated by commas."),
]
_Selector = Annotated[
    str | None, Query(pattern=r"^[A-Za-z0-9._-]{1,253}$", description="One more DKIM selector to check.")
]
_SpfIp = Annotated[
    str | None, Query(max_length=45, description="Evaluate SPF for mail from this IP address.", examples=["192.0.2.1"])
]
_MailFrom = Annotated[
    str | None,
    Query(
        max_length=320,
        description="With spf_ip: the envelope sender; empty for a bounce. Default: the domain.",
        examples=["news@example.com"],
    ),
]
_Helo = Annotated[
    str | None, Query(max_length=253, description="With spf_ip: the HELO name.", examples=["mail.example.com"])
]


@routes.get(
    "/domains/{domain}/check",
    operation_id="check_domain",
    response_model=DomainCheckOut,
    responses={400: {}, 404: {}},
    summary="Check a domain's DNS records",
)
async def check(
    request: Request,
    caller: Reader,
    domain: DomainRef,
    selectors: _Selectors = None,
    selector: _Selector = None,
    spf_ip: _SpfIp = None,
    mail_from: _MailFrom = None,
    helo: _Helo = None,
) -> Response:
    """DMARC, SPF, DKIM, MX, MTA-STS, TLS-RPT, BIMI and DNSSEC, as DNS answers now, within 15 seconds.

    The DKIM keys are those that `selectors` and `selector` name, and those that signed in reports of the last 30 days.
    """
    wanted = await caller.domain(domain)
    names = tuple(name for name in (*(selectors or "").split(","), selector or "") if name)
    today = caller.deps.now().date()
    seen = await seen_selectors(caller.deps.questions, caller.account_id, wanted.id, wanted.name, today)
    wanted_card = CardRequest(
        wanted.name,
        tuple(dict.fromkeys(names)),
        _spf_ip(spf_ip, mail_from, helo),
        mail_from,
        helo or "",
        report_host=caller.deps.hostname,
        seen_selectors=seen,
    )
    card = await caller.deps.check_records(wanted_card)
    return answer(request, DomainCheckOut.of(card))


@routes.get(
    "/domains/{domain}/checks",
    operation_id="get_stored_check",
    response_model=StoredCheckOut,
    responses={404: {}},
    summary="Show the last stored check",
)
async def stored(request: Request, caller: Reader, domain: DomainRef) -> Response:
    """The report card and the records of the last check, with its time and resolver, and when the next one is due."""
    return answer(request, await _stored(caller, await caller.domain(domain)))


@routes.post(
    "/domains/{domain}/checks",
    operation_id="request_check",
    status_code=202,
    response_model=StoredCheckOut,
    responses={400: {}, 404: {}},
    summary="Request a check",
)
async def request_check(request: Request, caller: Writer, domain: DomainRef, body: CheckRequestIn) -> Response:
    """Check all records as soon as possible, in the background. The selectors are checked from now on."""
    wanted = await caller.domain(domain)
    if not await caller.deps.dns_schedule.request(wanted.account_id, wanted.id, body.selectors):
        raise NotFoundError("there is no such domain")
    return answer(request, await _stored(caller, wanted), 202)


async def _stored(caller: Caller, domain: Domain) -> StoredCheckOut:
    place = (domain.account_id, domain.id)
    history, schedule = caller.deps.dns_history, caller.deps.dns_schedule
    return StoredCheckOut.of(
        domain.name, await history.card(*place), await history.latest(*place), await schedule.status(*place)
    )


def _spf_ip(spf_ip: str | None, mail_from: str | None, helo: str | None) -> str:
    if not spf_ip:
        if mail_from is not None or helo:
            raise UsageError("mail_from and helo need spf_ip; give the address of the sending server")
        return ""
    try:
        return str(ipaddress.ip_address(spf_ip.strip()))
    except ValueError:
        raise UsageError(f"spf_ip {spf_ip!r} is not an IP address") from None
