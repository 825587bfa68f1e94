//! Programs that somebody else wrote: servers to sweep, and tools that make the machine fail.

use std::ffi::OsStr;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use rlimit::Resource;
use tempfile::TempDir;
use tokio::time::Instant;

/// Says that a test did not look. Where everything is installed, that is a failure.
pub(crate) fn skip(why: &str) {
    assert!(std::env::var_os("TLSWEEP_REAL_SERVERS").is_none_or(|value| value != "1"), "{why}");
    eprintln!("SKIPPED: {why}");
}

/// The list in `.ci/run`: a program and its Debian package in each line.
pub(crate) static PACKAGES: LazyLock<&str> = LazyLock::new(|| {
    let (_, list) = include_str!("../../.ci/run").split_once("<<'LIST'\n").unwrap();
    list.split_once("LIST\n").unwrap().0
});

/// Whether `.ci/run` installs a package for this program, given by its name or its path. The folder
/// of PostgreSQL's programs has a version in its name: the list has their names alone.
pub(crate) fn is_packaged(program: &str) -> bool {
    let name = Path::new(program).file_name().and_then(OsStr::to_str);
    let mut programs = PACKAGES.lines().filter_map(|line| line.split_once(' '));
    programs.any(|(known, _package)| known == program || name == Some(known))
}

/// Copies `source` to `target` and makes the copy executable.
///
/// A process of its own writes it. A child that one of our threads has just forked has all our open
/// files until its own `exec`; with the new file among them, that file could not be started
/// (`ETXTBSY`).
pub(crate) fn install_executable(source: impl AsRef<OsStr>, target: impl AsRef<OsStr>) {
    let mut install = Command::new("install");
    let output = install.arg("--mode=755").arg(source).arg(target).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

pub(crate) struct Program(PathBuf);

impl Program {
    /// None, after `skip`, when it is not installed.
    pub(crate) fn find(name: &str) -> Option<Self> {
        assert!(is_packaged(name), "{name} has no line in the list of packages in .ci/run");
        // What is started inherits this: nobody wants the memory of a stranger who crashes.
        Resource::CORE.set(0, 0).unwrap();
        let path = std::env::var_os("PATH").unwrap_or_default();
        // Servers are where only root's PATH leads.
        let sbin = ["/usr/sbin", "/sbin"].map(PathBuf::from);
        let found = std::env::split_paths(&path)
            .chain(sbin)
            .map(|dir| dir.join(name))
            .find(|file| file.is_file());
        if found.is_none() {
            skip(&format!("{name} is not installed"));
        }
        found.map(Self)
    }

    /// A program of `tests/engines/requirements.txt`, which `.ci/run` installs; None, after `skip`,
    /// when it has not.
    pub(crate) fn of_engines(name: &str) -> Option<Self> {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let file = target.join("engines-venv/bin").join(name);
        if !file.is_file() {
            skip(&format!("{name} is not installed; see .ci/run"));
            return None;
        }
        Some(Self(file))
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Output {
        self.command().args(args).stdin(Stdio::null()).output().unwrap()
    }

    pub(crate) fn command(&self) -> Command {
        Command::new(&self.0)
    }

    /// Starts a server and waits until it listens on the port.
    pub(crate) fn serve<S: AsRef<OsStr>>(
        &self,
        port: u16,
        args: impl IntoIterator<Item = S>,
    ) -> Server {
        let mut command = self.command();
        command.args(args);
        Server::start(command, port)
    }
}

/// A running server; it is killed, with all the processes that it started, when it is dropped.
pub(crate) struct Server {
    child: Child,
    /// Where it stands, so that what it drops does not land in the repository.
    _dir: TempDir,
    pub(crate) addr: SocketAddr,
}

impl Server {
    /// Waits until it listens on the port.
    pub(crate) fn start(mut command: Command, port: u16) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
        let dir = TempDir::new().unwrap();
        if command.get_current_dir().is_none() {
            command.current_dir(&dir);
        }
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut server = Self { child: command.spawn().unwrap(), _dir: dir, addr };
        server.wait_for(port, &command.get_program().to_string_lossy());
        server
    }

    /// Another program does not tell when it listens: knock until it does.
    pub(crate) fn wait_for(&mut self, port: u16, name: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let ended = self.child.try_wait().unwrap();
            if ended.is_some() || Instant::now() > deadline {
                self.kill();
                let mut stderr = String::new();
                self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
                panic!("{name} does not listen ({ended:?}): {stderr}");
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    fn kill(&mut self) {
        let kill = format!("kill -KILL -{}", self.child.id());
        _ = Command::new("sh").args(["-c", &kill]).stderr(Stdio::null()).status();
        // It has ended, unless it left its group.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// `unshare`, where it may give a program mounts of its own; none, after `skip`, elsewhere.
pub(crate) fn unshare_mounts() -> Option<Program> {
    let unshare = Program::find("unshare")?;
    if !unshare.run(["-m", "true"]).status.success() {
        skip("no right to mount");
        return None;
    }
    Some(unshare)
}

/// A port for a program that cannot take port 0.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// What a program said, for a message.
pub(crate) fn shown(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("{}: {}{}", output.status, text(&output.stdout), text(&output.stderr))
}

/// Runs the body in a network namespace of its own, which `setup`, a shell script, prepares: the
/// test runs itself there once more. `test` is the full name of the calling test.
pub(crate) fn in_network_namespace(test: &str, setup: &str, body: impl FnOnce()) {
    const INSIDE: &str = "TLSWEEP_INSIDE_NAMESPACE";
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let (Some(unshare), Some(ip)) = (Program::find("unshare"), Program::find("ip")) else {
        return;
    };
    if !unshare.run(["-n", "true"]).status.success() {
        return skip(&format!("{test}: no right to make a network namespace"));
    }
    let me = std::env::current_exe().unwrap();
    let script = format!(
        "{} link set lo up; {setup}; {INSIDE}=1 exec {} --exact {test} --nocapture",
        ip.path(),
        me.display(),
    );
    let output = unshare.run(["-n", "sh", "-ec", &script]);
    assert!(output.status.success(), "{}", shown(&output));
}
