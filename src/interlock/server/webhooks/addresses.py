"""Decide where webhooks may go: to public addresses, and to private ones where the operator says so.

Source: IANA's registries of special-purpose addresses; the metadata services of the clouds.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from interlock.core.errors import InvalidInput, Refused, Unavailable

PRIVATE_ALLOWED = "INTERLOCK_PRIVATE_WEBHOOKS"
"""The environment variable that lets webhooks reach private addresses, when it is `1`."""
LONGEST_URL = 2000
SCHEMES = ("http", "https")

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
SocketAddress = tuple[int, Any]
"""An address family, and an address as `socket.connect` takes it."""

_NEVER = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",  # this host
        "169.254.0.0/16",  # link-local, and with it the metadata services of most clouds
        "100.100.100.200/32",  # Alibaba's metadata service
        "168.63.129.16/32",  # Azure's host, which looks public
        "192.0.0.0/24",  # protocol assignments, Oracle's metadata service among them
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "::/128",
        "fe80::/10",  # link-local
        "fd00:ec2::/32",  # Amazon's metadata service
        "fd20:ce::/32",  # Google's
        "ff00::/8",  # multicast
    )
)
_HIDING_IPV4 = tuple(
    ipaddress.ip_network(text)
    for text in ("::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
)
_COMPATIBLE = ipaddress.ip_network("::/96")
_LOOPBACK = ipaddress.IPv6Address("::1")
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?\.?")
_NUMERIC = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)")


class Address(msgspec.Struct, frozen=True):
    """Where a webhook goes.

    Args:
        host: Its host, in lower case; an IPv6 address without brackets.
        port: Its port.
        secure: Whether TLS is spoken there.
        target: Path and query, as they go into the request.
    """

    host: str
    port: int
    secure: bool
    target: str

    @property
    def authority(self) -> str:
        """The `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


def private_allowed(environ: Mapping[str, str] | None = None) -> bool:
    """Say whether the operator lets webhooks reach private addresses."""
    return (os.environ if environ is None else environ).get(PRIVATE_ALLOWED, "").strip() == "1"


def read_url(url: str, *, private: bool) -> Address:
    """Return where a URL leads, without asking any name server.

    Raises:
        InvalidInput: It is no URL that a webhook can have.
        Refused: It names an address where webhooks may not go.
    """
    if not isinstance(url, str) or not url.strip():
        raise InvalidInput("Webhook URL cannot be empty or just whitespace", why=f"got {url!r:.80}")
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise InvalidInput(
            "Invalid webhook URL", why=f"expected up to {LONGEST_URL} printable ASCII characters, no space and no '\\'"
        )
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError as error:
        raise InvalidInput("Invalid webhook URL", why=str(error)) from error
    if parts.scheme not in SCHEMES:
        raise InvalidInput(f"Invalid webhook URL scheme: '{parts.scheme}'", why=f"expected one of {', '.join(SCHEMES)}")
    if parts.username is not None or parts.password is not None:
        raise InvalidInput("Invalid webhook URL", why="it holds a user or a password", fix="use the webhook's secret")
    if "[" in parts.netloc and ":" not in host:
        raise InvalidInput("Invalid webhook URL", why="what stands in brackets is no IPv6 address")
    if port == 0:
        raise InvalidInput("Invalid webhook URL", why="its port is 0")
    _check_host(host, private=private)
    secure = parts.scheme == "https"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Address(host.rstrip("."), port or (443 if secure else 80), secure, target)


def check_ip(ip: Ip, *, private: bool) -> None:
    """Refuse an address where webhooks may not go.

    Raises:
        Refused: It is not public, or not to be reached whatever the operator says.
    """
    if any(ip in network for network in _NEVER):
        raise _refused(ip, "it is link-local, reserved, or the metadata service of a cloud")
    if any(ip in network for network in _HIDING_IPV4) or (ip in _COMPATIBLE and ip != _LOOPBACK):
        raise _refused(ip, "it hides an IPv4 address in an IPv6 address")
    if not ip.is_global and not private:
        raise _refused(ip, "it is not public", fix=f"export {PRIVATE_ALLOWED}=1")


def resolve(address: Address, *, private: bool) -> list[SocketAddress]:
    """Return the socket addresses of a host, all of them checked: whoever connects has to use these and no other.

    Raises:
        Unavailable: The name is not known.
        Refused: One of them is where webhooks may not go.
    """
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unavailable(f"the host '{address.host}' is not known", why=str(error)) from error
    checked: list[SocketAddress] = []
    for family, _, _, _, where in found:
        check_ip(ipaddress.ip_address(str(where[0]).partition("%")[0]), private=private)
        checked.append((family, where))
    if not checked:
        raise Unavailable(f"the host '{address.host}' has no address")
    return checked


def _check_host(host: str, *, private: bool) -> None:
    if not host:
        raise InvalidInput("Invalid webhook URL", why="it names no host")
    if ":" in host:
        try:
            check_ip(ipaddress.IPv6Address(host), private=private)
        except ValueError as error:
            raise InvalidInput("Invalid webhook URL", why=str(error)) from error
        return
    if not _HOST.fullmatch(host) or len(host) > 253:
        raise InvalidInput("Invalid webhook URL", why=f"'{host:.80}' is not the name of a host")
    labels: Sequence[str] = host.rstrip(".").split(".")
    if _NUMERIC.fullmatch(labels[-1]):
        # whatever ends in a number is read as an address by some, and in as many ways as there are programs
        try:
            check_ip(ipaddress.IPv4Address(host), private=private)
        except ValueError as error:
            raise InvalidInput(
                "Invalid webhook URL", why=f"'{host:.80}' is not the plain form of an IPv4 address"
            ) from error
    elif labels[-1] == "localhost" and not private:
        raise _refused(host, "it is this machine", fix=f"export {PRIVATE_ALLOWED}=1")


def _refused(where: object, why: str, *, fix: str = "") -> Refused:
    return Refused(f"Webhooks may not go to {where}", why=why, fix=fix)
