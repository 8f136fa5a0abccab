"""What /api/v1 answers about domains and their rua addresses, and what it accepts."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from dmarcworks.api.rest.examples import ID, RUA, WHEN
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.setup_records import DnsRecord
from dmarcworks.policy.setup.plan import records_to_publish

__all__ = ["DnsRecordOut", "DomainIn", "DomainOut", "EnabledIn", "RuaAddressOut"]


class DnsRecordOut(BaseModel):
    """A DNS record to publish."""

    name: str = Field(description="Without trailing dot.", examples=["_dmarc.example.com"])
    type: str = Field(description="TXT or MX.", examples=["TXT"])
    value: str = Field(description="Its data.", examples=[f"v=DMARC1; p=none; rua=mailto:{RUA}"])

    @classmethod
    def of(cls, record: DnsRecord) -> DnsRecordOut:
        """From the catalogue."""
        return cls(name=record.name, type=record.type, value=record.value)


class DomainOut(BaseModel):
    """A domain that reports are accepted for."""

    id: str = Field(description="The domain's id, GraphQL's zoneTag.", examples=[ID])
    name: str = Field(description="In lower-case A-labels.", examples=["example.com"])
    rua: str = Field(description="The address that its reports are sent to.", examples=[RUA])
    earlier: list[str] = Field(
        description="Its addresses at earlier names of the report host; they accept mail as well.", examples=[[]]
    )
    enabled: bool = Field(description="Whether mail to that address is taken; false: refused, nothing is deleted.")
    created: datetime = Field(description="When it was added.", examples=[WHEN])
    parked: bool = Field(description="Whether the domain neither sends nor receives mail.")
    proven: datetime | None = Field(
        description="When DNS proved that the domain is the account's; null: unproven.", examples=[WHEN]
    )
    records: list[DnsRecordOut] = Field(
        description="What to publish in the DNS, where nothing is published yet; see /domains/{domain}/setup."
    )

    @classmethod
    def of(cls, domain: Domain, hostname: str) -> DomainOut:
        """From the catalogue."""
        return cls(
            id=domain.id,
            name=domain.name,
            rua=domain.rua,
            earlier=list(domain.earlier),
            enabled=domain.enabled,
            created=domain.created,
            parked=domain.parked,
            proven=domain.proven,
            records=[DnsRecordOut.of(one) for one in records_to_publish(domain, hostname)],
        )


class DomainIn(BaseModel):
    """A domain to accept reports for."""

    name: str = Field(min_length=1, max_length=300, description="Like example.com.", examples=["example.com"])
    parked: bool = Field(False, description="Whether the domain neither sends nor receives mail.")


class EnabledIn(BaseModel):
    """Whether mail to the rua address is accepted."""

    enabled: bool = Field(description="false: mail is refused at RCPT; nothing is deleted.", examples=[False])


class RuaAddressOut(BaseModel):
    """An address that reports are sent to."""

    address: str = Field(description="The address.", examples=[RUA])
    current: bool = Field(
        description="Whether it is the one to publish; false: it is at an earlier name of the report host."
    )
    domain_id: str = Field(description="The domain that it is for.", examples=[ID])
    domain: str = Field(description="That domain's name.", examples=["example.com"])
    enabled: bool = Field(description="Whether mail to it is taken.")

    @classmethod
    def of(cls, domain: Domain, address: str) -> RuaAddressOut:
        """One of the domain's addresses, from the catalogue."""
        current = address == domain.rua
        return cls(address=address, current=current, domain_id=domain.id, domain=domain.name, enabled=domain.enabled)
