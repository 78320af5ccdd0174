//! What callers were told and what the stream was told, kept in files: they outlive a process that is killed, and put what
//! several processes saw into one order.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use async_trait::async_trait;
use kaireon_core::outbox::{OutboxEntry, OutboxPayload};
use kaireon_core::relay::{Delivered, LaneSink};
use kaireon_core::time::Timestamp;
use kaireon_core::{
    Attributes, CustomerId, Decision, DecisionFields, DecisionFlowKey, Interaction, RecommendationId,
    TenantId,
};
use parking_lot::Mutex;

/// How many customers a writer writes to by turns: a comparison finds the summaries of each at rest now and then.
const TURNS: u64 = 8;

/// How many records a writer makes before it goes on to its next customers: theirs are read in one page.
const GROUP: u64 = 40 * TURNS;

/// Every so many records one is a decision.
const DECISION: u64 = 9;

/// The record of a writer under a number. A writer sends one behind the answer of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Piece {
    pub(crate) writer: Writer,
    pub(crate) number: u64,
}

/// A writer of a process, also over the process's successors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Writer {
    pub(crate) process: u64,
    pub(crate) writer: u64,
}

impl Piece {
    pub(crate) const fn is_decision(self) -> bool {
        self.number % DECISION == DECISION - 1
    }

    pub(crate) fn customer(self) -> CustomerId {
        let Writer { process, writer } = self.writer;
        CustomerId::new(format!("c-{process}-{writer}-{}", self.first())).unwrap()
    }

    /// The first number of its customer.
    const fn first(self) -> u64 {
        self.number / GROUP * GROUP + self.number % TURNS
    }

    /// The records of its customer from the first to this one.
    pub(crate) fn of_its_customer(self) -> impl Iterator<Item = Self> {
        let numbers = std::iter::successors(Some(self.first()), |number| Some(number + TURNS));
        let up_to_this = numbers.take_while(move |number| *number <= self.number);
        up_to_this.map(move |number| Self { number, ..self })
    }

    /// The idempotency key, or the recommendation's id.
    pub(crate) fn key(self) -> String {
        let Self { writer, number } = self;
        format!("{}.{}.{number}", writer.process, writer.writer)
    }

    /// The interaction, under an id of its own: a retry is found by its key.
    pub(crate) fn interaction(self, tenant: &TenantId, at: Timestamp) -> Interaction {
        let shown = Interaction::builder(tenant.as_str(), self.customer().as_str())
            .idempotency_key(self.key())
            .offer(format!("offer-{}", self.number % 3))
            .creative("banner")
            .channel("web");
        shown.timestamp(at).build().unwrap()
    }

    /// The decision: the same at each try.
    pub(crate) fn decision(self, tenant: &TenantId) -> Decision {
        Decision::restore(DecisionFields {
            id: RecommendationId::new(self.key()).unwrap(),
            tenant: tenant.clone(),
            customer: self.customer(),
            flow: DecisionFlowKey::new("flow").unwrap(),
            offers: Vec::new(),
            timestamp: kaireon_core::time::from_millis(1_790_000_000_000).unwrap(),
            attributes: Attributes::default(),
        })
        .unwrap()
    }
}

impl FromStr for Piece {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('.').map(|part| part.parse().map_err(drop));
        let mut next = || parts.next().ok_or(())?;
        Ok(Self {
            writer: Writer {
                process: next()?,
                writer: next()?,
            },
            number: next()?,
        })
    }
}

/// A file that any number of processes append lines to.
#[derive(Debug)]
pub(crate) struct Lines {
    path: PathBuf,
    file: File,
}

impl Lines {
    pub(crate) fn at(path: PathBuf) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        Self { path, file }
    }

    /// Appends lines in one piece: no other comes between them, and a kill leaves all or none.
    fn append(&self, text: &str) {
        let written = (&self.file).write(text.as_bytes()).unwrap();
        assert_eq!(written, text.len());
    }

    pub(crate) fn all(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.path).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

/// What a customer is called who is erased, or is to be.
pub(crate) const ERASED: &str = "erased-";

/// The highest acknowledged number of each writer, and who was erased.
#[derive(Debug)]
pub(crate) struct Ledger {
    lines: Lines,
    erased: Lines,
    seen: Mutex<(u64, BTreeMap<Writer, u64>)>,
}

impl Ledger {
    pub(crate) fn at(folder: &Path) -> Self {
        Self {
            lines: Lines::at(folder.join("acknowledged")),
            erased: Lines::at(folder.join("erased")),
            seen: Mutex::default(),
        }
    }

    pub(crate) fn acknowledge(&self, piece: Piece) {
        self.lines.append(&format!("{}\n", piece.key()));
    }

    /// An erasure that has its receipt.
    pub(crate) fn acknowledge_erasure(&self, customer: &CustomerId) {
        self.erased.append(&format!("{}\n", customer.as_str()));
    }

    /// Whose erasure was acknowledged.
    pub(crate) fn erased(&self) -> BTreeSet<CustomerId> {
        let lines = self.erased.all();
        lines
            .into_iter()
            .map(|line| CustomerId::new(line).unwrap())
            .collect()
    }

    /// What was acknowledged by now, by any process.
    pub(crate) fn acknowledged(&self) -> BTreeMap<Writer, u64> {
        let mut seen = self.seen.lock();
        let mut file = File::open(&self.lines.path).unwrap();
        file.seek(SeekFrom::Start(seen.0)).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        for line in text[..whole].lines() {
            let piece: Piece = line.parse().unwrap();
            let highest = seen.1.entry(piece.writer).or_insert(piece.number);
            *highest = piece.number.max(*highest);
        }
        seen.0 += whole as u64;
        seen.1.clone()
    }

    /// How many records were acknowledged.
    pub(crate) fn count(&self) -> u64 {
        self.acknowledged().values().map(|highest| highest + 1).sum()
    }
}

/// Where every relay of the `publish` lane delivers to.
#[derive(Debug)]
pub(crate) struct Stream(pub(crate) Lines);

impl Stream {
    pub(crate) fn at(folder: &Path) -> Self {
        Self(Lines::at(folder.join("told")))
    }
}

#[async_trait]
impl LaneSink for Stream {
    async fn deliver(&self, entries: &[OutboxEntry]) -> Vec<Delivered> {
        let mut told = String::new();
        for entry in entries {
            match &entry.payload {
                OutboxPayload::Interaction(value) => told.push_str(value.idempotency_key.as_str()),
                OutboxPayload::Decision(value) => told.push_str(value.id.as_str()),
                other => panic!("nobody appends {other:?}"),
            }
            told.push('\n');
        }
        self.0.append(&told);
        entries.iter().map(|_| Delivered::Done).collect()
    }
}

/// Everything that was acknowledged was told, and each customer's records first in the order of their acknowledgements.
pub(crate) fn told_in_order(told: &[String], acknowledged: &BTreeMap<Writer, u64>) {
    let mut next: BTreeMap<(Writer, u64), u64> = BTreeMap::new();
    // Others, of customers that are erased, are told as well.
    for piece in told.iter().filter_map(|line| line.parse::<Piece>().ok()) {
        let due = next.entry((piece.writer, piece.first())).or_insert(piece.first());
        if piece.number == *due {
            *due += TURNS;
        }
        assert!(piece.number < *due, "{piece:?} is told before number {due}");
    }
    for piece in pieces(acknowledged) {
        let due = next.get(&(piece.writer, piece.first())).copied();
        assert!(
            due > Some(piece.number),
            "{piece:?} was acknowledged, and is never told"
        );
    }
}

/// Everything up to these numbers.
pub(crate) fn pieces(highest: &BTreeMap<Writer, u64>) -> impl Iterator<Item = Piece> {
    let of = |(&writer, &highest)| (0..=highest).map(move |number| Piece { writer, number });
    highest.iter().flat_map(of)
}
