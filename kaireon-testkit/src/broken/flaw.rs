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
    /// A tombstone is installed though a relay has what lies below it in hand.
    TombstonesWaitForNoRelay,
    /// Nothing is deleted before a relay that has entries of the customer in hand has given them back.
    ErasureWaitsFirst,
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
    /// A page of a history begins with the oldest of its years.
    HistoryGoesByYear,
    /// A history is not filtered.
    IgnoresHistoryFilters,
    /// A full page of a history has another behind it, also where that is empty.
    HistoryAlwaysGoesOn,
    /// A history goes on only behind a row that is there.
    CursorMustBeARow,
    /// A page of a history or a scan may have any length.
    IgnoresPageLimits,
    /// A cursor of something else begins anew.
    TakesForeignCursors,
    /// Summaries are not filtered.
    IgnoresSummaryFilters,
    /// Who has no summaries has those of a customer whose id begins so.
    FindsCustomersByTheirBeginning,
    /// A week that lies in two months is in no summary.
    ForgetsWeeksOfTwoMonths,
    /// A customer has at most a thousand groups.
    BoundsTheGroupsOfACustomer,
    /// What is classified as negative is counted as neutral.
    CountsNegativeAsNeutral,
    /// The value of a click is not summed.
    SumsNoClicks,
    /// Keys are the same without regard to case.
    FoldsKeys,
    /// A key is known whatever tenant used it.
    SharesKeysAcrossTenants,
    /// An empty batch is an error.
    RefusesEmptyBatches,
    /// A live record may bring a generation.
    LiveTakesGenerations,
    /// A decision is found under the beginning of its id.
    FindsDecisionsByTheirBeginning,
    /// A retry of a decision is answered as new.
    AnswersDecisionsAsNew,
    /// A recommendation id is known whatever tenant used it.
    DecisionKeysAcrossTenants,
    /// A scan of decisions ends after its first page.
    ScanOfDecisionsStopsEarly,
    /// The offers of a decision are counted as impressions.
    CountsDecisions,
    /// The propensities of a decision are not kept.
    ForgetsPropensities,
    /// Decisions are not written into the outbox.
    DecisionsUntold,
    /// Decisions are recorded under any epoch.
    DecisionsUnfenced,
    /// Replicated decisions get a new timestamp.
    ReplicatedDecisionsAreRestamped,
    /// An erasure reaches the customers of that id in every tenant.
    ErasureReachesNeighbours,
    /// A fence is raised and not kept.
    ForgetsTheFence,
    /// The sequence does not grow.
    SequenceStands,
    /// A lane tells since when the newest entry waits.
    StatusTellsTheNewest,
    /// Settling what is gone is an error.
    SettlingAgainFails,
    /// The store answers no ping and declares that it does.
    DeclaresPingAway,
    /// A history is declared away and there all the same.
    DeclaresHistoryAway,
    /// The check value of another key is told.
    TellsAnotherKey,
    /// A disconnect after the first is an error.
    SecondDisconnectFails,
    /// A scan that goes on reads whatever tenant's.
    ScanForgetsItsTenant,
    /// A destination of all does not take a lane from a process's own whose relays live.
    RelaysKeepTheirLane,
    /// A fence that names no lanes sets the store's.
    FenceForgetsTheLanes,
    /// What no lease covers is moved aside.
    PoisonsWithoutLease,
    /// A lease is held for ever.
    LeasesNeverExpire,
    /// Who releases a range that was lost releases its next holder's lease.
    ReleasesWhatWasLost,
    /// Asking again does not move the end of a lease.
    RenewalsDoNotExtend,
    /// Who asks for less gives nothing back.
    KeepsRangesBeyondTheBound,
    /// Records from elsewhere before the watermark leave rows.
    ReplicatedRowsOutliveAPurge,
    /// A record of a higher generation leaves what lies below.
    HigherGenerationsEraseNothing,
    /// A record of a higher generation leaves what lies below in the lanes.
    HigherGenerationsKeepEntries,
    /// Attributes of more than 32 KiB are not kept.
    BoundsAttributes,
    /// Summaries are read before the unit that writes: of concurrent writers one is lost.
    ReadsSummariesOutsideTheUnit,
    /// A handle reads summaries again only after a write of its own.
    HandlesRememberSummaries,
    /// Interaction types are kept in small letters.
    KeepsTypesInSmallLetters,
    /// A page of dead letters is listed backwards.
    DeadLettersNewestFirst,
    /// What comes after a disconnect is answered as new, and lost.
    AcknowledgesAfterDisconnect,
    /// Entries carry generation zero, whatever their record was accepted under.
    EntriesAreOfGenerationZero,
    /// A page of a history goes on behind as many rows as lay before its cursor.
    PagesByOffset,
    /// Of two records of one id and timestamp the later replaces the earlier.
    OneRowPerIdAndTime,
    /// Events of the host's own go out only where the lane is in force.
    HostEventsNeedTheLane,
    /// Blanks at the end of an id are no part of it.
    TrimsIds,
    /// A key is known by the records of its origin alone.
    ReplicatedHasKeysOfItsOwn,
    /// A store's `Debug` names customers.
    DebugTellsCustomers,
    /// Decisions outlive a purge.
    PurgeForgetsDecisions,
    /// A retry with other details overwrites those of the first.
    RetryOverwritesTheFirst,
    /// Fences and watermarks end with the process.
    SettingsAreNotDurable,
    /// A wait in which nothing comes is an error.
    QuietWaitsFail,
    /// The outbox ends with the process.
    OutboxIsNotDurable,
    /// Tombstones of every tenant are listed.
    TombstonesOfEverybody,
    /// Tombstones from elsewhere are noted, and erase nothing.
    InstallingErasesNothing,
}
