"""Processes on cores of their own: what they use, and what they write."""

import os
import signal
import time
from dataclasses import dataclass

SAMPLE = 0.005  # seconds between two looks at a process
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Used:
    """What a process used from its start to its exit."""

    cpu: float  # seconds, user and system
    wall: float  # seconds
    peak: int  # bytes resident, as last seen before the exit


class Process:
    """A running process; it is killed when its context ends before it does."""

    def __init__(self, command, cores, stdin=os.devnull, stdout=os.devnull, stderr=os.devnull):
        self.command = [str(word) for word in command]
        files = [
            (os.POSIX_SPAWN_OPEN, 0, str(stdin), os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(stdout), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
            (os.POSIX_SPAWN_OPEN, 2, str(stderr), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
        ]
        mine = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cores)  # a child has the cores of its parent
        self._start = time.monotonic()
        self.pid = os.posix_spawnp(self.command[0], self.command, os.environ, file_actions=files)
        os.sched_setaffinity(0, mine)
        self.stderr = stderr
        self.peak = 0
        self.used = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.used is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)

    def wait(self):
        """Waits for the exit without a look at the process meanwhile."""
        return self._ended(os.wait4(self.pid, 0))

    def watch(self, look=lambda: None):
        """Waits for the exit, looking at the process all the time."""
        while True:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                self._ended((pid, status, usage))
                look()
                return self.used
            # Not ru_maxrss: that contains what the parent had when it forked.
            self.peak = max(self.peak, self._status("VmHWM"))
            look()
            time.sleep(SAMPLE)

    def _ended(self, ended):
        _, status, usage = ended
        wall = time.monotonic() - self._start
        self.used = Used(usage.ru_utime + usage.ru_stime, wall, self.peak)
        code = os.waitstatus_to_exitcode(status)
        if code != 0:
            with open(self.stderr, encoding="utf-8", errors="replace") as said:
                raise RuntimeError(f"{' '.join(self.command)}: exit {code}: {said.read()[-1000:]}")
        return self.used

    def resident_once_waiting(self, sockets):
        """Bytes resident once that many sockets are open and nothing happens any more."""
        deadline = time.monotonic() + 120
        idle_since, before = time.monotonic(), None
        while time.monotonic() - idle_since < 1:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{' '.join(self.command)}: never had {sockets} dials waiting")
            now = self._ticks() if len(os.listdir(f"/proc/{self.pid}/fd")) >= sockets else None
            # A runtime's own timers may take a tick now and then.
            if now is None or before is None or now > before + 1:
                idle_since, before = time.monotonic(), now
            time.sleep(10 * SAMPLE)
        return self._status("VmRSS")

    def _status(self, name):
        try:
            with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
                for line in file:
                    if line.startswith(name):
                        return int(line.split()[1]) * 1024
        except ProcessLookupError:
            pass
        return 0  # it has just exited

    def _ticks(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])


class Output:
    """Counts the lines of a growing file, and those that report a success."""

    def __init__(self, path, success):
        open(path, "wb").close()
        self._file = open(path, "rb", buffering=0)
        self._success = success
        self._line = b""
        self.lines = 0
        self.successes = 0

    def read_on(self):
        while chunk := self._file.read(1 << 20):
            whole, newline, self._line = (self._line + chunk).rpartition(b"\n")
            self.lines += whole.count(b"\n") + len(newline)
            self.successes += whole.count(self._success)
