//! Mistakes that the simulation makes on purpose, to show that it would find
//! them. Without the feature `mutants` nothing of this is left in the build.

#[cfg(all(feature = "mutants", target_arch = "wasm32"))]
compile_error!("mutants are for the simulation, and nothing that is deployed may have them");

/// A mistake in the protocol; see `tests/simulation/mutants.rs`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mutant {
    /// A kill is said to be published before the feed has it.
    AcknowledgedEarly,
    /// The feed has a kill before all shards have committed it.
    PublishedBeforeCommit,
    /// A kill of a subject is committed in the newest row of the map only.
    OneShardOnly,
    /// Each shard publishes a kill of a subject, not only the last.
    TwoRows,
    /// The number of a kill is that of one shard, not the largest.
    NumberOfOneShard,
    /// The feed takes a kill for whole that lacks a row of the map.
    RowMissing,
    /// The feed takes a row of the map for one that was taken out while a
    /// version that has it still runs.
    RowGoneAtOnce,
    /// A kill of the site keeps to the rows of the map that it began with.
    SiteRowMissing,
    /// A kill is said to be quiet before the bound is over.
    QuietTooSoon,
    /// A poll is answered without a confirmed write.
    PollUnfenced,
    /// A session object answers without a confirmed write.
    ShardUnfenced,
    /// A question goes by a write that was issued before it came.
    TickShared,
    /// An answer that is given again goes without a confirmed write.
    RepeatedUnfenced,
    /// The feed keeps its epoch over a restart and a restore.
    EpochKept,
    /// Positions of different epochs are compared.
    EpochIgnored,
    /// The numbers of the feed have gaps.
    NumberSkipped,
    /// The window is as fresh as the receipt of an answer.
    StampedOnReceipt,
    /// The age of an answer is not taken off.
    AgeIgnored,
    /// A window goes on over what the feed has forgotten.
    GapIgnored,
    /// Answers are applied in the order in which they come.
    OutOfOrder,
    /// A window counts however old it is.
    WindowNeverOld,
    /// A session object's answer counts without a window however old it is.
    AnswerNeverOld,
    /// An edge polls once and never again.
    PollsStop,
    /// Who may make no more calls keeps the others from polling.
    PollTakenInVain,
    /// What was under way when the clock stepped back counts.
    StepUnnoticed,
    /// The position of a verdict is that of its receipt.
    PositionNotedLate,
    /// A verdict counts however long it took.
    NoAgeLimit,
    /// A yes for an old secret is kept.
    OldSecretCached,
    /// What was served and is looked at once more counts as used once more.
    LookIsUse,
    /// What is open goes by the secret that its answer brings from the first look on.
    NewerAtOnce,
    /// A start in exchange for an old cookie does not look whether there was one.
    AdoptedTwice,
    /// Who ends all of a person's sessions leaves what has not moved in yet.
    OldKindForgotten,
    /// A record of KV counts wherever the window stands.
    RecordWithoutPosition,
    /// A window says that it reaches back, and lacks what it began with.
    WindowWithoutEntries,
    /// A no is kept without an end.
    DeadForever,
    /// Strict routes are served from memory.
    StrictFromMemory,
    /// Every route goes on while the store is out of reach.
    OutageEverywhere,
    /// What is open stays open though nobody vouches for it.
    OpenWithoutProof,
    /// What is open is looked at once.
    OpenUnwatched,
    /// A failure of the store is taken for a no.
    ErrorAsAbsence,
    /// The edges are not told of a rotation.
    SilentRotation,
    /// The edges are not told of new claims.
    SilentUpdate,
    /// An old secret leads to the one that was raised.
    SuccessorAfterRaise,
    /// Idle sessions expire without the slack of a renewal.
    IdleWithoutSlack,
    /// Uses of a session are not written down.
    NoRenewals,
    /// A renewal can make a session expire earlier.
    ExpiryMovesBack,
    /// A start is not compared with kills.
    StartWithoutPosition,
    /// A start counts however late it comes.
    LateStart,
    /// A span over a step back of the clock is what the clock shows.
    SpanOverAStep,
    /// A shard that a subject has left takes starts.
    OldRowStart,
    /// A start makes no room.
    LimitIgnored,
    /// A request that is like one before is let through as that was.
    PrecedentUnchecked,
}

#[cfg(feature = "mutants")]
thread_local! {
    static ACTIVE: core::cell::Cell<Option<Mutant>> = const { core::cell::Cell::new(None) };
}

/// Makes this mistake from now on, in this thread.
#[cfg(feature = "mutants")]
pub fn activate(mutant: Option<Mutant>) {
    ACTIVE.set(mutant);
}

/// Whether this mistake is to be made.
#[cfg(feature = "mutants")]
pub fn is(mutant: Mutant) -> bool {
    ACTIVE.get() == Some(mutant)
}

/// None is made.
#[cfg(not(feature = "mutants"))]
pub const fn is(_: Mutant) -> bool {
    false
}
