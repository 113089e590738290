//! In a debug build: which nodes and storages live, so that using one that was destroyed is told
//! and not suffered. In a release build none of this is there.

use crate::error::Failure;

#[cfg(debug_assertions)]
static LIVING: parking_lot::Mutex<std::collections::BTreeSet<usize>> =
    parking_lot::Mutex::new(std::collections::BTreeSet::new());

/// An object that the program may use from now on.
pub(crate) fn born<T>(object: *mut T) -> *mut T {
    #[cfg(debug_assertions)]
    LIVING.lock().insert(object.addr());
    object
}

/// An object that is destroyed. If it was before, or never lived, the process ends here: whatever
/// came next would be worse.
pub(crate) fn dies<T>(object: *mut T) {
    #[cfg(debug_assertions)]
    if !LIVING.lock().remove(&object.addr()) {
        std::process::abort();
    }
    let _ = object;
}

/// Whether the object lives, as far as this build can tell.
pub(crate) fn check<T>(object: *const T, name: &str) -> Result<(), Failure> {
    #[cfg(debug_assertions)]
    if !object.is_null() && !LIVING.lock().contains(&object.addr()) {
        let text = format!("{name} was destroyed, or never made");
        return Err(Failure::new(crate::status::RAFTCORE_ERR_MISUSE, text));
    }
    let _ = (object, name);
    Ok(())
}
