//! Messages that a program hands in as structs, in the core's flat form. Nothing is believed here:
//! the wire's own door decides what has a meaning.

use raftcore::wire::schema;
use raftcore::{
    Append, AppendResponse, Body, Entries, Index, Message, MessageKind, NodeId, Position,
    Rejection, Term,
};

use crate::entry;
use crate::error::Failure;
use crate::message::{
    RAFTCORE_MESSAGE_APPEND, RAFTCORE_MESSAGE_APPEND_RESPONSE, raftcore_message, raftcore_messages,
};
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
        let views = slice::strided(items, count, stride, name)?;
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

/// The message that a struct without anything behind it stands for, if it is of a kind that every
/// entry costs: these need no flat form.
#[inline]
pub(crate) fn plain(view: &raftcore_message) -> Option<Message> {
    let points_nowhere =
        view.entries.count == 0 && view.context.len == 0 && view.snapshot.is_null();
    if !points_nowhere || view.response_number != 0 || view.reject > 1 {
        return None;
    }
    let (index, log_term) = (Index(view.index), Term(view.log_term));
    let body = match view.kind {
        RAFTCORE_MESSAGE_APPEND_RESPONSE => {
            let rejection = Rejection { hint: Index(view.reject_hint), hint_term: log_term };
            let rejection = (view.reject == 1).then_some(rejection);
            Body::AppendResponse(AppendResponse { index, rejection })
        }
        RAFTCORE_MESSAGE_APPEND => Body::Append(Append {
            prev: Position { term: log_term, index },
            entries: Entries::new(),
            commit: Index(view.commit),
        }),
        _ => return None,
    };
    let (to, from) = (NodeId::new(view.to)?, NodeId::new(view.from)?);
    Some(Message { to, from, term: Term(view.term), body })
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
