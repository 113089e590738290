//! Seeds that found something once: they are run before any other.

/// A seed and what it found.
pub const REGRESSIONS: &[(u64, &str)] = &[
    (3, "an acknowledged snapshot that nobody was told to sync"),
    (11, "a joiner that no old snapshot can help"),
    (23, "a member that ticks twice as fast keeps the others from electing anybody"),
    (155, "a leader committed its own removal, and nobody else can win"),
    (587, "a leader elected by others while its own disk is behind"),
    (695, "a membership change that a snapshot overtook"),
    (920, "a leader demoted itself, and the news was lost"),
    (1122, "a higher term that a mixed configuration never hears of"),
    (2200, "a learner with a higher term than the leader's"),
    (103_118, "a leader that is no voter answered a read alone"),
    (1_795_255_099_078_266, "a change that was replaced before the Ready that would say so"),
    (1_795_248_815_001_430, "fifty terms to catch up with, one for eleven timeouts"),
    (1_795_246_811_022_996, "only a slow clock can win, and quicker ones that cannot ask first"),
];
