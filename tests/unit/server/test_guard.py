"""Only requests that name this server, come from its own pages and show its token get in."""

from __future__ import annotations

import pytest

from interlock.core.errors import Refused
from interlock.server.guard import Access, Guard, check_exposure
from interlock.server.http import Rejection
from interlock.server.limits import Limits
from tests.unit.server.asgi import scope_of


class TestHost:
    @pytest.mark.parametrize(
        "host", ["localhost", "LOCALHOST:80", "127.0.0.1:8080", "[::1]", "[::1]:8080", "localhost."]
    )
    def test_loopback_is_known(self, host: str) -> None:
        assert Guard().knows_host(host)

    @pytest.mark.parametrize(
        "host",
        [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "169.254.169.254",
            "",
            "[::2]",
            "localhost@evil",
            "[::1",
            "[::1]evil",
            "localhost:80:80",
            "localhost/",
            "127.0.0.2",
            "2130706433",
            "0x7f.1",
        ],
    )
    def test_others_are_not(self, host: str) -> None:
        assert not Guard().knows_host(host)
        with pytest.raises(Rejection) as caught:
            Guard().inspect(scope_of("GET", "/", host=host))
        assert caught.value.status == 421

    def test_the_bound_host_and_allowed_names_are_known(self) -> None:
        guard = Guard(host="10.0.0.5", allowed_hosts=["ML.example.com"])
        assert guard.knows_host("10.0.0.5:80")
        assert guard.knows_host("ml.example.com:443")
        assert not guard.knows_host("10.0.0.6")

    def test_on_all_interfaces_any_address_is_known_but_no_name(self) -> None:
        guard = Guard(host="0.0.0.0", token="t")
        assert guard.knows_host("192.168.1.7:8080")
        assert guard.knows_host("[fe80::1]:8080")
        assert not guard.knows_host("rebound.example")

    @pytest.mark.parametrize("extra", [0, 2])
    def test_there_is_exactly_one(self, extra: int) -> None:
        scope = scope_of("GET", "/", [("host", "localhost")] * extra, host=None)
        with pytest.raises(Rejection) as caught:
            Guard().inspect(scope)
        assert caught.value.status == 400


class TestOrigin:
    def test_the_servers_own_pages_may_call(self) -> None:
        Guard().inspect(scope_of("POST", "/", [("origin", "http://localhost:8080")]))

    @pytest.mark.parametrize(
        "origin", ["http://evil.example", "null", "http://localhost:3000", "http://localhost:8080.evil.example", ""]
    )
    def test_pages_of_others_may_not(self, origin: str) -> None:
        with pytest.raises(Refused):
            Guard().inspect(scope_of("POST", "/", [("origin", origin)]))


class TestHead:
    @pytest.mark.parametrize(
        ("target", "headers"), [("/" + "a" * 300, ()), ("/?" + "a" * 300, ()), ("/", [("x", "a" * 300)])]
    )
    def test_a_large_head_is_refused(self, target: str, headers: list[tuple[str, str]]) -> None:
        with pytest.raises(Rejection) as caught:
            Guard(limits=Limits(head_bytes=300)).inspect(scope_of("GET", target, headers))
        assert caught.value.status == 431


class TestToken:
    def admit(self, access: Access, *headers: tuple[str, str], token: str | None = "secret") -> None:
        Guard(token=token).admit(scope_of("GET", "/", headers), access)

    @pytest.mark.parametrize("access", ["api", "data"])
    def test_the_token_opens(self, access: Access) -> None:
        self.admit(access, ("authorization", "Bearer secret"))
        self.admit(access, ("authorization", "bearer  secret "))

    @pytest.mark.parametrize("access", ["api", "data"])
    @pytest.mark.parametrize(
        "shown", [None, "", "Bearer", "Bearer ", "Bearer secre", "Bearer secrets", "Basic secret", "secret", "Bearer é"]
    )
    def test_nothing_else_does(self, access: Access, shown: str | None) -> None:
        with pytest.raises(Rejection) as caught:
            self.admit(access, *(() if shown is None else (("authorization", shown),)))
        assert caught.value.status == 401
        assert (b"www-authenticate", b"Bearer") in caught.value.headers
        assert "secret" not in str(caught.value.error)

    def test_open_routes_and_servers_without_token_ask_for_none(self) -> None:
        self.admit("open")
        self.admit("api", token=None)
        self.admit("api", token="")


class TestExposure:
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.0.0.9"])
    def test_this_machine_needs_no_token(self, host: str) -> None:
        check_exposure(host, token=None)

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.7", "ml.example.com"])
    def test_beyond_it_a_token_is_needed(self, host: str) -> None:
        with pytest.raises(Refused) as caught:
            check_exposure(host, token=None)
        assert "INTERLOCK_TOKEN" in caught.value.fix
        check_exposure(host, token="t")
