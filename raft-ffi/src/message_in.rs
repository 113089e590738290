//! Messages that a program hands in as structs, in the core's flat form. Nothing is believed here:
//! the wire's own door decides what has a meaning.

use raftcore::MessageKind;
use raftcore::wire::schema;

use crate::entry;
use crate::error::Failure;
use crate::message::{raftcore_message, raftcore_messages};
use crate::sized;
use crate::slice;
use crate::snapshot::{self, raftcore_snapshot};

/// Messages of a program's, copied.
///
/// # Safety
/// `ptr` is NULL or points to an array whose messages, and all that they point to, are valid.
pub(crate) unsafe fn copy_all(
    ptr: *const raftcore_messages,
    name: &str,
) -> Result<Vec<schema::Message>, Failure> {
    if ptr.is_null() {
        return Err(Failure::null(name));
    }
    // SAFETY: as promised by the caller.
    unsafe {
        let array = ptr.read();
        let (items, count, stride) = (array.items, array.count, array.stride);
        let views = slice::strided(items, count, stride, name, "raftcore_message")?;
        views.iter().map(|view| copy(view, name)).collect()
    }
}

/// A message of a program's, copied.
///
/// # Safety
/// `ptr` is NULL, or points to a message, and all that it points to is valid.
pub(crate) unsafe fn copy(
    ptr: *const raftcore_message,
    name: &str,
) -> Result<schema::Message, Failure> {
    // SAFETY: as promised by the caller.
    let Some(view) = (unsafe { ptr.as_ref() }) else { return Err(Failure::null(name)) };
    if view.response_number != 0 {
        return Err(Failure::number("response_number", view.response_number));
    }
    // SAFETY: as promised by the caller.
    let (context, entries, snapshot) = unsafe {
        let context = slice::copy_slice(view.context, "context")?;
        (context, copy_entries(view)?, copy_snapshot(view.snapshot)?)
    };
    let mut flat = schema::Message {
        kind: view.kind,
        to: view.to,
        from: view.from,
        term: view.term,
        log_term: view.log_term,
        index: view.index,
        entries,
        commit: view.commit,
        snapshot,
        reject: sized::switch(view.reject, "reject")?,
        reject_hint: view.reject_hint,
        context,
        vote: view.vote,
        responses: Vec::new(),
    };
    if [MessageKind::ReadIndex as i32, MessageKind::ReadIndexResponse as i32].contains(&flat.kind) {
        // The wire has the context of a read as the data of an entry.
        let data = std::mem::take(&mut flat.context);
        flat.entries = vec![schema::Entry { data, ..schema::Entry::default() }];
    }
    Ok(flat)
}

/// # Safety
/// As for [`copy`].
unsafe fn copy_entries(view: &raftcore_message) -> Result<Vec<schema::Entry>, Failure> {
    // SAFETY: as promised by the caller.
    let (views, mut block) = unsafe {
        let views = entry::elements(view.entries, "entries")?;
        let block = slice::gather(views.iter().map(|view| view.data), "entries")?;
        (views, block)
    };
    let flat = |view: &entry::raftcore_entry| schema::Entry {
        kind: view.kind,
        term: view.term,
        index: view.index,
        data: block.split_to(view.data.len).freeze(),
    };
    Ok(views.iter().map(flat).collect())
}

/// # Safety
/// As for [`copy`].
unsafe fn copy_snapshot(
    ptr: *const raftcore_snapshot,
) -> Result<Option<schema::Snapshot>, Failure> {
    if ptr.is_null() {
        return Ok(None);
    }
    // SAFETY: as promised by the caller.
    unsafe { snapshot::copy(ptr, "snapshot") }.map(|snapshot| Some((&snapshot).into()))
}
