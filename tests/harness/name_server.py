"""A name server on loopback, over UDP and TCP."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset


class NameServer:
    """Answers with what ``records`` has for a name: records by type, or only the rcode that it is given as.

    Names and types are written as in a zone file: ``records["a.test."] = {"SRV": ["0 0 80 b.test."]}``. A name that is
    missing does not exist. A name in ``silent`` is never answered; the answers of one in ``long`` come over TCP only;
    those of one in ``forged`` come after two that nobody asked for. ``asked`` has name, type and protocol of every
    question.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.records: dict[str, dict[str, list[str]] | dns.rcode.Rcode] = {}
        self.silent: set[str] = set()
        self.long: set[str] = set()
        self.forged: set[str] = set()
        self.asked: list[tuple[str, str, str]] = []

    def answers(self, wire: bytes, protocol: str) -> list[bytes]:
        """What to send to one question."""
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name, kind = question.name.to_text(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind, protocol))
        if name in self.silent:
            return []
        response = dns.message.make_response(query)
        found = self.records.get(name, dns.rcode.NXDOMAIN)
        if isinstance(found, dns.rcode.Rcode):
            response.set_rcode(found)
        elif name in self.long and protocol == "udp":
            response.flags |= dns.flags.TC
        else:
            for alias in found.get("CNAME", []):
                response.answer.append(dns.rrset.from_text(name, 0, "IN", "CNAME", alias))
                name = alias
            for text in found.get(kind, []):
                response.answer.append(dns.rrset.from_text(name, 0, "IN", kind, text))
        real = response.to_wire(max_size=65535)
        return [b"\0", struct.pack("!H", (query.id + 1) % 65536) + real[2:], real] if name in self.forged else [real]


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        for answer in self._server.answers(data, "udp"):
            self._transport.sendto(answer, address)


@asynccontextmanager
async def name_server(port: int, host: str = "127.0.0.1") -> AsyncIterator[NameServer]:
    """A name server that listens until the end of the block."""
    server = NameServer(port)
    loop = asyncio.get_running_loop()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (size,) = struct.unpack("!H", await reader.readexactly(2))
        for answer in server.answers(await reader.readexactly(size), "tcp"):
            writer.write(struct.pack("!H", len(answer)) + answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    streams = await asyncio.start_server(serve, host, port)
    transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(server), local_addr=(host, port))
    try:
        yield server
    finally:
        transport.close()
        streams.close()
        await streams.wait_closed()
