"""Servers on loopback that behave, and that misbehave."""

import contextlib
import http.server
import re
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `server.content`; the first part of the path names the behaviour."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        kind = self.path.split("/")[1].partition("?")[0]
        data = self.server.content
        wanted = re.match(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        self.server.requests.append((kind, wanted and (int(wanted[1]), int(wanted[2]))))
        whole = {
            "redirect": (302, b"", {"Location": "/good/file"}),
            "loop": (302, b"", {"Location": "/loop/file"}),
            "to-file": (302, b"", {"Location": "file:///etc/hostname"}),
            "missing": (404, b"no such file"),
            "plain": (200, data),
            "short-body": (200, data[: len(data) // 2], {"Content-Length": str(len(data))}),
        }
        if kind in whole or wanted is None:
            self.answer(*whole.get(kind, (200, data)))
        elif not data:
            self.answer(416, b"", {"Content-Range": "bytes */0"})
        elif kind == "stall" and int(wanted[1]):
            self.server.stopping.wait(30)
        else:
            self.part(kind, data, int(wanted[1]), min(int(wanted[2]), len(data) - 1))

    def part(self, kind, data, start, end):
        body, told = data[start : end + 1], f"bytes {start}-{end}/{len(data)}"
        if start and kind == "wrong-range":
            body, told = data[: end - start + 1], f"bytes 0-{end - start}/{len(data)}"
        if start and kind == "short-part":
            body = body[:-1]
        if start and kind == "no-range-header":
            told = ""
        headers = {"Content-Range": told} if told else {}
        headers["ETag"] = f'"{len(self.server.requests)}"' if kind == "changing" else '"same"'
        self.answer(206, body, headers)

    def answer(self, status, body, headers=()):
        self.send_response(status)
        given = {"Content-Length": str(len(body)), **dict(headers)}
        for key, value in given.items():
            self.send_header(key, value)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)
        if given["Content-Length"] != str(len(body)):
            self.close_connection = True


@contextlib.contextmanager
def http_server(content):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.content, server.requests, server.stopping = content, [], threading.Event()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()
