//! Runs the binary under a hard time limit and checks every JSON line that it writes.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use jsonschema::Validator;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;
use tokio::time::Instant;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_tlsweep");

/// No run of any test takes longer; one that does hangs.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// An end that should come at once may take this long on a busy machine.
pub(crate) const AT_ONCE: Duration = Duration::from_secs(15);

/// A run in preparation.
pub(crate) struct Tlsweep {
    command: Command,
    schema: Option<&'static Validator>,
}

impl Tlsweep {
    /// A run whose output is text, unless the arguments say otherwise.
    pub(crate) fn new() -> Self {
        Self::of(afresh(BINARY))
    }

    /// A run whose every line is checked against the schema.
    pub(crate) fn json() -> Self {
        let mut run = Self::new().args(["--format", "json"]);
        run.schema = Some(&SCHEMA);
        run
    }

    /// The same as `json`, but started by another program, whose last argument it is.
    pub(crate) fn json_under<S: AsRef<OsStr>>(
        program: &str,
        args: impl IntoIterator<Item = S>,
    ) -> Self {
        let mut command = afresh(program);
        command.args(args).arg(BINARY);
        let mut run = Self::of(command).args(["--format", "json"]);
        run.schema = Some(&SCHEMA);
        run
    }

    /// A copy of the binary, started by another program, whose last argument it is.
    pub(crate) fn under<S: AsRef<OsStr>>(
        program: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = S>,
        binary: impl AsRef<OsStr>,
    ) -> Self {
        let mut command = afresh(program);
        command.args(args).arg(binary);
        Self::of(command)
    }

    /// JSON narrowed to some fields: what is required of a record is then no longer there.
    pub(crate) fn json_fields(fields: &str) -> Self {
        let mut run = Self::json().args(["--fields", fields]);
        run.schema = Some(&SCHEMA_OF_PARTS);
        run
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.command.stdin(stdin);
        self
    }

    pub(crate) fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.command.stdout(stdout);
        self
    }

    /// What is said on stderr goes there, and is not in the outcome.
    pub(crate) fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.command.stderr(stderr);
        self
    }

    /// Runs with these lines on stdin, to the end.
    pub(crate) fn sweep<S: AsRef<str>>(self, lines: impl IntoIterator<Item = S>) -> Outcome {
        let input: String =
            lines.into_iter().flat_map(|line| [line.as_ref().to_owned(), "\n".into()]).collect();
        self.run(input)
    }

    /// Runs with these bytes on stdin, to the end.
    pub(crate) fn run(self, input: impl Into<Vec<u8>>) -> Outcome {
        let mut running = self.start();
        running.feed(input.into());
        running.finish()
    }

    /// Starts with stdin open and nothing on it.
    pub(crate) fn start(mut self) -> Running {
        let started = Instant::now();
        let mut child = self.command.spawn().expect("the program starts");
        let pid = child.id();
        let stdin = child.stdin.take();
        let stdout = child.stdout.take();
        let stderr = child.stderr.take();
        let (report_stderr, stderr_text) = mpsc::channel();
        thread::spawn(move || {
            let mut text = Vec::new();
            if let Some(mut stderr) = stderr {
                stderr.read_to_end(&mut text).unwrap();
            }
            _ = report_stderr.send(String::from_utf8_lossy(&text).into_owned());
        });
        let (report_exit, exit) = mpsc::channel();
        thread::spawn(move || {
            let status = child.wait().unwrap();
            _ = report_exit.send((status, started.elapsed()));
        });
        let stdout = stdout.map_or(Stdout::Elsewhere, Stdout::Unread);
        Running {
            pid,
            stdin,
            stdout,
            stderr: stderr_text,
            exit,
            schema: self.schema,
            seen: Vec::new(),
            ended: false,
        }
    }

    fn of(mut command: Command) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env_remove("NO_COLOR")
            .env_remove("RUST_LOG");
        Self { command, schema: None }
    }
}

/// What starts a program with the default action of the signals that stop it (by GNU's env). What a
/// script starts in the background ignores SIGINT and SIGQUIT, and its children inherit that.
fn afresh(program: impl AsRef<OsStr>) -> Command {
    // SIGHUP, SIGINT, SIGQUIT and SIGTERM.
    const STOPS: u64 = 0b100_0000_0000_0111;
    static IGNORES: LazyLock<bool> = LazyLock::new(|| {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let bits = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or("0");
        u64::from_str_radix(bits.trim(), 16).is_ok_and(|bits| bits & STOPS != 0)
    });
    let mut command = Command::new(if *IGNORES { OsStr::new("env") } else { program.as_ref() });
    if *IGNORES {
        command.arg("--default-signal=HUP,INT,QUIT,TERM").arg(program);
    }
    command
}

/// A run under way. It is killed when it is dropped unfinished.
pub(crate) struct Running {
    pid: u32,
    stdin: Option<ChildStdin>,
    stdout: Stdout,
    stderr: Receiver<String>,
    exit: Receiver<(ExitStatus, Duration)>,
    schema: Option<&'static Validator>,
    seen: Vec<u8>,
    ended: bool,
}

enum Stdout {
    /// Not a pipe of ours, or closed.
    Elsewhere,
    Unread(ChildStdout),
    Read(Receiver<Vec<u8>>),
}

impl Running {
    /// Writes these bytes to stdin from a thread of its own and closes it after them.
    pub(crate) fn feed(&mut self, input: Vec<u8>) {
        let mut stdin = self.stdin.take().expect("stdin is still open");
        // A program that ended early does not read all of it.
        thread::spawn(move || _ = stdin.write_all(&input));
    }

    /// Writes chunks to stdin from a thread of its own for as long as they are taken; the counter
    /// of the chunks taken so far.
    pub(crate) fn feed_for_ever(
        &mut self,
        mut chunk: impl FnMut(u64) -> Vec<u8> + Send + 'static,
    ) -> Receiver<u64> {
        let mut stdin = self.stdin.take().expect("stdin is still open");
        let (report, taken) = mpsc::channel();
        thread::spawn(move || {
            for number in 1.. {
                if stdin.write_all(&chunk(number)).is_err() || report.send(number).is_err() {
                    return;
                }
            }
        });
        taken
    }

    /// Writes to stdin and leaves it open.
    pub(crate) fn write(&mut self, input: &str) {
        let stdin = self.stdin.as_mut().expect("stdin is still open");
        stdin.write_all(input.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    /// Closes the reading end of stdout.
    pub(crate) fn close_stdout(&mut self) {
        self.stdout = Stdout::Elsewhere;
    }

    /// The next line of output, when it is there.
    pub(crate) fn next_line(&mut self) -> String {
        let line = self.lines().recv_timeout(LIMIT).expect("another line of output");
        self.seen.extend_from_slice(&line);
        String::from_utf8(line).unwrap()
    }

    pub(crate) fn next_record(&mut self) -> Value {
        let line = self.next_line();
        decode(&line, self.schema.expect("a run with JSON"))
    }

    pub(crate) fn signal(&self, name: &str) {
        assert!(self.signal_if_there(name), "kill -{name} {}", self.pid);
    }

    /// Whether it was still there.
    pub(crate) fn signal_if_there(&self, name: &str) -> bool {
        let kill = format!("kill -{name} {} 2>/dev/null", self.pid);
        Command::new("sh").args(["-c", &kill]).status().unwrap().success()
    }

    /// Waits until SIGINT and SIGTERM no longer end the process by themselves.
    pub(crate) fn listens_for_signals(&self) {
        let caught = || -> Option<bool> {
            let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
            let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
            let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
            Some([2, 15].iter().all(|signal| mask & (1 << (signal - 1)) != 0))
        };
        let deadline = Instant::now() + LIMIT;
        while caught() != Some(true) {
            assert!(Instant::now() < deadline, "nobody listens for signals");
            thread::yield_now();
        }
    }

    /// Writes `text` until the pipe of stdin is full and stays so; how many bytes that were.
    pub(crate) fn fill(&mut self, text: &str) -> usize {
        let stdin = self.stdin.as_mut().expect("stdin is still open");
        rustix::io::ioctl_fionbio(&*stdin, true).unwrap();
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            match stdin.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(_full) => {
                    let mut room = [PollFd::new(&*stdin, PollFlags::OUT)];
                    let patience = Timespec { tv_sec: 1, tv_nsec: 0 };
                    if poll(&mut room, Some(&patience)).unwrap() == 0 {
                        break;
                    }
                }
            }
        }
        text.len() - rest.len()
    }

    /// Bytes that were written to stdin and have not been read.
    pub(crate) fn unread(&self) -> usize {
        let stdin = self.stdin.as_ref().expect("stdin is still open");
        rustix::io::ioctl_fionread(stdin).unwrap().try_into().unwrap()
    }

    /// Closes stdin.
    pub(crate) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Waits until everything that was written to stdin has been read.
    pub(crate) fn has_read_everything(&self) {
        let stdin = self.stdin.as_ref().expect("stdin is still open");
        let deadline = Instant::now() + LIMIT;
        while rustix::io::ioctl_fionread(stdin).unwrap() > 0 {
            assert!(Instant::now() < deadline, "stdin is not read");
            thread::yield_now();
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// The peak of the resident set so far, in KiB.
    pub(crate) fn peak_rss(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Closes stdin and waits for the end.
    pub(crate) fn finish(mut self) -> Outcome {
        self.stdin = None;
        self.ends_within(LIMIT)
    }

    /// Waits for the end, with stdin as it is.
    pub(crate) fn ends_within(mut self, limit: Duration) -> Outcome {
        if !matches!(self.stdout, Stdout::Elsewhere) {
            let deadline = Instant::now() + limit;
            loop {
                let left = deadline.saturating_duration_since(Instant::now());
                match self.lines().recv_timeout(left) {
                    Ok(line) => self.seen.extend_from_slice(&line),
                    Err(RecvTimeoutError::Disconnected) => break,
                    Err(RecvTimeoutError::Timeout) => self.hangs(limit),
                }
            }
        }
        let Ok((status, elapsed)) = self.exit.recv_timeout(limit) else { self.hangs(limit) };
        self.ended = true;
        let stderr = self.stderr.recv_timeout(LIMIT).expect("stderr closes with the program");
        assert!(!stderr.contains("panicked"), "a panic: {stderr}");
        Outcome {
            records: self.decode_all(status.signal().is_some()),
            stdout: std::mem::take(&mut self.seen),
            stderr,
            code: status.code(),
            elapsed,
        }
    }

    fn lines(&mut self) -> &Receiver<Vec<u8>> {
        if let Stdout::Unread(_) = self.stdout {
            let (report, lines) = mpsc::channel();
            let Stdout::Unread(stdout) = std::mem::replace(&mut self.stdout, Stdout::Read(lines))
            else {
                unreachable!("just looked")
            };
            thread::spawn(move || {
                let mut stdout = BufReader::new(stdout);
                let mut line = Vec::new();
                while stdout.read_until(b'\n', &mut line).unwrap() > 0 {
                    if report.send(std::mem::take(&mut line)).is_err() {
                        // Nobody reads any more: close the pipe.
                        return;
                    }
                }
            });
        }
        match &self.stdout {
            Stdout::Read(lines) => lines,
            Stdout::Unread(_) | Stdout::Elsewhere => panic!("stdout is not read here"),
        }
    }

    fn decode_all(&self, torn: bool) -> Vec<Value> {
        let Some(schema) = self.schema else {
            return Vec::new();
        };
        let text = String::from_utf8(self.seen.clone()).unwrap();
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        assert!(torn || whole == text.len(), "a torn last line: {:?}", &text[whole..]);
        text[..whole].lines().map(|line| decode(line, schema)).collect()
    }

    fn hangs(&mut self, limit: Duration) -> ! {
        self.signal("KILL");
        self.ended = true;
        let stderr = self.stderr.recv_timeout(LIMIT).unwrap_or_default();
        let seen = String::from_utf8_lossy(&self.seen);
        panic!("still running after {limit:?}\nstdout: {seen}\nstderr: {stderr}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            _ = Command::new("sh").args(["-c", &format!("kill -KILL {}", self.pid)]).status();
        }
    }
}

/// A run that has ended.
pub(crate) struct Outcome {
    /// Of a run with JSON.
    pub(crate) records: Vec<Value>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    /// None when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) elapsed: Duration,
}

impl Outcome {
    /// The only record of a sweep that was complete.
    pub(crate) fn only_record(&self) -> &Value {
        self.assert_complete();
        match self.records.as_slice() {
            [record] => record,
            records => panic!("one line in, {} out: {records:#?}", records.len()),
        }
    }

    pub(crate) fn assert_complete(&self) -> &Self {
        assert_eq!(self.code, Some(0), "stderr: {}", self.stderr);
        self
    }

    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.stdout).unwrap()
    }

    /// The echoed targets, sorted.
    pub(crate) fn targets(&self) -> Vec<String> {
        sorted(self.records.iter().map(|record| record["target"].as_str().unwrap().to_owned()))
    }
}

pub(crate) fn sorted(items: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut items: Vec<_> = items.into_iter().collect();
    items.sort_unstable();
    items
}

/// A record in a few words: `ok close_notify` (how reading ended), `handshake/reset`, or
/// `handshake/alert unrecognized_name`.
pub(crate) fn verdict(record: &Value) -> String {
    if record["ok"] == true {
        return format!("ok {}", record["read"]["end"].as_str().unwrap());
    }
    let error = &record["error"];
    let word = |name: &str| error[name].as_str().unwrap();
    match error.get("alert") {
        Some(alert) => format!("{}/{} {}", word("stage"), word("kind"), alert.as_str().unwrap()),
        None => format!("{}/{}", word("stage"), word("kind")),
    }
}

static SCHEMA: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::validator_for(&schema()).expect("a valid schema"));

static SCHEMA_OF_PARTS: LazyLock<Validator> = LazyLock::new(|| {
    let mut schema = schema();
    forget_required(&mut schema);
    jsonschema::validator_for(&schema).expect("a valid schema")
});

pub(crate) fn schema() -> Value {
    let outcome = Tlsweep::new().args(["--print-schema"]).run("");
    outcome.assert_complete();
    serde_json::from_slice(&outcome.stdout).expect("the schema is JSON")
}

fn forget_required(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.remove("required");
            members.values_mut().for_each(forget_required);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_required),
        _ => {}
    }
}

/// The records of JSON lines that were written elsewhere than to stdout.
pub(crate) fn decode_lines(text: &str) -> Vec<Value> {
    assert!(text.is_empty() || text.ends_with('\n'), "a torn last line: {text}");
    text.lines().map(|line| decode(line, &SCHEMA)).collect()
}

fn decode(line: &str, schema: &Validator) -> Value {
    let record: Value =
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let faults: Vec<String> = schema.iter_errors(&record).map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "not as the schema has it: {faults:#?}\n{line}");
    record
}
