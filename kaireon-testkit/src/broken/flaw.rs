//! The rules that a broken store alters, one each.

/// One altered rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Flaw {
    /// The idempotency key is looked up before the unit that writes: concurrent retries are both new.
    ChecksKeysOutsideTheUnit,
    /// A retry is not recognised when its timestamp lies in another month.
    KeysPerMonth,
    /// A retry is answered as new.
    AnswersRetriesAsNew,
    /// A duplicate is told the retry's id instead of the first.
    DuplicateReturnsTheRetrysId,
    /// A reused key with other content is a duplicate.
    AcceptsConflicts,
    /// A conflict is told, and the first record overwritten all the same.
    ConflictOverwritesTheFirst,
    /// The value is not part of the identity.
    IgnoresTheValueOfARetry,
    /// A key is forgotten after the horizon though its row stands.
    ForgetsKeysOfRowsThatStand,
    /// A key is forgotten with its row, within the horizon.
    PurgeForgetsKeys,
    /// The horizon begins at the time of the event, not at its arrival.
    KeysAgeByTimestamp,
    /// One wrong item of a batch fails all of them.
    BatchFailsWhole,
    /// Values are added as floats.
    SumsInFloats,
    /// An event older than the customer's newest misses its week.
    DropsLateEventsFromTheWeek,
    /// Days begin at local midnight, two hours early.
    DaysInLocalTime,
    /// A week at the edge of the year gets the calendar's year.
    WeeksOfTheCalendarYear,
    /// The last contact is the one that arrived last.
    LastByArrival,
    /// Summaries are computed from the rows that are left.
    SummariesFromRows,
    /// Summaries come in the order of their keys.
    SummariesUnordered,
    /// Custom types are counted as impressions.
    CountsCustomTypesAsImpressions,
    /// The history cursor knows only the timestamp.
    CursorSkipsEqualTimestamps,
    /// The end of a time range is included.
    UntilIsIncluded,
    /// A scan ends after its first page.
    ScanStopsEarly,
    /// The rank is not kept.
    ForgetsTheRank,
    /// The same decision with other offers is a duplicate.
    AcceptsOtherDecisions,
    /// Tenant and customer are concatenated without a separator.
    JoinsTenantAndCustomer,
    /// What was acknowledged is durable only after a disconnect.
    AcknowledgesBeforeDurable,
    /// The last record before a restart is gone after it: nobody called fsync.
    ReopensWithoutTheTail,
    /// Calls work on after `disconnect`.
    WorksAfterDisconnect,
    /// The text of a conflict quotes the idempotency key.
    QuotesTheKeyInErrors,
    /// Decisions outlive their customer's erasure.
    ErasureForgetsDecisions,
    /// Undelivered entries outlive their customer's erasure.
    ErasureForgetsTheOutbox,
    /// Summaries outlive their customer's erasure.
    ErasureForgetsSummaries,
    /// Dedupe records go with the customer: a retry of what was erased is new.
    ErasureForgetsKeys,
    /// The generation is read before the unit that writes: a writer that began before appears after the receipt.
    ErasureMissesWriters,
    /// The generation stays, so that what was accepted before may come back.
    ErasureKeepsTheGeneration,
    /// The receipt is given while a relay has entries of the customer in hand.
    ErasureWaitsForNoRelay,
    /// The same request erases again, and counts anew.
    ErasureRepeatsItself,
    /// Replicated records of an erased generation are taken.
    TakesErasedGenerations,
    /// Records of any generation are taken, however high.
    TakesAnyGeneration,
    /// Tombstones of any generation are installed, however high.
    TakesAnyTombstone,
    /// Whose generation is the highest that is taken from outside cannot be erased any more.
    ErasureEndsAtTheHighestGeneration,
    /// A row appears after the summaries that count it.
    RowsAppearAfterSummaries,
    /// A page of tombstones may have any length.
    IgnoresTombstoneLimits,
    /// A purge takes undelivered entries with it.
    PurgeDropsEntries,
    /// A later purge with an earlier bound moves the watermark back.
    WatermarkMovesBack,
    /// Rows before the watermark are shown.
    ShowsPurgedRows,
    /// A new interaction before the watermark is taken.
    TakesPurgedTimes,
    /// Times before 1970 are read as unsigned numbers, behind every row.
    ReadsTimesUnsigned,
    /// Epochs are not checked.
    IgnoresEpochs,
    /// The epoch is checked before the unit that writes.
    ChecksEpochsOutsideTheUnit,
    /// A fence may be lowered.
    LowersTheFence,
    /// Replicated records are written into lanes.
    ReplicatedWritesLanes,
    /// Replicated records get a new timestamp.
    ReplicatedIsRestamped,
    /// Only the first item of a batch reaches the outbox.
    OutboxLosesEntries,
    /// Every new record is answered as one of a customer who was never erased.
    TellsNoGeneration,
    /// A duplicate is published again.
    OutboxRepeatsDuplicates,
    /// Entries of a range come newest first.
    OutboxReordersACustomer,
    /// What lies before an entry in flight is not read.
    ReadsOnBehindWhatIsInFlight,
    /// Where the last page ended is not regarded.
    BeginsEachPageAnew,
    /// Records go into all lanes whatever was set.
    OutboxIgnoresLanes,
    /// Lanes are read, changed and set, and not in one unit.
    ReadsLanesBeforeItChangesThem,
    /// A range may be leased by two owners.
    LeasesAreShared,
    /// A range that expired gets another number when its owner asks again, though nobody took it.
    RenumbersWhatExpired,
    /// What every tenant's records have left is counted as one's.
    BacklogOfEverybody,
    /// Relays of every destination share a lane.
    LaneLeadsEverywhere,
    /// A relay that has given everything back is counted until its leases would have ended.
    CountsWhoHasLeft,
    /// A replayed letter is of generation zero.
    ReplayForgetsTheGeneration,
    /// A lease that was lost still settles and fetches.
    IgnoresLeaseTokens,
    /// What no lease covers is settled.
    SettlesWithoutLease,
    /// A poisoned entry is dropped.
    DropsPoisonedEntries,
    /// Replayed dead letters stay among the dead.
    ReplayKeepsTheLetter,
}
