"""Why a connection gave no answer, and what a person does about it: for a call, and for the setup, which has no plan
yet."""

from __future__ import annotations

import socket
import ssl

from msgspec import Struct

from engine.text import clean_line


class NoAnswer(Struct, frozen=True):
    """`why`: a phrase, with what to do. `lasting`: a retry meets the same."""

    why: str
    lasting: bool


def reason(error: BaseException, address: str) -> NoAnswer | None:
    """None for a failure of no known kind. `address`: what a person corrects, such as "[llm] url"."""
    for cause in causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = clean_line(cause.verify_message or str(cause), 120)
            return NoAnswer(f"its certificate is not trusted ({why}); {_cure(cause.verify_code, address)}", True)
        if isinstance(cause, ssl.SSLError):
            why = clean_line(cause.reason or str(cause), 80)
            return NoAnswer(f"TLS failed ({why}); does this port speak https?", True)
        if isinstance(cause, ConnectionRefusedError):
            return NoAnswer(f"connection refused; start the server there, or correct {address}", False)
        if isinstance(cause, socket.gaierror):
            why = clean_line(cause.strerror or str(cause), 80)
            return NoAnswer(f"no such host; correct {address} ({why})", False)
    return None


def _cure(verify_code: int, address: str) -> str:
    """What to do about a certificate, by OpenSSL's code of the failed verification."""
    if verify_code == 9:  # not valid yet
        return "check the clocks of both machines"
    if verify_code == 10:  # expired
        return "renew it on the server"
    if verify_code in (62, 64):  # the name, or the IP address, is not in it
        return f"set {address} to a name that is in it"
    return "name your authority's file in SSL_CERT_FILE"


def is_tls(error: BaseException) -> bool:
    """Whether TLS failed, which happens only after the server was reached."""
    return any(isinstance(cause, ssl.SSLError) for cause in causes(error))


def is_refused(error: BaseException) -> bool:
    """Whether nothing listens at the address."""
    return any(isinstance(cause, ConnectionRefusedError) for cause in causes(error))


def causes(error: BaseException) -> list[BaseException]:
    """An error and its causes, also those inside groups (a name with several addresses fails once per address)."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting and len(found) < 32:
        one = waiting.pop()
        if one is None or one in found:
            continue
        found.append(one)
        waiting += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
    return found
