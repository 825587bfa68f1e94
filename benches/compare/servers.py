"""What is dialled, all of it on loopback: nginx, silent listeners, a listener whose queue is full."""

import contextlib
import os
import shutil
import socket
import subprocess
import time

from process import Process

BACKLOG = 4096  # connections that a silent listener completes and nobody accepts

NGINX = """
daemon off; master_process off; pid {dir}/nginx.pid; error_log stderr crit;
worker_rlimit_nofile {files};
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    client_body_temp_path {dir}; proxy_temp_path {dir}; fastcgi_temp_path {dir};
    uwsgi_temp_path {dir}; scgi_temp_path {dir};
    server {{
        listen 0.0.0.0:{port} ssl backlog={backlog};
        ssl_certificate {dir}/chain.pem; ssl_certificate_key {dir}/leaf.key;
        ssl_protocols TLSv1.3;
    }}
}}
"""

EXTENSIONS = """
[intermediate]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:www.example.com, DNS:example.com
"""


def make_chain(folder):
    """A P-256 leaf under a P-384 intermediate: leaf.key, chain.pem (leaf first), root.pem."""
    extensions = folder / "extensions.cnf"
    extensions.write_text(EXTENSIONS)

    def openssl(*words):
        command = ["openssl", *(str(word) for word in words)]
        subprocess.run(command, check=True, capture_output=True, cwd=folder)

    def key(curve):
        return ["-newkey", "ec", "-pkeyopt", f"ec_paramgen_curve:{curve}", "-nodes"]

    def sign(name, issuer):
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{issuer}.pem", "-CAkey",
                f"{issuer}.key", "-CAcreateserial", "-days", 30, "-sha256", "-extfile", extensions,
                "-extensions", name, "-out", f"{name}.pem")  # fmt: skip

    openssl("req", "-x509", *key("P-384"), "-keyout", "root.key", "-out", "root.pem", "-days", 30,
            "-subj", "/O=Example/CN=Example Root")  # fmt: skip
    for name, curve, issuer in [("intermediate", "P-384", "root"), ("leaf", "P-256", "intermediate")]:
        openssl("req", "-new", *key(curve), "-keyout", f"{name}.key", "-out", f"{name}.csr",
                "-subj", f"/O=Example/CN=Example {name}")  # fmt: skip
        sign(name, issuer)
    chain = (folder / "leaf.pem").read_text() + (folder / "intermediate.pem").read_text()
    (folder / "chain.pem").write_text(chain)


@contextlib.contextmanager
def nginx(folder, cores):
    """Serves the chain of `folder` on every address of loopback; gives the port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    files = 16384
    text = NGINX.format(
        dir=folder, port=port, backlog=BACKLOG, files=files, connections=files - 64
    )
    config = folder / "nginx.conf"
    config.write_text(text)
    program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    command = [program, "-c", config, "-p", folder]

    def answers():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    with Process(command, cores, stderr=folder / "nginx.err"):
        _until(answers, folder / "nginx.err")
        yield port


def _until(is_up, errors):
    """Waits for a server, ten seconds at most."""
    deadline = time.monotonic() + 10
    while not is_up():
        if time.monotonic() > deadline:
            raise RuntimeError(errors.read_text())
        time.sleep(0.02)


@contextlib.contextmanager
def of_floor(floor, group, folder, cores):
    """The floor's own server of TLS, which does not let its client wait; gives port and root."""
    out, der, pem = folder / "floor.port", folder / "floor.der", folder / "floor.pem"
    (core,) = cores
    command = [floor, "--serve", core, "tls", group, 1, der]
    errors = folder / "floor.err"
    with Process(command, cores, stdout=out, stderr=errors):
        _until(lambda: out.read_text(encoding="ascii").endswith("\n"), errors)
        command = ["openssl", "x509", "-inform", "der", "-in", der, "-out", pem]
        subprocess.run(command, check=True)
        yield int(out.read_text(encoding="ascii")), pem


@contextlib.contextmanager
def silent(connections):
    """Ports where that many connections are completed, and nothing is ever said.

    Nobody accepts: the kernel completes what fits into the backlog, and keeps the bytes.
    """
    with contextlib.ExitStack() as stack:
        yield [_listen(stack, BACKLOG) for _ in range(-(-connections // (BACKLOG // 2)))]


@contextlib.contextmanager
def full():
    """A port that drops every SYN, since its queue of connections to be accepted is full."""
    with contextlib.ExitStack() as stack:
        port = _listen(stack, 0)
        while True:
            filler = stack.enter_context(socket.socket())
            filler.settimeout(0.2)
            try:
                filler.connect(("127.0.0.1", port))
            except TimeoutError:
                break
        yield port


def _listen(stack, backlog):
    listener = stack.enter_context(socket.socket())
    listener.bind(("0.0.0.0", 0))
    listener.listen(backlog)
    return listener.getsockname()[1]


def address(number):
    """The address of loopback with that number, from 0."""
    return f"127.{1 + number // 62500}.{number // 250 % 250}.{number % 250 + 1}"


def targets(path, ports):
    """Writes a line for each port, every one at another address."""
    with open(path, "w", encoding="ascii") as file:
        file.writelines(f"{address(number)}:{port}\n" for number, port in enumerate(ports))
