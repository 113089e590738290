//! A panic on demand, in a build for tests (`--features planted-panics`): what the header promises
//! of a mistake of the library's own is shown with a real one. In no build that is shipped.

use std::cell::Cell;

/// Where the panic is: inside the guard of an export, before its body.
pub(crate) const AT_THE_DOOR: i32 = 1;
/// In a call that has just locked its node.
pub(crate) const IN_THE_NODE: i32 = 2;

thread_local! {
    static NEXT: Cell<i32> = const { Cell::new(0) };
}

/// For the tests: the next call of this thread that comes to this place panics there. Returns the
/// place that no call came to since.
#[unsafe(export_name = "raftcore_planted_panic")]
extern "C" fn plant(place: i32) -> i32 {
    NEXT.replace(place)
}

pub(crate) fn panic_at(place: i32) {
    if NEXT.get() == place {
        NEXT.set(0);
        panic!("planted");
    }
}
