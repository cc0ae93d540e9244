import asyncio
import socket

import pytest

from harness.network import NonLoopbackError, is_loopback


@pytest.fixture
def refused(network_guard):
    """What the test provokes on purpose must not fail it."""
    yield network_guard.violations
    network_guard.violations.clear()


@pytest.mark.parametrize("method", ["connect", "connect_ex", "bind"])
@pytest.mark.parametrize("host", ["192.0.2.1", "0.0.0.0", "10.0.0.1", "", "example.com"])
def test_a_socket_refuses_addresses_beyond_loopback(method, host, refused):
    with socket.socket() as sock, pytest.raises(NonLoopbackError, match="tests stay on loopback"):
        getattr(sock, method)((host, 9))
    assert refused == [f"{method} to {host}:9"]


def test_an_ipv6_socket_refuses_addresses_beyond_loopback(refused):
    with socket.socket(socket.AF_INET6) as sock, pytest.raises(NonLoopbackError):
        sock.connect(("2001:db8::1", 9, 0, 0))
    assert refused == ["connect to 2001:db8::1:9"]


def test_a_datagram_beyond_loopback_is_refused(refused):
    with socket.socket(type=socket.SOCK_DGRAM) as sock, pytest.raises(NonLoopbackError):
        sock.sendto(b"x", ("192.0.2.1", 9))
    assert refused == ["sendto to 192.0.2.1:9"]


async def test_asyncio_cannot_connect_beyond_loopback(refused):
    with pytest.raises(NonLoopbackError):
        await asyncio.open_connection("192.0.2.1", 9)
    assert refused == ["connect to 192.0.2.1:9"]


async def test_names_other_than_localhost_are_not_looked_up(refused):
    loop = asyncio.get_running_loop()
    with pytest.raises(NonLoopbackError):
        await loop.getaddrinfo("prometheus.io", 80)
    with pytest.raises(NonLoopbackError):
        socket.gethostbyname("prometheus.io")
    assert refused == ["getaddrinfo of prometheus.io", "gethostbyname of prometheus.io"]
    assert await loop.getaddrinfo("localhost", 80)
    assert await loop.getaddrinfo("192.0.2.1", 80)  # no look-up; connecting to it is refused


def test_loopback_is_reached():
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.9.8.7", 0))
        server.listen()
        client.connect(server.getsockname())


def test_unix_sockets_are_no_network(tmp_path):
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(tmp_path / "socket"))
        server.listen()
        client.connect(str(tmp_path / "socket"))


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.255.0.9", True), ("::1", True), ("::1%lo", True), ("localhost", True)]
    + [(host, False) for host in ("", "128.0.0.1", "::", "example.com", "localhost.example.com")],
)
def test_loopback_is_127_8_and_colon_colon_1(host, expected):
    assert is_loopback(host) is expected
