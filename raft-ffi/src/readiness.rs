//! The file descriptor that is readable while there is something to take.
//!
//! On Linux an eventfd, elsewhere a pipe. It is written and drained only here, and only when what
//! it says changes: a busy node costs no system call per message.

use crate::error::Failure;

/// A descriptor that is readable or not.
pub(crate) struct Signal {
    /// What the application watches.
    read_fd: i32,
    /// What makes it readable: the same for an eventfd.
    write_fd: i32,
    raised: bool,
}

impl Signal {
    pub(crate) fn new() -> Result<Self, Failure> {
        let [read_fd, write_fd] = open()?;
        Ok(Self { read_fd, write_fd, raised: false })
    }

    pub(crate) const fn fd(&self) -> i32 {
        self.read_fd
    }

    /// Makes it readable or silent.
    pub(crate) fn set(&mut self, raised: bool) {
        if raised == self.raised {
            return;
        }
        // Eight bytes: what an eventfd counts in; a pipe does not mind.
        let mut word = 1u64.to_ne_bytes();
        // SAFETY: both descriptors are ours and open, the buffer has eight bytes. The descriptors
        // do not block, and there is room for one word: neither call can fail in a way that could
        // be mended here.
        unsafe {
            if raised {
                libc::write(self.write_fd, word.as_ptr().cast(), word.len());
            } else {
                libc::read(self.read_fd, word.as_mut_ptr().cast(), word.len());
            }
        }
        self.raised = raised;
    }
}

impl Drop for Signal {
    fn drop(&mut self) {
        // SAFETY: the descriptors are ours; a number is closed once.
        unsafe {
            libc::close(self.read_fd);
            if self.write_fd != self.read_fd {
                libc::close(self.write_fd);
            }
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn open() -> Result<[i32; 2], Failure> {
    // SAFETY: no pointer is involved.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if fd < 0 { Err(Failure::os("eventfd")) } else { Ok([fd, fd]) }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn open() -> Result<[i32; 2], Failure> {
    let mut fds = [-1; 2];
    // SAFETY: the array has room for both descriptors, and they are ours from then on.
    unsafe {
        if libc::pipe(fds.as_mut_ptr()) != 0 {
            return Err(Failure::os("pipe"));
        }
        for fd in fds {
            libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
            libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK);
        }
    }
    Ok(fds)
}

/// Randomness from the operating system.
pub(crate) fn random() -> Result<u64, Failure> {
    let mut word = [0u8; 8];
    // SAFETY: the buffer has as many bytes as the call is told.
    if unsafe { libc::getentropy(word.as_mut_ptr().cast(), word.len()) } != 0 {
        return Err(Failure::os("getentropy"));
    }
    Ok(u64::from_ne_bytes(word))
}
