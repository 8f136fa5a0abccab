"""`dmarcworks status`: what an administrator looks at first."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from dmarcworks import __version__
from dmarcworks.bindings.contracts import SYSTEM_QUEUE, QueueStats
from dmarcworks.catalogue.stores import Stores, running_server
from dmarcworks.cli.common import print_json, print_table, with_stores
from dmarcworks.enrich.network.setup import ip_data, ip_data_files, ip_data_notice
from dmarcworks.process import logs
from dmarcworks.process.settings_table import shown_url
from dmarcworks.settings import Settings
from dmarcworks.upkeep.refresh_claim import running_refresh
from dmarcworks.upkeep.refresh_state import RefreshState


def status(as_json: bool = typer.Option(False, "--json", help="Print JSON for machines.")) -> None:
    """Print versions, stores and their sizes, queue, last mail, problems, certificate and disk.

    Exit status 1 when a store of the running server does not answer or the server accepts no mail.
    """
    result = with_stores(_status)
    if as_json:
        print_json(result)
    else:
        print_table(["", "state"], list(_lines(result)), "")
    if result["ready"] is not None and result["ready"]["status"] != "ok":
        raise typer.Exit(1)


async def _status(stores: Stores, settings: Settings) -> dict[str, Any]:
    running = running_server(settings)
    queue = (await stores.queue.stats()).get(SYSTEM_QUEUE, QueueStats(0, 0, 0, 0))
    ready = None if running is None else _ready(str(running.get("commands") or running["http"]))
    disk = shutil.disk_usage(settings.home if settings.home.exists() else Path("/"))
    return {
        "version": __version__,
        "data_directory": str(settings.home.resolve()),
        "hostname": settings.hostname,
        "server": None if running is None else {name: running[name] for name in ("pid", "http", "smtp")},
        "ready": ready,
        "stores": {name: {"url": shown_url(url), "bytes": _bytes(url)} for name, url in _urls(settings).items()},
        "domains": len(await stores.accounts.domains()),
        "queue": queue,
        "last_mail": await stores.arrivals.last_mail(),
        "open_problems": await stores.problems.count(),
        "certificate": _certificate(settings, ready),
        "ip_data": _ip_data(settings),
        "senders": await _senders(stores),
        "disk": {"bytes": disk.total, "free_bytes": disk.free},
    }


async def _senders(stores: Stores) -> dict[str, Any]:
    """When the catalogue and files were last applied to all rows, and how far a refresh is that runs now."""
    applied = (await RefreshState.load(stores.kv)).applied
    return {
        "applied": None if applied is None else datetime.fromtimestamp(applied, UTC),
        "refreshing": await running_refresh(stores.kv),
    }


def _ready(url: str) -> dict[str, Any]:
    """What /readyz of the running server returns."""
    import httpx

    try:
        body: dict[str, Any] = httpx.get(f"{url}/readyz", timeout=10, trust_env=False).json()
    except (httpx.HTTPError, ValueError) as error:
        return {"status": "unavailable", "detail": f"the server does not answer: {error or type(error).__name__}"}
    return body


def _certificate(settings: Settings, ready: Mapping[str, Any] | None) -> dict[str, object] | None:
    """The certificate of SMTP, as the running server uses it or as the files are; None when TLS is not set up."""
    if ready is not None and "certificate" in ready:
        shown: dict[str, object] = ready["certificate"]
        return shown
    from dmarcworks.routing.smtp.setup import certificate

    configured = certificate(settings)
    return None if configured is None else dict(configured.status())


def _ip_data(settings: Settings) -> dict[str, object]:
    logs.setup("text", "warning")  # a file that cannot be used is reported on standard error
    files = ip_data_files(ip_data(settings))
    return {"files": [asdict(file) for file in files], "warning": ip_data_notice(settings, files) or None}


def _urls(settings: Settings) -> dict[str, str]:
    return {"database": settings.database, "objects": settings.objects, "analytics": settings.analytics}


def _bytes(url: str) -> int | None:
    """The size on this machine's disk; None for a store elsewhere."""
    for scheme in ("sqlite:///", "file://", "chdb://"):
        if url.startswith(scheme):
            path = url.removeprefix(scheme)
            files = [path, f"{path}-wal", f"{path}-shm"] if scheme == "sqlite:///" else _files(path)
            return sum(_size(file) for file in files)
    return None


def _files(folder: str) -> list[str]:
    return [os.path.join(place, name) for place, _, names in os.walk(folder) for name in names]


def _size(file: str) -> int:
    try:
        return os.stat(file).st_size
    except OSError:  # removed meanwhile
        return 0


def _lines(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    server, ready, queue = result["server"], result["ready"], result["queue"]
    last, shown, disk = result["last_mail"], result["certificate"], result["disk"]
    answers = {} if ready is None else ready.get("stores", {})
    lines = [
        ("version", result["version"]),
        ("data directory", result["data_directory"]),
        ("host name", result["hostname"]),
        ("server", "not running" if server is None else f"process {server['pid']}, {server['http']}"),
        ("SMTP", "not running" if server is None else server["smtp"] or "no"),
    ]
    if ready is not None:
        lines.append(("ready", str(ready.get("detail") or ready["status"])))
    for name, store in result["stores"].items():
        size = "" if store["bytes"] is None else f", {store['bytes'] / 1e6:,.1f} MB"
        answer = answers.get(name, "")
        lines.append((name, f"{store['url']}{size}{f' ({answer})' if answer else ''}"))
    waiting = queue.ready + queue.delayed + queue.leased
    lines += [
        ("domains", str(result["domains"])),
        ("queue", f"{waiting} waiting, {queue.dead} failed permanently"),
        ("last mail", "none yet" if last is None else f"{last:%Y-%m-%d %H:%M} UTC ({_ago(last)} ago)"),
        ("open problems", str(result["open_problems"])),
        ("certificate", "none" if shown is None else ", ".join(f"{key}: {value}" for key, value in shown.items())),
        ("IP data", _network(result["ip_data"])),
        ("senders", _refreshed(result["senders"])),
        ("disk", f"{disk['free_bytes'] / 1e9:,.1f} GB free of {disk['bytes'] / 1e9:,.1f} GB"),
    ]
    return lines


def _network(data: Mapping[str, Any]) -> str:
    files = ", ".join(f"{file['kind']} of {file['built']}" for file in data["files"]) or "none"
    return f"{files} ({data['warning']})" if data["warning"] else files


def _refreshed(senders: Mapping[str, Any]) -> str:
    running, applied = senders["refreshing"], senders["applied"]
    if running is not None:
        return f"being refreshed: {running.done} of {running.total or 'some'} parts done"
    return "not refreshed yet" if applied is None else f"refreshed {applied:%Y-%m-%d %H:%M} UTC ({_ago(applied)} ago)"


def _ago(then: datetime) -> str:
    minutes = int((datetime.now(UTC) - then).total_seconds() // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h" if minutes < 2880 else f"{minutes // 1440} days"
