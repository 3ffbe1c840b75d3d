"""The proxy that the environment names for a server, read as curl reads it, or a sentence on why it cannot be used."""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import re
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

Origin = tuple[str, str, int | None]  # scheme, host, port

_SCHEMES = ("http", "https", "socks5", "socks5h")


class UnusableProxy(ValueError):
    """The message is a sentence that names the variable and the fix."""


@dataclass(frozen=True, slots=True)
class Proxy:
    url: str
    variable: str

    @property
    def shown(self) -> str:
        """The proxy's address without user and password."""
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{host} ({self.variable})"


def proxy_for(origin: Origin, environ: Mapping[str, str] = os.environ) -> Proxy | None:
    """The proxy for this server; None for a server on this machine, whatever the environment says. Raises
    UnusableProxy."""
    scheme, host, port = origin
    if _is_here(host) or _is_excepted(host, port, environ):
        return None
    name = f"{scheme}_proxy"
    value = urllib.request.getproxies().get(scheme, "")
    if not value:
        name, value = "all_proxy", urllib.request.getproxies().get("all", "")
    if not value.strip():
        return None
    variable = next((spelt for spelt in (name, name.upper()) if spelt in environ), name)
    return Proxy(_usable(value.strip(), variable), variable)


def _usable(value: str, variable: str) -> str:
    """The proxy's address, with a scheme added if it has none: curl and most programs accept one without."""
    url = value if "://" in value else f"http://{value}"
    url = re.sub(r"^socks(?:5a)?://", "socks5://", url, flags=re.IGNORECASE)
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise UnusableProxy(f"{variable} does not name a proxy: give http://host:port, or name the server in no_proxy")
    scheme = parts.scheme.lower()
    if scheme not in _SCHEMES:
        raise UnusableProxy(
            f"{variable} names a proxy of the kind {scheme}, which is not supported; give one of http or socks5"
        )
    if scheme.startswith("socks") and importlib.util.find_spec("socksio") is None:
        raise UnusableProxy(
            f"{variable} names a SOCKS proxy, which needs another package: pip install socksio, or name the server in "
            "no_proxy"
        )
    return url


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _is_excepted(host: str, port: int | None, environ: Mapping[str, str]) -> bool:
    """Whether no_proxy covers the server: a name, the end of a name, an address, a network (10.0.0.0/8), each with
    or without a port."""
    if urllib.request.proxy_bypass(f"{host}:{port}" if port else host):
        return True
    listed = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    return any(
        _matches(entry.strip(), host.strip("[]").lower(), port)
        for entry in re.split(r"[,\s]+", listed)
        if entry.strip()
    )


def _matches(entry: str, host: str, port: int | None) -> bool:
    if entry == "*":
        return True
    try:
        network = ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        network = None
    if network is not None:
        try:
            return ipaddress.ip_address(host) in network
        except ValueError:
            return False
    name, colon, wanted = entry.rpartition(":")
    if colon and wanted.isdigit():
        if port != int(wanted):
            return False
        entry = name
    entry = entry.lower().strip("[]").removeprefix("*").lstrip(".")
    return bool(entry) and (host == entry or host.endswith(f".{entry}"))
