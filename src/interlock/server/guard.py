"""Decide which requests may come in: their size, the host they name, where they come from, their token."""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Iterable
from typing import Literal

from interlock.core.errors import InvalidInput, LimitExceeded, Refused, Unauthorised
from interlock.server.api_keys import Caller, KeyGate, credential_of
from interlock.server.http import Rejection, Scope
from interlock.server.limits import Limits

Access = Literal["open", "api", "data", "admin"]
"""`open` anyone who reaches the port · `api` the control plane · `data` predictions and feedback · `admin` what changes
what is served; all but the first want the token where one is set."""

ANY_HOST = "*"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_WILDCARDS = frozenset({"0.0.0.0", "::", "[::]", ""})  # noqa: S104
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]*[a-z0-9_-])\.?(?::\d{1,5})?")
_KEY_HELP = "send 'Authorization: Bearer KEY'; interlock endpoint key create NAME"
_TOKEN_HELP = "set INTERLOCK_TOKEN to the server's token, or send 'Authorization: Bearer TOKEN'"  # noqa: S105


class Guard:
    """The checks that every request passes before anything reads its body.

    Args:
        host: The address the server is bound to.
        token: What callers must show, or None.
        allowed_hosts: Further names under which the server is reached; `*` where a platform in front of it decides.
        limits: What a request may bring.
        keys: The API keys that callers of the data plane may show in place of the token.
        origins: Pages of other origins that may call; `*` for any.

    Example:
        >>> Guard(host="127.0.0.1").knows_host("LOCALHOST:8080")
        True
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        token: str | None = None,
        allowed_hosts: Iterable[str] = (),
        limits: Limits = Limits(),  # noqa: B008 (frozen)
        keys: KeyGate | None = None,
        origins: Iterable[str] = (),
    ) -> None:
        self._keys = keys
        allowed_hosts = tuple(allowed_hosts)
        self._any_host = ANY_HOST in allowed_hosts
        self._origins = frozenset(origins)
        self._hosts = (LOOPBACK | {_bare(name) for name in (host, *allowed_hosts)}) - {""}
        # a rebound DNS name is what the check is against; an address in figures cannot be rebound
        self._any_address = host in _WILDCARDS
        self._token = token.encode() if token else None
        self._limits = limits

    def knows_host(self, value: str) -> bool:
        """Say whether a `Host` header names this server."""
        name = _bare(value)
        return self._any_host or name in self._hosts or (self._any_address and _is_address(name))

    def inspect(self, scope: Scope) -> None:
        """Check size, host and origin.

        Raises:
            Rejection: The head is too large (431), names no host or several (400), or another host (421).
            Refused: A page of another origin made the request.
        """
        hosts: list[bytes] = []
        origin = None
        size = len(scope.get("raw_path") or scope["path"]) + len(scope["query_string"])
        for name, value in scope["headers"]:
            size += len(name) + len(value) + 4
            if name == b"host":
                hosts.append(value)
            elif name == b"origin":
                origin = value
        if size > self._limits.head_bytes:
            why = f"target and headers have {size} bytes; the limit is {self._limits.head_bytes}"
            raise Rejection(LimitExceeded("the request head is too large", why=why), status=431)
        if len(hosts) != 1:
            why = f"expected one Host header, got {len(hosts)}"
            raise Rejection(InvalidInput("the request does not say which host it is for", why=why), status=400)
        if not self.knows_host(hosts[0].decode("latin-1")):
            raise Rejection(
                Refused(
                    "the request is for another host",
                    why="the Host header is none of this server's names, as in an attack by DNS rebinding",
                    fix="reach the server as localhost, or name the host: INTERLOCK_ALLOWED_HOSTS=name",
                ),
                status=421,
            )
        if origin is not None and not self._knows_origin(origin.decode("latin-1").lower(), hosts[0]):
            raise Refused(
                "a page of another origin may not call this server",
                why="the Origin header differs from the Host header",
            )

    def _knows_origin(self, origin: str, host: bytes) -> bool:
        name = origin.partition("://")[2]
        return name == host.decode("latin-1").lower() or not self._origins.isdisjoint((origin, name, "*"))

    def admit(self, scope: Scope, access: Access, endpoint: str = "") -> Caller | None:
        """Check the token or key that an HTTP request shows; see `check`."""
        if access == "open" or (self._token is None and (self._keys is None or not self._keys.is_active)):
            return None
        return self.check(credential_of(scope["headers"]), access, endpoint)

    def check(self, credential: bytes | None, access: Access, endpoint: str = "") -> Caller | None:
        """Check a token or key, whatever protocol it came by.

        The server's token may do everything. Keys are for `data` and `admin` routes; from the first that is made on,
        these want a key or the token.

        Args:
            credential: What the request shows, see `credential_of`.
            access: Who may call the route.
            endpoint: The endpoint that the request is for; empty where it is for none or several.

        Returns:
            Who calls, where a key was shown.

        Raises:
            Rejection: A token or key is wanted, and the request shows none or a wrong one (401), or the key may not do
                this (403), or asks too often (429).
        """
        wants_key = self._keys is not None and self._keys.is_active and access in ("data", "admin")
        if access == "open" or (self._token is None and not wants_key):
            return None
        if self._token is not None and hmac.compare_digest(credential or b"", self._token):
            return None
        if wants_key and credential:
            assert self._keys is not None
            return self._keys.admit(credential, endpoint=endpoint, admin=access == "admin")
        why = "the request shows no token" if credential is None else "the token shown is not the server's"
        raise Rejection(
            Unauthorised("this server wants a token", why=why, fix=_KEY_HELP if wants_key else _TOKEN_HELP),
            status=401,
            headers=((b"www-authenticate", b"Bearer"),),
        )


def check_exposure(host: str, *, token: str | None) -> None:
    """Refuse to listen where others can reach without asking for a token.

    Raises:
        Refused: The address is not of this machine only, and there is no token.
    """
    name = _bare(host)
    if name in LOOPBACK or (_is_address(name) and ipaddress.ip_address(name.strip("[]")).is_loopback) or token:
        return
    raise Refused(
        f"interlock does not listen on {host} without a token",
        why="everyone who reaches the address could read and change the workspace",
        fix="export INTERLOCK_TOKEN=$(openssl rand -hex 32), or listen on 127.0.0.1",
    )


def _bare(value: str) -> str:
    """Return a host in lower case without its port, an IPv6 address in brackets; the empty string for anything else."""
    text = value.strip().lower()
    if text.count(":") > 1 and "[" not in text:
        text = f"[{text}]"
    found = _HOST.fullmatch(text)
    return found[1] if found else ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
