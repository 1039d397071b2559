"""A steady service: answers itself over loopback about twenty times a second."""

import http.server
import threading
import time
import urllib.request

PAGE = b"hello from the demo\n" * 400


class Page(http.server.BaseHTTPRequestHandler):
    """Answers every request with the same 8 kB."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing for each request."""


server = http.server.ThreadingHTTPServer(("127.0.0.1", 8000), Page)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("serving on 127.0.0.1:8000", flush=True)
served = 0
while True:
    with urllib.request.urlopen("http://127.0.0.1:8000/", timeout=5) as answer:
        answer.read()
    served += 1
    if served % 200 == 0:
        print(f"{served} requests served", flush=True)
    time.sleep(0.05)
