//! Which of stdin, stdout and stderr were open when the process began.
//!
//! Rust opens `/dev/null` in place of those that were closed before `main` begins, and what is
//! written there is lost without an error. Programs that hand us `/dev/null` on purpose look the
//! same from then on, so the question is asked before Rust's runtime starts.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::{Result, bail};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, fcntl_getfl};
use tlsweep::report::output::stream::sync;

/// A bit for each descriptor that was closed.
static CLOSED: AtomicU8 = AtomicU8::new(0);

const STDIN: u8 = 0;
const STDOUT: u8 = 1;

#[cfg(target_os = "linux")]
#[used]
#[expect(unsafe_code, reason = "the loader calls what stands in this section before main")]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

/// Runs before Rust's runtime does: uses nothing of it but an atomic.
#[cfg(target_os = "linux")]
extern "C" fn look() {
    for descriptor in [STDIN, STDOUT] {
        #[expect(unsafe_code, reason = "a question about a number, which need not be open")]
        let flags = unsafe { libc::fcntl(descriptor.into(), libc::F_GETFD) };
        if flags == -1 {
            CLOSED.fetch_or(1 << descriptor, Ordering::Relaxed);
        }
    }
}

fn was_closed(descriptor: u8) -> bool {
    CLOSED.load(Ordering::Relaxed) & (1 << descriptor) != 0
}

/// Makes sure that what is written to stdout can arrive.
///
/// # Errors
/// It was closed, or not opened for writing.
pub(crate) fn check_stdout() -> Result<()> {
    if was_closed(STDOUT) {
        bail!(
            "stdout is closed, so the output would be lost; redirect it, or name a file with --output"
        );
    }
    // One that was opened with O_PATH counts as opened for reading.
    if fcntl_getfl(io::stdout())? & OFlags::RWMODE == OFlags::RDONLY {
        bail!("stdout is not open for writing; redirect it, or name a file with --output");
    }
    Ok(())
}

/// Makes sure that stdin can be read.
///
/// # Errors
/// It was closed, or not opened for reading.
pub(crate) fn check_stdin() -> Result<()> {
    if was_closed(STDIN) {
        bail!("stdin is closed, so there are no targets to read; name some, or a file with -f");
    }
    // Reads fail with EBADF where stdin was opened with O_PATH, or for writing alone. The standard
    // library takes that error for the end of the input.
    let flags = fcntl_getfl(io::stdin())?;
    if flags.contains(OFlags::PATH) || flags & OFlags::RWMODE == OFlags::WRONLY {
        bail!("stdin is not open for reading; name targets, or a file with -f");
    }
    Ok(())
}

/// Prints on stdout. A reader that closes the pipe has read enough.
///
/// # Errors
/// Stdout does not take it all.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut stdout = Patient(io::stdout());
    let printed = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    let printed = printed.and_then(|()| {
        let descriptor = stdout.0.as_fd().try_clone_to_owned()?;
        sync(&descriptor.into())
    });
    if printed.as_ref().is_err_and(is_reader_gone) { Ok(()) } else { printed }
}

/// Whether an error says that whoever read stdout has gone away. A socket says so by a reset.
pub(crate) fn is_reader_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

/// Stdin or stdout that may be non-blocking, which is a property of the open file and not of this
/// process: whoever shares it may have switched it on. Waits, as for one that blocks.
pub(crate) struct Patient<F>(pub(crate) F);

impl<F: AsFd> Patient<F> {
    fn wait<T>(
        &mut self,
        flags: PollFlags,
        mut work: impl FnMut(&mut F) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            match work(&mut self.0) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    poll(&mut [PollFd::new(&self.0, flags)], None)?;
                }
                ended => return ended,
            }
        }
    }
}

impl<F: AsFd + Read> Read for Patient<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait(PollFlags::IN, |file| file.read(buffer))
    }
}

impl<F: AsFd + Write> Write for Patient<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wait(PollFlags::OUT, |file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.wait(PollFlags::OUT, Write::flush)
    }
}
