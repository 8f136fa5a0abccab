"""Names under which strangers get names: public suffixes (publicsuffix.org), and the networks of shared hosters.

Neither may be the PTR suffix of a service: a customer's host has such a name too, with any mail.
"""

from __future__ import annotations

import functools

from publicsuffixlist import PublicSuffixList

__all__ = ["public_suffix", "registry_suffix", "shared_hoster"]

# Domains in which hosters name the machines and addresses of their customers only: nothing inside names a service.
_CUSTOMERS = frozenset(
    {
        "amazonaws.com",
        "amazonaws.com.cn",
        "azure.com",
        "clients.your-server.de",
        "cloudapp.net",
        "contaboserver.net",
        "datapacket.com",
        "googleusercontent.com",
        "hostwindsdns.com",
        "ip-ptr.tech",
        "linode.com",
        "linodeusercontent.com",
        "poneytelecom.eu",
        "rev.scaleway.com",
        "sl-reverse.com",
        "stratoserver.net",
        "upcloud.host",
        "vultr.com",
        "vultrusercontent.com",
    }
)
# Domains with customers' machines and also the hoster's own mail hosts: a name inside may be a service's.
_MIXED = frozenset(
    {
        "digitalocean.com",
        "dreamhost.com",
        "hetzner.com",
        "kunden-server.de",
        "kundenserver.de",
        "leaseweb.com",
        "ovh.ca",
        "ovh.net",
        "ovh.us",
        "rackspace.net",
        "scaleway.com",
        "secureserver.net",
        "softlayer.com",
        "your-server.de",
    }
)


def shared_hoster(name: str) -> bool:
    """Whether customers of a hoster have machines with names below this one."""
    return any(
        name == hoster or hoster.endswith("." + name) or (hoster in _CUSTOMERS and name.endswith("." + hoster))
        for hoster in _CUSTOMERS | _MIXED
    )


def public_suffix(name: str) -> bool:
    """Whether names directly below this one belong to different owners, by either section of the list."""
    below = "x--x." + name
    return _all().publicsuffix(below) in (name, below)


def registry_suffix(name: str) -> bool:
    """Whether names directly below this one are registered by different owners at a registry (the ICANN section)."""
    below = "x--x." + name
    return _registries().publicsuffix(below) in (name, below)


@functools.cache
def _all() -> PublicSuffixList:
    return PublicSuffixList(accept_unknown=True)


@functools.cache
def _registries() -> PublicSuffixList:
    return PublicSuffixList(accept_unknown=True, only_icann=True)
