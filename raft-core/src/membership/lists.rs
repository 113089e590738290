//! Four lists in one block: the parts of a membership, of which all but the first are nearly always
//! empty. Every node and every log in memory has one.

use crate::state::ConfState;

/// Four lists, none of which grows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Lists<T> {
    /// One after another.
    all: Box<[T]>,
    /// Where the first three end.
    ends: [u32; 3],
    /// Whether the leader leaves the joint configuration by itself: here it takes no room.
    pub(super) auto_leave: bool,
}

impl<T> Default for Lists<T> {
    fn default() -> Self {
        Self { all: Box::default(), ends: [0; 3], auto_leave: false }
    }
}

impl<T> Lists<T> {
    pub(crate) fn new(lists: [Vec<T>; 4], auto_leave: bool) -> Self {
        let [first, second, third, fourth] = lists;
        // No group has so many members that a number of them would not fit.
        let end_of_second = first.len().saturating_add(second.len());
        let end_of_third = end_of_second.saturating_add(third.len());
        let ends = [first.len() as u32, end_of_second as u32, end_of_third as u32];
        let mut all = first;
        all.extend(second.into_iter().chain(third).chain(fourth));
        Self { all: all.into_boxed_slice(), ends, auto_leave }
    }

    #[inline]
    pub(crate) fn first(&self) -> &[T] {
        self.between(0, self.ends[0])
    }

    #[inline]
    pub(crate) fn second(&self) -> &[T] {
        self.between(self.ends[0], self.ends[1])
    }

    pub(crate) fn third(&self) -> &[T] {
        self.between(self.ends[1], self.ends[2])
    }

    pub(crate) fn fourth(&self) -> &[T] {
        self.all.get(self.ends[2] as usize..).unwrap_or_default()
    }

    /// Whether all others are empty.
    #[inline]
    pub(crate) fn has_only_first(&self) -> bool {
        self.all.len() == self.ends[0] as usize
    }

    #[inline]
    fn between(&self, from: u32, to: u32) -> &[T] {
        self.all.get(from as usize..to as usize).unwrap_or_default()
    }
}

/// A [`ConfState`] as it was given, in a third of its room.
#[derive(Clone, Default, Debug)]
pub(crate) struct PackedConfState(Lists<u64>);

impl From<ConfState> for PackedConfState {
    fn from(state: ConfState) -> Self {
        let ConfState { voters, learners, voters_outgoing, learners_next, auto_leave } = state;
        Self(Lists::new([voters, learners, voters_outgoing, learners_next], auto_leave))
    }
}

impl From<&PackedConfState> for ConfState {
    fn from(packed: &PackedConfState) -> Self {
        let members = &packed.0;
        Self {
            voters: members.first().to_vec(),
            learners: members.second().to_vec(),
            voters_outgoing: members.third().to_vec(),
            learners_next: members.fourth().to_vec(),
            auto_leave: members.auto_leave,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_list_comes_out_as_it_went_in() {
        for present in 0..16usize {
            let list = |at: u64| {
                let length = if present >> at & 1 == 1 { at + 1 } else { 0 };
                (0..length).map(|n| 10 * at + n).collect::<Vec<_>>()
            };
            let state = ConfState {
                voters: list(0),
                learners: list(1),
                voters_outgoing: list(2),
                learners_next: list(3),
                auto_leave: present % 3 == 0,
            };
            assert_eq!(ConfState::from(&PackedConfState::from(state.clone())), state);
        }
    }
}
