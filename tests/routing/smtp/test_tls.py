"""Mail comes in under TLS 1.2 or newer, by STARTTLS or from the first byte, with the files' certificate of now."""

from __future__ import annotations

import asyncio
import smtplib
import socket
import ssl
from pathlib import Path

import pytest
import trustme

from dmarcworks.errors import SettingsError
from dmarcworks.routing.smtp import Listener, SmtpServer
from tests.support.certificates import HOST, Files
from tests.support.smtp_client import RUA, Client, Connect, SmtpBackend, Start
from tests.support.waiting import wait_until

MAIL = b"Subject: report\r\n\r\nHello\r\n"
TLS = Listener("127.0.0.1", tls=True)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


async def serial(server: SmtpServer, files: Files) -> str:
    """The serial number of the certificate that a new connection is shown."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    client = Client(reader, writer)
    assert (await client.reply()).startswith("220")
    assert (await client.say("STARTTLS")) == "220 2.0.0 Ready to start TLS"
    await writer.start_tls(files.trust(), server_hostname=HOST)
    number = str(writer.get_extra_info("peercert")["serialNumber"])
    writer.close()
    return number


async def test_starttls_is_offered_and_the_mail_comes_under_it(
    start: Start, files: Files, backend: SmtpBackend
) -> None:
    """The standard library's client verifies the certificate and sends; the delivery learns of TLS and its cipher."""
    server = await start(certificate=files.load())

    def send() -> list[str]:
        with smtplib.SMTP("127.0.0.1", server.port, "mail.example", timeout=10) as client:
            client.ehlo()
            before = client.has_extn("starttls")
            client._host = HOST  # type: ignore[attr-defined]  # the name that the certificate must have
            client.starttls(context=files.trust())
            client.ehlo()
            after = client.has_extn("starttls")
            client.sendmail("a@mail.example", [RUA], MAIL)
            return [str(before), str(after)]

    assert await asyncio.to_thread(send) == ["True", "False"]
    (taken,) = backend.accepted
    assert taken[2] == MAIL
    assert (taken[3].tls, taken[3].protocol, taken[3].helo) == ("TLSv1.3", "ESMTPS", "mail.example")
    assert taken[3].cipher.startswith("TLS_")


async def test_without_a_certificate_there_is_no_starttls(start: Start, connect: Connect) -> None:
    """What is not there is not offered, and asked for all the same it is refused."""
    client = await connect(await start())
    assert "STARTTLS" not in await client.say("EHLO mail.example")
    assert await client.say("STARTTLS") == "500 5.5.1 Command not recognised"


async def test_tls_from_the_first_byte(start: Start, files: Files, backend: SmtpBackend) -> None:
    """A /tls listener speaks TLS at once, like port 465."""
    server = await start(TLS, certificate=files.load())
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=files.trust(), server_hostname=HOST)
    client = Client(reader, writer)
    assert await client.reply() == "220 reports.example.net ESMTP"
    assert "STARTTLS" not in await client.say("EHLO mail.example")
    assert await client.say("STARTTLS") == "503 5.5.1 TLS is on already"
    await client.up_to_data()
    await client.send(MAIL + b".\r\n")
    assert await client.reply() == "250 2.0.0 Accepted"
    assert (backend.accepted[0][3].tls, backend.accepted[0][3].protocol) == ("TLSv1.3", "ESMTPS")
    writer.close()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_tls_before_1_2_is_refused(start: Start, files: Files) -> None:
    """Nothing older than TLS 1.2; 1.2 itself is fine."""
    server = await start(TLS, certificate=files.load())
    for version, welcome in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True)):
        context = files.trust()
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = version
        context.set_ciphers("ALL:@SECLEVEL=0")
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context, server_hostname=HOST)
            writer.close()
            taken = True
        except (ssl.SSLError, ConnectionError):
            taken = False
        assert taken is welcome, version


async def test_what_was_said_in_clear_is_forgotten(start: Start, connect: Connect, files: Files) -> None:
    """After the handshake the conversation begins anew (RFC 3207 §4.2)."""
    client = await connect(await start(certificate=files.load()))
    await client.say("EHLO mail.example")
    await client.say("MAIL FROM:<a@mail.example>")
    assert (await client.say("STARTTLS")).startswith("220")
    await client.writer.start_tls(files.trust(), server_hostname=HOST)
    assert await client.say(f"RCPT TO:<{RUA}>") == "503 5.5.1 MAIL comes first"
    assert await client.say("MAIL FROM:<a@mail.example>") == "503 5.5.1 HELO or EHLO comes first"


async def test_commands_injected_before_the_handshake_are_not_obeyed(
    start: Start, connect: Connect, files: Files, backend: SmtpBackend
) -> None:
    """What somebody in the middle put behind STARTTLS in clear never counts as said under TLS (CVE-2011-0411)."""
    client = await connect(await start(certificate=files.load()))
    await client.say("EHLO mail.example")
    await client.send(f"STARTTLS\r\nEHLO evil\r\nMAIL FROM:<evil@mail.example>\r\nRCPT TO:<{RUA}>\r\n")
    assert await client.reply() == "503 5.5.1 Nothing may follow STARTTLS before the handshake"
    assert await client.closed()


async def test_a_handshake_that_is_none_ends_the_connection(start: Start, connect: Connect, files: Files) -> None:
    """Who says STARTTLS and then no TLS is closed, is counted no more, and the next is served."""
    server = await start(certificate=files.load())
    client = await connect(server)
    assert (await client.say("STARTTLS")).startswith("220")
    await client.send(b"EHLO mail.example\r\n" * 20)
    await client.reader.read()
    await wait_until(lambda: not server.connections, "every connection closed")
    assert server.limits.total == 0
    assert len(await serial(server, files)) > 5


async def test_a_renewed_certificate_is_shown_without_a_restart(start: Start, files: Files) -> None:
    """New connections get the new certificate; a broken one changes nothing until it is mended."""
    server = await start(certificate=files.load())
    first = await serial(server, files)
    assert await serial(server, files) == first
    files.renew()
    second = await serial(server, files)
    assert second != first
    files.certificate.write_text("broken")
    assert await serial(server, files) == second
    files.certificate.unlink()
    assert await serial(server, files) == second
    files.renew()
    assert await serial(server, files) not in (first, second)


@pytest.mark.parametrize("what", ["absent", "text", "other key", "no key", "folder"])
def test_bad_files_are_said_at_the_start(files: Files, tmp_path: Path, what: str) -> None:
    """A certificate that cannot serve is an error that names the files, before anything listens."""
    if what == "absent":
        files.certificate.unlink()
    elif what == "text":
        files.certificate.write_text("not a certificate")
    elif what == "other key":
        trustme.CA().issue_cert(HOST).private_key_pem.write_to_path(str(files.key))
    elif what == "no key":
        files.key.write_text("")
    else:
        files.key.unlink()
        files.key.mkdir()
    with pytest.raises(SettingsError) as refused:
        files.load()
    cert, key = f"DMARCWORKS_SMTP_TLS_CERT={files.certificate}", f"DMARCWORKS_SMTP_TLS_KEY={files.key}"
    assert (
        str(refused.value)
        == {
            "absent": f"{cert} cannot be read: No such file or directory",
            "text": f"{cert}: there is no certificate in PEM form",
            "other key": f"{cert}, {key}: not a certificate and its key in PEM form: KEY_VALUES_MISMATCH",
            "no key": f"{key}: there is no key in PEM form",
            "folder": f"{key} cannot be read: Is a directory",
        }[what]
    )
    assert "PRIVATE" not in str(refused.value)


async def test_a_tls_listener_needs_a_certificate(start: Start) -> None:
    """It is said by name instead of failing at the first handshake."""
    with pytest.raises(SettingsError, match="DMARCWORKS_SMTP_TLS_CERT"):
        await start(TLS)


async def test_a_handshake_that_never_comes_does_not_hold_up_others(start: Start, files: Files) -> None:
    """A client that connects to the /tls door and says nothing is one connection, and no more."""
    server = await start(TLS, certificate=files.load(), connections_per_address=2)
    silent = socket.create_connection(("127.0.0.1", server.port))
    await wait_until(lambda: server.limits.total == 1, "the silent connection counted")
    _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=files.trust(), server_hostname=HOST)
    assert server.limits.total == 2
    writer.close()
    silent.close()
