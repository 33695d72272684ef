"""What is measured against: nginx, its own count of requests, and a socket that notes the first byte."""

import pathlib
import re
import resource
import secrets
import socket
import subprocess
import time

import process
import settings

URL = f"http://127.0.0.1:{settings.PORT}"
SECURE_URL = f"https://127.0.0.1:{settings.PORT + 1}"
HTTP2_URL = f"https://127.0.0.1:{settings.PORT + 2}"
# An address has about 28,000 ports for those who connect to it; with eight, descriptors run out first.
ADDRESSES = [f"127.0.0.{number}" for number in range(1, 9)]
# More than these addresses have ports; nginx sets memory aside for each.
DESCRIPTORS_MOST = 250_000

NGINX = """
worker_processes {workers};
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
worker_rlimit_nofile {descriptors};
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    client_header_timeout 600s;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    ssl_certificate {folder}/certificate.pem;
    ssl_certificate_key {folder}/key.pem;
    server {{
        {listen}
        listen 127.0.0.1:{secure_port} ssl backlog=16384;
        listen 127.0.0.1:{http2_port} ssl http2 backlog=16384;
        default_type text/plain;
        location / {{ return 200 "ok"; }}
        location /json {{
            default_type application/json;
            return 200 '{{"order":{{"id":7,"state":"paid","items":[{{"sku":"tide"}},{{"sku":"ebb"}}]}},"time":1.5}}';
        }}
        location /status {{ stub_status; }}
        location /token {{ return 200 "{token}"; }}
    }}
}}
"""


class Nginx:
    """nginx with one worker on the target's core, or with as many as there are cores for it."""

    def __init__(self, folder, cores=(settings.TARGET_CORE,)):
        self.folder = pathlib.Path(folder)
        # Workers that are not root must get into the folder.
        self.folder.chmod(0o755)
        if not (self.folder / "key.pem").exists():
            self._make_certificate()
        token = secrets.token_hex(8)
        config = self.folder / "nginx.conf"
        descriptors = min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], DESCRIPTORS_MOST)
        listen = [f"listen {address}:{settings.PORT} backlog=16384;" for address in ADDRESSES]
        config.write_text(NGINX.format(
            folder=folder, workers=len(cores), descriptors=descriptors, token=token,
            # With fewer than a sixteenth free nginx closes those that wait for a request.
            connections=descriptors * 5 // 4, listen=" ".join(listen), secure_port=settings.PORT + 1,
            http2_port=settings.PORT + 2))
        self.child = process.start(["nginx", "-c", str(config), "-p", str(folder)], cores,
                                   stderr=subprocess.DEVNULL)
        self._wait(token)

    def _make_certificate(self):
        made = subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
             "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
             "-keyout", "key.pem", "-out", "certificate.pem"],
            cwd=self.folder, capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise SystemExit(f"openssl made no certificate: {made.stderr.strip()}")

    def _wait(self, token):
        """Waits until nginx answers, and makes sure that it is this one and no other on the port."""
        for _ in range(100):
            if self.child.poll() is not None:
                break
            try:
                if token in fetch("/token"):
                    return
                raise SystemExit(f"another server has port {settings.PORT}: set PORT")
            except OSError:
                time.sleep(0.05)
        log = self.folder / "error.log"
        shown = log.read_text().strip().splitlines()[-1:] if log.exists() else []
        raise SystemExit(f"nginx did not start; are ports {settings.PORT} to {settings.PORT + 2} free? "
                         f"set PORT. {''.join(shown)}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        process.stop(self.child)

    def exhausted(self):
        """Returns nginx's complaint about descriptors or connections that ran out, if there is one."""
        for line in (self.folder / "error.log").read_text().splitlines():
            if "worker_connections are not enough" in line or "Too many open files" in line:
                return line
        return None


def fetch(path):
    with socket.create_connection(("127.0.0.1", settings.PORT), timeout=5) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        answer = b""
        while chunk := connection.recv(4096):
            answer += chunk
    return answer.decode()


class Status:
    """nginx's own count of connections and requests, over one connection.

    What it asks itself does not count: neither the connection nor its requests.
    """

    def __init__(self):
        # With 10,000 busy connections before it an answer takes its time.
        self.socket = socket.create_connection(("127.0.0.1", settings.PORT), timeout=30)
        self.asked = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def read(self):
        """Returns the connections that are open, those that were accepted, and the requests."""
        self.socket.sendall(b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.asked += 1
        text = b""
        while b"Waiting" not in text:
            chunk = self.socket.recv(4096)
            if not chunk:
                raise process.Fault("nginx closed the connection that asks for its counts")
            text += chunk
        open_now = int(re.search(rb"Active connections: (\d+)", text).group(1))
        accepted, _, requests = map(int, re.search(rb"\n (\d+) (\d+) (\d+) ", text).groups())
        return open_now - 1, accepted - 1, requests - self.asked

    def settled(self):
        """Returns what read does once nothing is open any more, or after 5 s."""
        until = time.monotonic() + 5
        while (found := self.read())[0] > 0 and time.monotonic() < until:
            time.sleep(0.02)
        return found


class FirstByte:
    """A socket of our own that notes when the first byte of a request arrives, and answers."""

    ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.socket.settimeout(0.5)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def first(self, alive):
        """Waits for the first request, answers it, and returns when its first byte came.

        Raises Fault if none comes in 60 s, or the program that should send it is not `alive` any more.
        """
        for _ in range(120):
            try:
                connection, _ = self.socket.accept()
            except TimeoutError:
                if not alive():
                    raise process.Fault("the program ended before its first request") from None
                continue
            with connection:
                connection.settimeout(10)
                head = connection.recv(1)
                if not head:
                    # wrk connects once to see whether it can, and closes.
                    continue
                at = time.monotonic()
                while head and not head.endswith(b"\r\n\r\n"):
                    chunk = connection.recv(4096)
                    head = head + chunk if chunk else b""
                if not head.startswith(b"GET / HTTP/1.1\r\n"):
                    raise process.Fault(f"the first request was {head[:40]!r}")
                connection.sendall(self.ANSWER)
                return at
        raise process.Fault("no request within 60 s")
