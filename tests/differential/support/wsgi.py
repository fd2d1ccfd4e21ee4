"""An origin on WSGI: it routes by PATH_INFO, which the server has decoded, and folds the
names of headers as WSGI does. Each request that arrives is one line of JSON."""

import json
import posixpath
import sys
from socketserver import ThreadingMixIn
from threading import Lock
from urllib.parse import unquote
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

AREAS = [
    ("open", "admin"),
    ("open", "vault"),
    ("open",),
    ("guest",),
    ("members",),
]


writing = Lock()


def area(path):
    """By segments, as the routers of Flask and Django do."""
    segments = tuple(path.split("/")[1:])
    for found in AREAS:
        if segments[: len(found)] == found:
            return found[-1]
    return "none"


def readings(path):
    """How careless middleware reads PATH_INFO."""
    bare = "/".join(segment.split(";")[0] for segment in path.split("/"))
    full = path
    while unquote(full, "latin-1") != full:
        full = unquote(full, "latin-1")
    found = {path, bare, full}
    return found | {posixpath.normpath(p.replace("\\", "/").replace("//", "/")) for p in found}


def application(environ, start_response):
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    path = environ["PATH_INFO"]
    # Some applications sit behind a server that rewrites, and trust it.
    said = environ.get("HTTP_X_ORIGINAL_URL") or environ.get("HTTP_X_REWRITE_URL")
    paths = {path} | readings(path) | ({said} if said else set())
    method = environ.get("HTTP_X_HTTP_METHOD_OVERRIDE") or environ["REQUEST_METHOD"]
    seen = {
        "id": environ.get("HTTP_X_CASE"),
        "origin": "wsgi",
        "method": method,
        "target": environ["RAW_TARGET"],
        "resources": sorted({area(path), *map(area, paths)}),
        "headers": [[name[5:], value] for name, value in environ.items() if name.startswith("HTTP_")],
    }
    with writing:
        print(json.dumps(seen), flush=True)
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Origin", "wsgi"), ("Content-Length", "2")])
    return [b"ok"]


class Handler(WSGIRequestHandler):
    def get_environ(self):
        # The line as it came: http.server has made one slash of several at the start.
        line = self.raw_requestline.decode("latin-1").rstrip("\r\n")
        return {**super().get_environ(), "RAW_TARGET": line.split(" ")[1]}

    def log_message(self, *_):
        pass


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128


server = make_server("127.0.0.1", 0, application, Server, Handler)
print(json.dumps({"port": server.server_port}), flush=True)
try:
    server.serve_forever()
except KeyboardInterrupt:
    sys.exit(0)
