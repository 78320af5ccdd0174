//! The cursors against a server that is simulated: transactions draw numbers and positions in any order, commit in any
//! order or never, and relays fetch, settle, stop and take over in between.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::*;

const RANGES: u16 = 3;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        // A linear congruential generator; its high bits are random enough.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[derive(Default)]
struct Server {
    next_xid: u64,
    last_completed: u64,
    running: BTreeSet<u64>,
    last_position: i64,
    /// Rows that are there, with the transaction that wrote them.
    rows: BTreeMap<Place, u64>,
}

impl Server {
    fn begin(&mut self) -> u64 {
        self.next_xid += 1;
        self.running.insert(self.next_xid);
        self.next_xid
    }

    fn write(&mut self, xid: u64, range: u16) -> Place {
        self.last_position += 1;
        let place = (self.last_position, range);
        self.rows.insert(place, xid);
        place
    }

    fn commit(&mut self, xid: u64) {
        self.running.remove(&xid);
        self.last_completed = self.last_completed.max(xid);
    }

    fn snapshot(&self) -> Snapshot {
        let xmax = self.last_completed + 1;
        let running: Vec<String> = self.running.range(..xmax).map(u64::to_string).collect();
        let xmin = self.running.first().copied().unwrap_or(xmax).min(xmax);
        Snapshot::parse(&format!("{xmin}:{xmax}:{}", running.join(","))).unwrap()
    }

    /// What the statement of a fetch answers.
    fn answer(
        &self,
        cursors: &HashMap<u16, Cursor>,
        asks: &[Ask],
        again: &[Place],
        limit: usize,
    ) -> Answer<()> {
        let seen = self.snapshot();
        let visible = |xid: u64| !self.running.contains(&xid);
        let there = || self.rows.iter().filter(|(_, xid)| visible(**xid));
        let tracked = asks.iter().filter(|ask| ask.tracked);
        let unseen = Unseen::of(tracked.filter_map(|ask| cursors.get(&ask.range)));
        let number = |text: &Option<String>| text.as_ref().map(|text| text.parse::<u64>().unwrap());
        let (from, until) = (number(&unseen.from), number(&unseen.until));
        let is_unseen = |xid: u64| {
            unseen.running.contains(&xid.to_string())
                || from.is_some_and(|from| xid >= from && until.is_none_or(|until| xid < until))
        };
        let ask = |range: u16| asks.iter().find(|ask| ask.range == range);
        let late: Vec<Place> = there()
            .filter(|((position, range), xid)| {
                is_unseen(**xid)
                    && ask(*range).is_some_and(|ask| ask.tracked && *position <= cursors[range].low)
            })
            .map(|(place, _)| *place)
            .collect();
        let looked_up: BTreeSet<Place> = late.iter().chain(again).copied().collect();
        let known = looked_up.into_iter().take(limit);
        let known = known.filter(|place| self.rows.get(place).is_some_and(|xid| visible(*xid)));
        let known = known.map(|place| (place, ())).collect();
        let mut read = Vec::new();
        for ask in asks {
            let of_range =
                there().filter(|((position, range), _)| *range == ask.range && *position > ask.reads_from);
            read.extend(of_range.take(ask.quota).map(|(place, _)| (*place, ())));
        }
        Answer {
            seen,
            late,
            known,
            read,
        }
    }
}

/// One round over every range.
fn fetch(
    server: &Server,
    cursors: &mut HashMap<u16, Cursor>,
    in_flight: &HashSet<Place>,
    limit: usize,
) -> Vec<Place> {
    let full: Vec<bool> = (0..RANGES).map(|range| cursors[&range].full).collect();
    let quotas = quotas(&full, limit);
    let ask = |range: u16| Ask {
        range,
        token: 1,
        reads_from: cursors[&range].low,
        quota: quotas[usize::from(range)],
        after: 0,
        tracked: true,
    };
    let asks: Vec<Ask> = (0..RANGES).map(ask).collect();
    let mut again = BTreeSet::new();
    for (range, cursor) in cursors.iter() {
        let open = cursor.open.iter().map(|position| (*position, *range));
        again.extend(open.filter(|place| !in_flight.contains(place)));
    }
    let again: Vec<Place> = again.into_iter().take(limit + 1).collect();
    let answer = server.answer(cursors, &asks, &again, limit);
    let gained = advance(cursors, (&asks, &again), in_flight, answer, limit);
    let more = !gained.more.is_empty();
    let places: Vec<Place> = gained.entries.into_iter().map(|(place, ())| place).collect();
    // What was settled elsewhere may fill a round; the next one looks further.
    if places.is_empty() && more {
        fetch(server, cursors, in_flight, limit)
    } else {
        places
    }
}

/// Whether every entry of a committed transaction is delivered, none of an open one, and each customer's in order:
/// who was committed before another was written comes first.
fn run(seed: u64) {
    let mut random = Random(seed);
    let mut server = Server::default();
    let mut cursors: HashMap<u16, Cursor> = (0..RANGES).map(|range| (range, Cursor::start(1))).collect();
    let mut saved: HashMap<u16, (i64, String, u64)> = HashMap::new();
    let mut open: Vec<(u64, Vec<Place>)> = Vec::new();
    let mut committed: BTreeSet<Place> = BTreeSet::new();
    let mut delivered: BTreeSet<Place> = BTreeSet::new();
    // Delivered, and not settled while the next ones are read.
    let mut in_flight: HashSet<Place> = HashSet::new();
    // Of each row, the rows of its range that had been committed when it was written.
    let mut before: HashMap<Place, Vec<Place>> = HashMap::new();
    for step in 0..400 {
        match random.below(10) {
            0..3 => open.push((server.begin(), Vec::new())),
            3..6 if !open.is_empty() => {
                let at = usize::try_from(random.below(open.len() as u64)).unwrap();
                let range = u16::try_from(random.below(RANGES.into())).unwrap();
                let place = server.write(open[at].0, range);
                open[at].1.push(place);
                let earlier = committed.iter().filter(|(_, of)| *of == range);
                before.insert(
                    place,
                    earlier
                        .filter(|place| !delivered.contains(*place))
                        .copied()
                        .collect(),
                );
            }
            6..8 if !open.is_empty() => {
                let at = usize::try_from(random.below(open.len() as u64)).unwrap();
                let (xid, places) = open.swap_remove(at);
                server.commit(xid);
                committed.extend(places);
            }
            8 => {
                let limit = 1 + usize::try_from(random.below(12)).unwrap();
                let places = fetch(&server, &mut cursors, &in_flight, limit);
                // Most of what was delivered before is settled meanwhile, the rest comes again.
                for place in in_flight.drain() {
                    assert!(
                        !places.contains(&place),
                        "seed {seed}: what is in hand comes again"
                    );
                    if random.below(4) > 0 {
                        server.rows.remove(&place);
                        cursors.get_mut(&place.1).unwrap().open.remove(&place.0);
                    }
                }
                for place in places {
                    assert!(
                        committed.contains(&place),
                        "seed {seed}: what is not committed is not fetched"
                    );
                    for earlier in &before[&place] {
                        assert!(
                            delivered.contains(earlier),
                            "seed {seed}, step {step}: {earlier:?} before {place:?}"
                        );
                    }
                    delivered.insert(place);
                    in_flight.insert(place);
                }
            }
            _ => match random.below(3) {
                0 => {
                    let xid = server.begin();
                    for (range, cursor) in &cursors {
                        if let Some(seen) = &cursor.seen {
                            saved.insert(*range, (cursor.settled(), seen.as_str().to_owned(), xid));
                        }
                    }
                    server.commit(xid);
                }
                // Another takes over from what was saved.
                1 => {
                    in_flight.clear();
                    for (range, cursor) in &mut cursors {
                        *cursor = match saved.get(range) {
                            Some((low, seen, until)) => {
                                Cursor::resume(1, *low, seen, &until.to_string()).unwrap()
                            }
                            None => Cursor::start(1),
                        };
                    }
                }
                _ => {}
            },
        }
    }
    for (xid, places) in open.drain(..) {
        server.commit(xid);
        committed.extend(places);
    }
    while let places @ [_, ..] = &fetch(&server, &mut cursors, &HashSet::new(), 7)[..] {
        for place in places {
            delivered.insert(*place);
            server.rows.remove(place);
        }
    }
    assert_eq!(delivered, committed, "seed {seed}");
    assert!(server.rows.is_empty(), "seed {seed}: nothing is left behind");
}

#[test]
fn whatever_commits_in_whichever_order_is_delivered_in_order() {
    for seed in 0..500 {
        run(seed);
    }
}

#[test]
fn a_snapshot_is_read_and_a_damaged_one_is_refused() {
    let seen = Snapshot::parse("10:20:10,14,15").unwrap();
    assert_eq!((seen.xmax, &seen.running[..]), (20, &[10, 14, 15][..]));
    assert!(Snapshot::parse("10:10:").unwrap().running.is_empty());
    for wrong in ["", "10", "10:20", "10:x:", "10:20:a", "1:2:3:4"] {
        assert!(Snapshot::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn what_several_ranges_have_not_seen_covers_each_of_them() {
    let of = |seen: &str, until: Option<u64>| Cursor {
        seen: Some(Snapshot::parse(seen).unwrap()),
        until,
        ..Cursor::start(1)
    };
    let (one, other) = (of("5:9:5", Some(12)), of("7:20:7,8", Some(30)));
    let unseen = Unseen::of([&one, &other, &Cursor::start(1)].into_iter());
    assert_eq!(unseen.running, ["5", "7", "8"]);
    assert_eq!(
        (unseen.from.as_deref(), unseen.until.as_deref()),
        (Some("9"), Some("30"))
    );
    let unbounded = Unseen::of([&one, &of("7:20:", None)].into_iter());
    assert_eq!((unbounded.from.as_deref(), unbounded.until), (Some("9"), None));
    assert_eq!(Unseen::of([&Cursor::start(1)].into_iter()), Unseen::default());
}

#[test]
fn too_many_open_entries_are_read_again_instead_of_remembered() {
    let mut cursor = Cursor::start(1);
    cursor.low = 500_000;
    cursor
        .open
        .extend(200_000..200_000 + 1 + i64::try_from(MAX_OPEN).unwrap());
    cursor.shorten();
    assert_eq!((cursor.low, cursor.open.len()), (199_999, 0));
}

#[test]
fn ranges_that_had_more_share_what_is_wanted() {
    assert_eq!(quotas(&[false; 64], 512), [8; 64]);
    assert_eq!(quotas(&[true; 64], 512), [8; 64]);
    let mut one = [false; 64];
    one[5] = true;
    assert_eq!((quotas(&one, 512)[5], quotas(&one, 512)[0]), (512, 8));
    assert_eq!(quotas(&[false], 7), [7]);
    assert_eq!(quotas(&[false; 64], 3), [3; 64]);
}
