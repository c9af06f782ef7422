"""The smallest app that a sidecar can stand beside: `python examples/demo_app.py 8080`."""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Answers `/healthz` for as long as it can answer at all."""

    def do_GET(self) -> None:
        """Say that we are here."""
        found = self.path == "/healthz"
        body = b"ok\n" if found else b"try /healthz\n"
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve on the port of the command line, on loopback, until a signal comes."""
    with ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
