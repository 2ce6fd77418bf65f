"""Where webhooks may go, in every spelling that has led servers elsewhere."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest

from interlock.core.errors import InvalidInput, Refused, Unavailable
from interlock.server.webhooks import addresses
from interlock.server.webhooks.addresses import Address, check_ip, private_allowed, read_url, resolve

ALWAYS_REFUSED = [
    "0.0.0.0",
    "0.1.2.3",
    "169.254.169.254",
    "169.254.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "fe80::1",
    "ff02::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "::ffff:8.8.8.8",
    "::ffff:169.254.169.254",
    "::ffff:0:169.254.169.254",
    "::8.8.8.8",
    "64:ff9b::808:808",
    "64:ff9b:1::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "2001:0:a9fe:a9fe::1",
]
PRIVATE = ["127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "::1", "fc00::1"]
PUBLIC = ["8.8.8.8", "93.184.216.34", "2606:4700::1111"]


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("ip", ALWAYS_REFUSED)
def test_some_addresses_are_refused_whatever_the_operator_says(ip: str, private: bool) -> None:
    with pytest.raises(Refused):
        check_ip(ipaddress.ip_address(ip), private=private)


@pytest.mark.parametrize("ip", PRIVATE)
def test_private_addresses_are_for_the_operator_to_allow(ip: str) -> None:
    with pytest.raises(Refused) as caught:
        check_ip(ipaddress.ip_address(ip), private=False)
    assert "INTERLOCK_PRIVATE_WEBHOOKS=1" in caught.value.fix
    check_ip(ipaddress.ip_address(ip), private=True)


@pytest.mark.parametrize("ip", PUBLIC)
def test_public_addresses_are_open(ip: str) -> None:
    check_ip(ipaddress.ip_address(ip), private=False)


@pytest.mark.parametrize(
    ("url", "expected", "authority"),
    [
        ("https://example.com", Address("example.com", 443, True, "/"), "example.com"),
        ("http://Example.COM:8080/a?b=c#d", Address("example.com", 8080, False, "/a?b=c"), "example.com:8080"),
        ("https://example.com.:443/%2e", Address("example.com", 443, True, "/%2e"), "example.com"),
        ("http://8.8.8.8/", Address("8.8.8.8", 80, False, "/"), "8.8.8.8"),
        ("http://[2606:4700::1111]:81/", Address("2606:4700::1111", 81, False, "/"), "[2606:4700::1111]:81"),
        ("https://xn--bcher-kva.example/", Address("xn--bcher-kva.example", 443, True, "/"), "xn--bcher-kva.example"),
    ],
)
def test_a_url_is_read(url: str, expected: Address, authority: str) -> None:
    assert read_url(url, private=False) == expected
    assert expected.authority == authority


@pytest.mark.parametrize(
    "url",
    [
        "",
        "   ",
        "example.com",
        "ftp://example.com",
        "file:///etc/passwd",
        "gopher://example.com",
        "javascript:alert(1)",
        "http://",
        "http:///path",
        "http://[invalid",
        "http://[::1",
        "http://[v1.x]/",
        "http://exa mple.com/",
        "http://example.com\\@127.0.0.1/",
        "http://example.com/\r\nX-Evil: 1",
        "http://user@example.com/",
        "http://user:pw@example.com/",
        "http://@example.com/",
        "http://example.com:0/",
        "http://example.com:99999/",
        "http://example.com:8o/",
        "http://-example.com/",
        "http://exam%70le.com/",
        "http://bücher.example/",
        "http://１２７.0.0.1/",
        "http://127。0。0。1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://127.0.0.1./",
        "http://1.2.3.4.5/",
        "http://256.1.1.1/",
        "http://example.com.0x/",
        "http://" + "a" * 3000,
    ],
)
@pytest.mark.parametrize("private", [False, True])
def test_what_is_no_url_for_a_webhook_is_refused(url: str, private: bool) -> None:
    with pytest.raises(InvalidInput):
        read_url(url, private=private)


@pytest.mark.parametrize(
    "url",
    ["http://localhost/", "http://LocalHost./", "https://x.localhost:8080/", "http://127.0.0.1/", "http://[::1]/"],
)
def test_this_machine_is_refused_before_any_name_is_looked_up(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses.socket, "getaddrinfo", None)
    with pytest.raises(Refused):
        read_url(url, private=False)
    read_url(url, private=True)


def test_metadata_services_are_refused_even_where_private_is_allowed() -> None:
    for url in ("http://169.254.169.254/latest", "http://[fd00:ec2::254]/", "http://[::ffff:169.254.169.254]/"):
        with pytest.raises(Refused):
            read_url(url, private=True)


def _answers(*ips: str) -> Any:
    def getaddrinfo(host: str, port: int, **options: Any) -> list[Any]:
        if not ips:
            raise socket.gaierror("no such host")
        return [(socket.AF_INET6 if ":" in ip else socket.AF_INET, 1, 6, "", (ip, port)) for ip in ips]

    return getaddrinfo


def test_every_address_of_a_name_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    address = Address("example.com", 443, True, "/")
    monkeypatch.setattr(addresses.socket, "getaddrinfo", _answers("8.8.8.8", "2606:4700::1111"))
    assert [place for _, place in resolve(address, private=False)] == [("8.8.8.8", 443), ("2606:4700::1111", 443)]
    for rebound in ("127.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "fe80::1%eth0"):
        monkeypatch.setattr(addresses.socket, "getaddrinfo", _answers("8.8.8.8", rebound))
        with pytest.raises(Refused):
            resolve(address, private=False)
    monkeypatch.setattr(addresses.socket, "getaddrinfo", _answers())
    with pytest.raises(Unavailable):
        resolve(address, private=False)


@pytest.mark.parametrize(("value", "expected"), [("1", True), (" 1 ", True), ("", False), ("0", False), ("no", False)])
def test_only_a_one_allows_private_addresses(value: str, expected: bool) -> None:
    assert private_allowed({"INTERLOCK_PRIVATE_WEBHOOKS": value}) is expected
    assert private_allowed({}) is False
