"""What is measured, and what it must come to."""

import json
import os
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Callable

import programs
import servers
from process import Output, Process
from programs import Program, Sweep

KIB = 1024
MIB = 1024 * KIB
DEADLINE = 1  # seconds that a silent target is given


@dataclass
class Size:
    """How much of everything is measured."""

    pairs: int
    targets: int = 10_000
    growth: int = 200_000
    stalls: int = 80_000  # the deadline of the last silent target is to be a small part of the sweep
    few: int = 1_000  # dials in flight; the memory of one is the slope between the two
    many: int = 8_000
    starts: int = 21
    concurrency: int = 500


@dataclass
class Comparison:
    """The programs, and where they run."""

    size: Size
    folder: Path
    path: Path  # of tlsweep
    ours: Program
    reusing: Program
    pool: Program
    others: list  # of Program
    floor: Path | None
    cores: tuple  # the servers', the programs'
    port: int = 0  # nginx's
    group: str = ""  # the one that nginx chooses

    @cached_property
    def rounds(self):
        """Every program in turn, as often as there are pairs: by name, what it used."""
        in_turn = [self.ours, self.pool, *self.others]
        for program in in_turn:
            self.sweep(program, self.targets("warm-up", 200 // program.fraction))
            if program is self.ours:
                with open(self.folder / "out", encoding="utf-8") as out:
                    self.group = json.loads(out.readline())["tls"]["group"]
        rounds = []
        for number in range(self.size.pairs):
            say(f"pair {number + 1} of {self.size.pairs}")
            used = {}
            for program in back_and_forth(in_turn, number):
                count = self.size.targets // program.fraction
                used[program.name] = self.sweep(program, self.targets("good", count)), count
                say(f"{program.name}: {count} targets, {used[program.name][0].wall:.1f} s")
            if self.floor:
                used |= self.run_floor(number)
            rounds.append(used)
        return rounds

    def sweep(self, program, targets, expected=None, look=None, **settings):
        """Runs a program over a file of targets, and sees that it has done what it should."""
        count = len(targets.read_text(encoding="ascii").splitlines())
        expected = count if expected is None else expected
        out = self.folder / "out"
        output = Output(out, program.success)
        settings = {"concurrency": self.size.concurrency, "port": self.port, **settings}
        command = program.command(Sweep(targets, **settings))
        stdin = targets if program.reads_stdin else os.devnull
        with Process(command, {self.cores[1]}, stdin, out, self.folder / "err") as process:

            def look_on():
                output.read_on()
                if look:
                    look(process, output)

            used = process.watch(look_on)
        if not 0.999 * expected <= output.successes <= expected:
            raise RuntimeError(f"{program.name} on {targets.name}: {output.successes} of {expected} handshakes finished")
        return used

    def targets(self, name, count, port_of=None):
        """A file of that many targets, at nginx's port unless told otherwise."""
        path = self.folder / f"{name}.targets"
        port_of = port_of or (lambda number: self.port)
        servers.targets(path, (port_of(number) for number in range(count)))
        return path

    def run_floor(self, number):
        """Seconds of CPU for a handshake with the group that nginx chooses: in memory and bare TCP,
        by a bare client of nginx, and by sweeps of the floor's own server."""
        rows = {
            "x25519": ("X25519 of a post-quantum offer", "X25519"),
            "X25519MLKEM768": ("X25519MLKEM768", "X25519MLKEM768"),
        }
        row, group = rows[self.group]
        out, err = self.folder / "out.floor", self.folder / "err"
        command = [self.floor, "--bench", "--hello", row, "--port", self.port,
                   "--concurrency", self.size.concurrency]  # fmt: skip
        with Process(command, set(self.cores), stdout=out, stderr=err) as process:
            process.wait()
        for line in out.read_text(encoding="utf-8").splitlines():
            if line.startswith(row + "  "):
                *_, both, bare = line.split()
                used = {"floor": float(both) / 1e6, "bare": float(bare) / 1e6}
                return used | self.sweep_server_of_floor(group, number)
        raise RuntimeError(f"{out}: no line of {row}: {err.read_text(encoding='utf-8')}")

    def sweep_server_of_floor(self, group, number):
        in_turn = [("saturated", False), ("saturated, reused", True)]
        count = self.size.targets
        core = {self.cores[0]}
        with servers.of_floor(self.floor, group, self.folder, core) as (port, root):
            targets = self.targets("floor", count, lambda number: port)
            return {
                key: self.sweep(programs.tlsweep(self.path, root, reuses), targets).cpu / count
                for key, reuses in back_and_forth(in_turn, number)
            }

    def per_handshake(self, name):
        """Seconds of CPU, the median of all rounds."""
        return median(used.cpu / count for used, count in (one[name] for one in self.rounds))

    def resident_per_dial(self, program, ports, **settings):
        """Bytes resident for a dial that waits at these ports for something that never comes."""
        few, many = self.size.few, self.size.many

        def resident(count):
            targets = self.targets("waiting", count, lambda number: ports[number % len(ports)])
            sweep = Sweep(targets, concurrency=count, port=ports[0], timeout=600, **settings)
            stdin = targets if program.reads_stdin else os.devnull
            say(f"{program.name}: {count} dials that wait")
            with Process(program.command(sweep), {self.cores[1]}, stdin) as process:
                return process.resident_once_waiting(count)

        return (resident(many) - resident(few)) / (many - few)


def back_and_forth(in_turn, number):
    """In this order or the other, so that nobody always comes after the same."""
    return in_turn if number % 2 == 0 else reversed(in_turn)


@dataclass
class Figure:
    """A row of the table."""

    key: str
    what: str
    measure: Callable  # of a Comparison: this program's, the Go pool's (or None)
    unit: str
    must: float
    aim: float | None


def against_pool(comparison):
    """The median of the ratios of all pairs."""

    def ratio(one, name):
        used, count = one[name]
        pool, pool_count = one[comparison.pool.name]
        return (used.cpu / count) / (pool.cpu / pool_count)

    return median(ratio(one, comparison.ours.name) for one in comparison.rounds), 1.0


def against_floor(comparison, floor="floor"):
    """The median of the ratios of all pairs."""

    def ratios(name):
        return [one[name][0].cpu / one[name][1] / one[floor] for one in comparison.rounds]

    return tuple(median(ratios(program.name)) for program in (comparison.ours, comparison.pool))


def against_bare(comparison):
    """The same with what both cost at once, waiting for nginx."""
    return against_floor(comparison, "bare")


def against_floor_saturated(comparison, used="saturated"):
    """Of the floor's own server."""
    return median(one[used] / one["floor"] for one in comparison.rounds), None


def against_floor_reused(comparison):
    """The same with a key share that is sent again."""
    return against_floor_saturated(comparison, "saturated, reused")


def resident_at_silence(comparison, programs, **settings):
    """KiB resident for a dial that has sent its hello, for each of the programs."""
    with servers.silent(comparison.size.many) as ports:
        return tuple(
            comparison.resident_per_dial(program, ports, **settings) / KIB for program in programs
        )


def waiting_for_hello(comparison, **settings):
    """KiB resident for a dial that has sent its hello."""
    return resident_at_silence(comparison, (comparison.ours, comparison.pool), **settings)


def waiting_reused(comparison):
    """The same with a key share that is sent again."""
    (ours,) = resident_at_silence(comparison, [comparison.reusing])
    return ours, None


def waiting_classical(comparison):
    """The same without a post-quantum key share."""
    return waiting_for_hello(comparison, classical=True)


def waiting_for_connect(comparison):
    """KiB resident for a dial whose SYN is not answered."""
    with servers.full() as port:
        return tuple(
            comparison.resident_per_dial(program, [port]) / KIB
            for program in (comparison.ours, comparison.pool)
        )


def growth(comparison):
    """MiB by which the peak of the resident memory grows after a fifth of many targets."""

    def grown(program):
        count = comparison.size.growth
        early = []

        def look(process, output):
            if not early and output.lines >= count // 5:
                early.append(process.peak)

        say(f"{program.name}: {count} targets")
        used = comparison.sweep(program, comparison.targets("many", count), look=look)
        return (used.peak - early[0]) / MIB

    return grown(comparison.ours), grown(comparison.pool)


def stalls(comparison):
    """Wall time with every twentieth target silent, against what cannot be beaten."""
    size = comparison.size
    count = size.stalls
    silent = count // 20
    good = comparison.targets("alone", count - silent)

    def ratio(program):
        say(f"{program.name}: {silent} silent targets of {count}")
        alone = comparison.sweep(program, good, timeout=DEADLINE).wall
        # Two dials each: a silent target is dialled again with a smaller hello.
        with servers.silent(2 * silent) as ports:

            def port_of(number):
                return ports[number // 20 % len(ports)] if number % 20 == 10 else comparison.port

            mixed = comparison.targets("mixed", count, port_of)
            wall = comparison.sweep(program, mixed, count - silent, timeout=DEADLINE).wall
        return wall / max(alone, silent / size.concurrency * DEADLINE)

    times = min(size.pairs, 3)
    return tuple(
        median(ratio(program) for _ in range(times))
        for program in (comparison.ours, comparison.pool)
    )


def start_to_exit(comparison, *words):
    """Milliseconds, the median of many starts."""
    def once():
        with Process([comparison.path, *words], {comparison.cores[1]}) as process:
            return process.wait().wall * 1000

    return median(once() for _ in range(comparison.size.starts)), None


def one_target(comparison):
    """Milliseconds for one target on loopback."""
    return start_to_exit(comparison, f"127.0.0.1:{comparison.port}")


def idle_start(comparison):
    """Milliseconds for the version."""
    return start_to_exit(comparison, "--version")


FIGURES = [
    Figure("cpu", "CPU per handshake against the Go pool, same run", against_pool, "", 0.52, 0.47),
    Figure("floor", "CPU per handshake against our own floor, same run", against_floor, "", 1.25, 1.10),
    Figure("bare", "the same against nothing but epoll and rustls, dialling nginx", against_bare, "", 1.12, 1.06),
    Figure("saturated", "against our own floor, with its own server, for which nobody waits",
           against_floor_saturated, "", 1.25, 1.10),
    Figure("reused", "the same with `--reuse-key-share`, where the floor makes a share each time", against_floor_reused, "", 1.25, 1.10),
    Figure("hello", "RSS per dial waiting for the ServerHello", waiting_for_hello, "KiB", 8, 6),
    Figure("hello-reused", "the same with `--reuse-key-share`", waiting_reused, "KiB", 13, 6),
    Figure("classical", "RSS per dial waiting for the ServerHello with `--groups X25519,P-256`", waiting_classical, "KiB", 5.5, 4),
    Figure("connect", "RSS per dial waiting for the connect", waiting_for_connect, "KiB", 1.8, 1.2),
    Figure("growth", "peak RSS, growth from 20 % to 100 % of the targets", growth, "MiB", 1, 0),
    Figure("stalls", "wall with 5 % silent targets against max(good alone, stalled/concurrency x deadline)",
           stalls, "", 1.10, 1.02),
    Figure("one", "one target on loopback, start to exit", one_target, "ms", 8, 3),
    Figure("idle", "idle start (`--version`)", idle_start, "ms", 3, 1.5),
]  # fmt: skip


def say(text):
    """Progress, for whoever waits."""
    print(text, file=sys.stderr)
