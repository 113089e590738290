//! The tokens of a membership change: `v1` voter, `l2` learner, `r3` remove, `u4` update.

use raftcore::{ConfChangeKind, ConfChangeSingle};

/// Reads tokens that are separated by single spaces. The error is part of the story.
pub(crate) fn read(input: &str) -> Result<Vec<ConfChangeSingle>, String> {
    let input = input.trim();
    if input.is_empty() {
        return Ok(Vec::new());
    }
    input.split(' ').map(step).collect()
}

fn step(token: &str) -> Result<ConfChangeSingle, String> {
    let mut rest = token.chars();
    let letter = rest.next();
    let number = rest.as_str();
    if number.is_empty() {
        return Err(format!("unknown token {token}"));
    }
    let kind = match letter {
        Some('v') => ConfChangeKind::AddVoter,
        Some('l') => ConfChangeKind::AddLearner,
        Some('r') => ConfChangeKind::Remove,
        Some('u') => ConfChangeKind::Update,
        _ => return Err(format!("unknown input: {token}")),
    };
    let node = number.parse().map_err(|_| format!("{number} is no node id"))?;
    Ok(ConfChangeSingle { kind, node })
}
