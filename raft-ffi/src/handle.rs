//! A node behind its lock: how every call gets in, and what is seen to when it leaves.
//!
//! On leaving a call: a panic faults the node, the descriptor and the waiting threads learn
//! whether there is a Ready, and the log lines are handed over when the lock is released.

use std::cell::UnsafeCell;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use parking_lot::{Condvar, Mutex, MutexGuard};
use raftcore::{Config, Fault, Node, NodeId};

use crate::alive;
use crate::awaited::Awaited;
use crate::backend::{Backend, Held, Occupied};
use crate::error::Failure;
use crate::journal::{Journal, Lines};
use crate::node::raftcore_node;
use crate::payloads::PayloadRoom;
use crate::poll::Wakes;
use crate::readiness::Signal;
use crate::ready_memory::ReadyMemory;
use crate::status::RAFTCORE_ERR_REENTRY;

/// What a `raftcore_node` is.
pub(crate) struct Handle {
    lock: Arc<Mutex<()>>,
    /// The member that it is.
    pub(crate) id: NodeId,
    /// Its storage is memory: no call on it calls the program, but for the log.
    is_silent: bool,
    /// Reached with the lock held.
    state: UnsafeCell<State>,
    /// There may be a Ready, or a wake-up.
    pub(crate) changed: Condvar,
    /// Which thread is inside, so that a callback that comes back is refused; zero: none.
    inside: AtomicUsize,
    /// Whether there is a Ready, for a program that reads it without a call.
    pub(crate) word: AtomicI32,
    /// Dropped after the node: then another may use the storage.
    _storage: Occupied,
}

// SAFETY: `state` is only reached through `Locked`, and so by one thread at a time.
unsafe impl Sync for Handle {}

/// What the lock protects.
pub(crate) struct State {
    pub(crate) core: Node<Held>,
    pub(crate) ready: ReadyMemory,
    pub(crate) payloads: PayloadRoom,
    pub(crate) awaited: Awaited,
    pub(crate) signal: Option<Signal>,
    /// Whether anybody has ever asked to be told what became of calls, in whatever way.
    pub(crate) is_watched: bool,
    /// Whether the program has asked where the word is.
    pub(crate) word_is_read: bool,
    /// How many threads wait in `raftcore_node_poll_ready`.
    pub(crate) waiting: usize,
    pub(crate) wakes: Wakes,
    pub(crate) journal: Journal,
    /// Whether the fault was written to the log.
    fault_is_told: bool,
}

impl Handle {
    /// A node on a storage that is given to it.
    pub(crate) fn new(
        config: &Config,
        backend: &Backend,
        storage: Occupied,
        ready: ReadyMemory,
    ) -> Result<Self, Failure> {
        let lock = backend.lock_of_node();
        let core = {
            let _held = lock.lock();
            // SAFETY: the core is in `state`, which is reached with this lock held, as it is here.
            Node::new(config, unsafe { backend.held() })?
        };
        let id = core.id();
        let state = State {
            core,
            ready,
            payloads: PayloadRoom::default(),
            awaited: Awaited::default(),
            signal: None,
            is_watched: false,
            word_is_read: false,
            waiting: 0,
            wakes: Wakes::default(),
            journal: Journal::default(),
            fault_is_told: false,
        };
        Ok(Self {
            lock,
            id,
            is_silent: backend.is_memory(),
            state: UnsafeCell::new(state),
            changed: Condvar::new(),
            inside: AtomicUsize::new(0),
            word: AtomicI32::new(0),
            _storage: storage,
        })
    }

    /// Locks the node for one call.
    #[inline]
    pub(crate) fn lock(&self) -> Result<Locked<'_>, Failure> {
        let me = this_thread();
        // Relaxed: only this thread writes its own number, so it sees it if it is there.
        if self.inside.load(Ordering::Relaxed) == me {
            return Err(reentry());
        }
        let guard = self.lock.lock();
        self.inside.store(me, Ordering::Relaxed);
        let locked = Locked { handle: self, guard: ManuallyDrop::new(guard) };
        #[cfg(feature = "planted-panics")]
        crate::planted::panic_at(crate::planted::IN_THE_NODE);
        Ok(locked)
    }

    /// Locks the node for one call, if nobody is inside and the call will not call the program.
    #[inline]
    pub(crate) fn try_lock(&self) -> Option<Locked<'_>> {
        let guard = self.lock.try_lock().filter(|_| self.is_silent)?;
        self.inside.store(this_thread(), Ordering::Relaxed);
        let mut locked = Locked { handle: self, guard: ManuallyDrop::new(guard) };
        let state = locked.state();
        if state.is_watched && (state.somebody_listens() || state.journal.is_heard()) {
            locked.unlock();
            std::mem::forget(locked);
            return None;
        }
        Some(locked)
    }

    /// One call.
    #[inline]
    pub(crate) fn call<T>(
        &self,
        act: impl FnOnce(&mut State) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.lock()?.with(act)
    }
}

/// A node that one thread is inside.
pub(crate) struct Locked<'a> {
    handle: &'a Handle,
    /// Taken out by `unlock` alone.
    guard: ManuallyDrop<MutexGuard<'a, ()>>,
}

impl Locked<'_> {
    /// Acts on the node. Whatever comes of it, the rest is seen to here, or by `drop` after a
    /// panic.
    #[inline]
    pub(crate) fn with<T>(
        mut self,
        act: impl FnOnce(&mut State) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let handle = self.handle;
        let state = self.state();
        let result = act(state);
        if state.is_watched {
            if state.somebody_listens() {
                return result;
            }
            state.note(handle);
        }
        self.unlock();
        std::mem::forget(self);
        result
    }

    /// As `with`, for what `try_lock` gave: nobody listens, and nobody comes to listen while the
    /// lock is held.
    #[inline]
    pub(crate) fn with_unheard<T>(mut self, act: impl FnOnce(&mut State) -> T) -> T {
        let handle = self.handle;
        let state = self.state();
        let result = act(state);
        if state.is_watched {
            state.note(handle);
        }
        self.unlock();
        std::mem::forget(self);
        result
    }

    /// Lets others in and waits until something changed or the time is over; false if it is over.
    pub(crate) fn wait(&mut self, deadline: Option<std::time::Instant>) -> bool {
        let handle = self.handle;
        let state = self.state();
        state.settle(handle);
        state.waiting = state.waiting.saturating_add(1);
        state.is_watched = true;
        handle.inside.store(0, Ordering::Relaxed);
        let in_time = match deadline {
            Some(deadline) => !handle.changed.wait_until(&mut self.guard, deadline).timed_out(),
            None => {
                handle.changed.wait(&mut self.guard);
                true
            }
        };
        handle.inside.store(this_thread(), Ordering::Relaxed);
        let state = self.state();
        state.waiting = state.waiting.saturating_sub(1);
        in_time
    }

    /// What the lock protects, while it is held.
    #[inline]
    pub(crate) fn state(&mut self) -> &mut State {
        // SAFETY: the lock is held, and there is one `Locked` while it is: the state is borrowed
        // from it alone.
        unsafe { &mut *self.handle.state.get() }
    }

    #[inline]
    fn unlock(&mut self) {
        self.handle.inside.store(0, Ordering::Relaxed);
        // SAFETY: called once, as the last thing that is done with this value.
        unsafe { ManuallyDrop::drop(&mut self.guard) }
    }
}

impl Drop for Locked<'_> {
    /// Tells those who listen what became of the call. The lines wait until the lock is free.
    #[cold]
    fn drop(&mut self) {
        let handle = self.handle;
        let state = self.state();
        if std::thread::panicking() {
            state.core.fault_with(Fault::Panic("in a call through the C ABI".to_owned()));
        }
        state.settle(handle);
        let lines = state.take_lines();
        state.note(handle);
        self.unlock();
        drop(lines);
    }
}

impl State {
    /// Whether `raftcore_node_ready` would have something to say.
    pub(crate) fn has_news(&self) -> bool {
        self.core.fault().is_some() || (!self.ready.is_full() && self.core.has_ready())
    }

    /// Whether `raftcore_node_ready` would say that there is nothing to do.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        !self.core.has_ready() && !self.ready.is_full() && self.core.fault().is_none()
    }

    /// Whether it makes a difference what became of a call: rarely so in a busy loop.
    #[inline(never)]
    fn somebody_listens(&self) -> bool {
        self.signal.is_some()
            || self.waiting > 0
            || self.journal.has_lines()
            || (self.core.fault().is_some() && !self.fault_is_told && self.journal.is_heard())
    }

    /// For a program that reads it without a call.
    #[inline(never)]
    fn note(&self, handle: &Handle) {
        if self.word_is_read {
            handle.word.store(i32::from(self.has_news()), Ordering::Release);
        }
    }

    /// Lets everyone who waits know whether there is something to take.
    fn settle(&mut self, handle: &Handle) {
        if self.signal.is_none() && self.waiting == 0 {
            return;
        }
        let news = self.has_news();
        if let Some(signal) = &mut self.signal {
            signal.set(news);
        }
        if self.waiting > 0 && (news || self.wakes.is_ringing()) {
            handle.changed.notify_all();
        }
    }

    fn take_lines(&mut self) -> Option<Lines> {
        if let (Some(fault), false) = (self.core.fault(), self.fault_is_told) {
            self.journal.tell_fault(fault);
            self.fault_is_told = true;
        }
        self.journal.take()
    }
}

/// The node behind a pointer of the program's.
///
/// # Safety
/// `node` is NULL or a node that is not destroyed before the result is last used.
pub(crate) unsafe fn of<'a>(node: *const raftcore_node) -> Result<&'a Handle, Failure> {
    alive::check(node, "node")?;
    // SAFETY: as promised by the caller.
    match unsafe { node.as_ref() } {
        Some(node) => Ok(&node.handle),
        None => Err(Failure::null("node")),
    }
}

#[cold]
fn reentry() -> Failure {
    let text = "a callback called back into the node that is calling it";
    Failure::new(RAFTCORE_ERR_REENTRY, text)
}

/// A number for this thread that no other living thread has, and that is not zero.
fn this_thread() -> usize {
    thread_local! {
        static MARK: u8 = const { 0 };
    }
    MARK.with(|mark| std::ptr::from_ref(mark).addr())
}

#[cfg(test)]
mod tests {
    use raftcore::{ConfState, Config, MemoryStorage};

    use super::*;
    use crate::config::Manner;
    use crate::status::{RAFTCORE_ERR_FAULTED, RAFTCORE_ERR_PANIC};

    fn node() -> Handle {
        let storage = MemoryStorage::with_conf_state(ConfState::with_voters([1]));
        let backend = Backend::memory(storage);
        let occupied = backend.occupy().unwrap();
        let manner = Manner { forms: 1, is_async: false, auto_persist: false };
        Handle::new(&Config::new(1, 1), &backend, occupied, ReadyMemory::new(manner)).unwrap()
    }

    fn tick(node: &Handle) -> i32 {
        guard!(std::ptr::null_mut(), { node.call(|state| Ok(state.core.tick()?)) })
    }

    #[test]
    fn a_panic_faults_the_node_and_releases_it() {
        let node = node();
        assert_eq!(tick(&node), 0);
        let status = guard!(std::ptr::null_mut(), { node.call(|_| panic!("a bug")) });
        assert_eq!(status, RAFTCORE_ERR_PANIC);
        assert_eq!(tick(&node), RAFTCORE_ERR_FAULTED);
        // Who waits for a Ready is told.
        assert!(node.call(|state| Ok(state.has_news())).unwrap());
    }

    #[test]
    fn a_call_from_inside_a_call_is_refused() {
        let node = node();
        let inner = node.call(|_| Ok(tick(&node))).unwrap();
        assert_eq!(inner, RAFTCORE_ERR_REENTRY);
        assert_eq!(tick(&node), 0);
    }
}
