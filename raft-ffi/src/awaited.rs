//! The responses that are out with the application's storage threads.

use std::collections::VecDeque;

use raftcore::LocalResponse;

/// Responses by the number under which the application knows them.
#[derive(Default)]
pub(crate) struct Awaited {
    /// The number of the last one.
    count: u64,
    responses: VecDeque<(u64, LocalResponse)>,
}

impl Awaited {
    /// Keeps one, and gives it a number that is not zero.
    pub(crate) fn add(&mut self, response: LocalResponse) -> u64 {
        self.count = self.count.saturating_add(1);
        self.responses.push_back((self.count, response));
        self.count
    }

    /// The one with this number, once.
    pub(crate) fn take(&mut self, number: u64) -> Option<LocalResponse> {
        // Usually the oldest one.
        let place = self.responses.iter().position(|(known, _)| *known == number)?;
        self.responses.remove(place).map(|(_, response)| response)
    }
}
