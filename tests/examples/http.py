"""What the HTTP example answers to: http.py URL. Prints a line for each rule, and why one does not hold.

Each input goes out at once, and again byte by byte. Behind answers that leave the connection open another
request has to be answered; behind the others the server has to end it.
"""

import socket
import sys
import time
from urllib.parse import urlsplit

HOST = b"Host: a\r\n"
GET = b"GET / HTTP/1.1\r\n" + HOST
LAST = GET + b"Connection: close\r\n\r\n"
OPEN, CLOSED = True, False

# The rule, what is sent, the statuses of the answers, and whether the connection stays open.
RULES = [
    ("a request is answered", GET + b"\r\n", [200], OPEN),
    ("requests in a row are answered in order", GET + b"\r\n" + b"GET /missing HTTP/1.1\r\n" + HOST + b"\r\n" + GET + b"\r\n", [200, 404, 200], OPEN),
    ("nothing behind the last request is answered", LAST + GET + b"\r\n", [200], CLOSED),
    ("HTTP/1.0 ends by itself", b"GET / HTTP/1.0\r\n\r\n", [200], CLOSED),
    ("HTTP/1.0 goes on where it asks to, and is told", b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", [200], OPEN),
    ("HTTP/1.1 ends where it asks to", LAST, [200], CLOSED),
    ("no space is needed behind a colon", GET + b"Connection:close\r\n\r\n", [200], CLOSED),
    ("an option is a word of a list", GET + b"Connection: x , CLOSE\t,y\r\n\r\n", [200], CLOSED),
    ("a list goes on in the next field", GET + b"Connection: x\r\nConnection: close\r\n\r\n", [200], CLOSED),
    ("a longer word is another option", GET + b"Connection: closed-beta\r\n\r\n", [200], OPEN),
    ("the name of another field is no option", GET + b"X-Connection: close\r\nA: b\r\n\r\n", [200], OPEN),
    ("HEAD has no body", b"HEAD / HTTP/1.1\r\n" + HOST + b"\r\n", [200], OPEN),
    ("HEAD of what is not there is 404", b"HEAD /missing HTTP/1.1\r\n" + HOST + b"\r\n", [404], OPEN),
    ("a path is compared as a whole", b"GET /missing/not HTTP/1.1\r\n" + HOST + b"\r\n", [200], OPEN),
    ("a query is no part of the path", b"GET /missing?a HTTP/1.1\r\n" + HOST + b"\r\n", [404], OPEN),
    ("a body of no bytes is none", GET + b"Content-Length: 0\r\n\r\n", [200], OPEN),
    ("a body is refused", GET + b"Content-Length: 1\r\n\r\nx", [413], CLOSED),
    ("a body in pieces is refused", GET + b"Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", [413], CLOSED),
    ("a length beyond 64 bits is refused", GET + b"Content-Length: 99999999999999999999999\r\n\r\n", [413], CLOSED),
    ("another coding is not implemented", GET + b"Transfer-Encoding: gzip\r\n\r\n", [501], CLOSED),
    ("an absolute URI has a path", b"GET http://a/missing HTTP/1.1\r\n" + HOST + b"\r\n", [404], OPEN),
    ("an absolute URI without a path is the first one", b"GET HTTP://a:80?b HTTP/1.1\r\n" + HOST + b"\r\n", [200], OPEN),
    ("another scheme is 400", b"GET ftp://a/ HTTP/1.1\r\n" + HOST + b"\r\n", [400], CLOSED),
    ("an empty line in front is skipped", b"\r\n\r\n" + GET + b"\r\n", [200], OPEN),
    ("another method is 405", b"POST / HTTP/1.1\r\n" + HOST + b"\r\n", [405], OPEN),
    ("OPTIONS of everything is a request", b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", [405], OPEN),
    ("CONNECT names an authority", b"CONNECT a:80 HTTP/1.1\r\n" + HOST + b"\r\n", [405], OPEN),
    ("a request line without a version is 400", b"GET /\r\n\r\n", [400], CLOSED),
    ("a version in small letters is 400", b"GET / http/1.1\r\n" + HOST + b"\r\n", [400], CLOSED),
    ("two spaces are 400", b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n", [400], CLOSED),
    ("a method is a token", b"G(T / HTTP/1.1\r\n" + HOST + b"\r\n", [400], CLOSED),
    ("a path begins with a slash", b"GET a HTTP/1.1\r\n" + HOST + b"\r\n", [400], CLOSED),
    ("half a percent-encoding is 400", b"GET /%4 HTTP/1.1\r\n" + HOST + b"\r\n", [400], CLOSED),
    ("another major version is 505", b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", [505], CLOSED),
    ("a later minor version is 1.1", b"GET / HTTP/1.2\r\n" + HOST + b"\r\n", [200], OPEN),
    ("HTTP/1.1 needs a host", b"GET / HTTP/1.1\r\n\r\n", [400], CLOSED),
    ("two hosts are 400", GET + HOST + b"\r\n", [400], CLOSED),
    ("a length and a coding are 400", GET + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", [400], CLOSED),
    ("two lengths are 400", GET + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\n", [400], CLOSED),
    ("a list of lengths is 400", GET + b"Content-Length: 1, 1\r\n\r\n", [400], CLOSED),
    ("a length is digits", GET + b"Content-Length: +1\r\n\r\n", [400], CLOSED),
    ("two codings are 400", GET + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", [400], CLOSED),
    ("a coding in HTTP/1.0 is 400", b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", [400], CLOSED),
    ("a folded line is 400", GET + b"A: b\r\n c\r\n\r\n", [400], CLOSED),
    ("a space in front of the first field is 400", b"GET / HTTP/1.1\r\n " + HOST + b"\r\n", [400], CLOSED),
    ("a space before the colon is 400", GET + b"A : b\r\n\r\n", [400], CLOSED),
    ("a field without a name is 400", GET + b": b\r\n\r\n", [400], CLOSED),
    ("a field without a colon is 400", GET + b"A\r\n\r\n", [400], CLOSED),
    ("a bare LF is 400", GET + b"A: b\n\r\n", [400], CLOSED),
    ("a bare LF is no end of the head", GET + b"\n", [400], CLOSED),
    ("a bare CR is 400", GET + b"A: b\rc\r\n\r\n", [400], CLOSED),
    ("a zero byte is 400", GET + b"A: \0\r\n\r\n", [400], CLOSED),
    ("bytes above 127 are text of a value", GET + b"A: \xff\r\n\r\n", [200], OPEN),
    ("8000 bytes of a request line are taken", b"GET /" + b"a" * 8000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", [200], OPEN),
    ("a request line that is too long is 414", b"GET /" + b"a" * 8200 + b" HTTP/1.1\r\n" + HOST + b"\r\n", [414], CLOSED),
    ("a field that is too long is 431", GET + b"A: " + b"a" * 8200 + b"\r\n\r\n", [431], CLOSED),
    ("a head that is too long is 431", GET + b"A: b\r\n" * 3000 + b"\r\n", [431], CLOSED),
]
SPLIT_MAX = 300  # bytes of what is sent one by one


def answers_of(file, requests, count):
    """Read so many answers: their statuses and what they say of the connection."""
    methods = [line.split(b" ")[0] for line in requests.split(b"\r\n") if b" HTTP/" in line]
    for i in range(count):
        version, status = file.readline().split(b" ")[:2]
        assert version == b"HTTP/1.1", version
        fields = {}
        while (line := file.readline()) not in (b"\r\n", b""):
            name, value = line.split(b": ", 1)
            fields[name.lower()] = value.strip()
        if i >= len(methods) or methods[i] != b"HEAD":
            length = int(fields[b"content-length"])
            assert len(file.read(length)) == length, "the body is short"
        assert (status == b"405") == (b"allow" in fields), "Allow goes with 405"
        yield int(status), fields.get(b"connection")


def judge(address, sent, statuses, stays, split):
    with socket.create_connection(address, timeout=30) as connection:
        file = connection.makefile("rb")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for i in range(0, len(sent), 1 if split else len(sent)):
                connection.sendall(sent[i : i + 1] if split else sent)
                if split:
                    time.sleep(0.0002)  # most of them arrive alone
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused early: the answer is there
        said = list(answers_of(file, sent, len(statuses)))
        assert [status for status, _ in said] == statuses, said
        told = said[-1][1]
        if not stays:
            assert told == b"close", f"Connection: {told}"
            assert file.read() == b"", "more was answered"
            return
        assert told == (b"keep-alive" if b"HTTP/1.0" in sent else None), f"Connection: {told}"
        connection.sendall(LAST)
        assert list(answers_of(file, LAST, 1)) == [(200, b"close")], "the next one"
        assert file.read() == b"", "more was answered"


def main():
    parts = urlsplit(sys.argv[1])
    for name, sent, statuses, stays in RULES:
        for split in (False, True):
            if split and len(sent) > SPLIT_MAX:
                continue
            label = name + (", byte by byte" if split else "")
            try:
                judge((parts.hostname, parts.port), sent, statuses, stays, split)
                print(f"ok: {label}")
            except (AssertionError, OSError, ValueError, KeyError) as error:
                print(f"FAILED: http: {label}: {error!r}")


main()
