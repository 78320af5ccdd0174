//! What a subscriber has not fetched yet: a bounded queue that never makes its filler wait.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use futures_core::Stream;
use kaireon_core::publisher::{Acknowledge, Answer, Delivery, Settling, Signal};
use kaireon_core::{Event, Result};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::task::coop;

/// The queue.
pub(super) struct Mailbox(Mutex<Inbox>);

struct Inbox {
    /// At most two markers stand between two events.
    items: VecDeque<Item>,
    events: usize,
    room: usize,
    closed: bool,
    reader: Option<Waker>,
}

#[derive(Debug, PartialEq)]
enum Item {
    Event(Event),
    Lost(u64),
    Gap,
}

impl Mailbox {
    /// With room for so many events.
    pub(super) fn new(room: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Inbox {
            items: VecDeque::new(),
            events: 0,
            room,
            closed: false,
            reader: None,
        })))
    }

    /// Adds an event; `false`: there was no room, which is noted at its place.
    pub(super) fn put(&self, event: Event) -> bool {
        let mut inbox = self.0.lock();
        let fits = inbox.events < inbox.room;
        if fits {
            inbox.events += 1;
            inbox.items.push_back(Item::Event(event));
        } else {
            let behind = inbox.items.iter_mut().rev();
            let behind = behind.take_while(|item| !matches!(item, Item::Event(_)));
            let counted = behind.into_iter().find_map(|item| match item {
                Item::Lost(lost) => Some(lost),
                _ => None,
            });
            match counted {
                Some(lost) => *lost += 1,
                None => inbox.items.push_back(Item::Lost(1)),
            }
        }
        wake(inbox);
        fits
    }

    /// Notes that an unknown number of events may be missing here.
    pub(super) fn gap(&self) {
        let mut inbox = self.0.lock();
        let mut behind = inbox
            .items
            .iter()
            .rev()
            .take_while(|item| !matches!(item, Item::Event(_)));
        if !behind.any(|item| *item == Item::Gap) {
            inbox.items.push_back(Item::Gap);
        }
        wake(inbox);
    }

    /// Ends the stream behind what is in.
    pub(super) fn close(&self) {
        let mut inbox = self.0.lock();
        inbox.closed = true;
        wake(inbox);
    }
}

/// Nobody is woken under the lock.
fn wake(mut inbox: parking_lot::MutexGuard<'_, Inbox>) {
    let reader = inbox.reader.take();
    drop(inbox);
    if let Some(reader) = reader {
        reader.wake();
    }
}

/// What a subscriber reads.
pub(super) struct Reader {
    mailbox: Arc<Mailbox>,
    /// Goes with the reader, by which the filler learns of it.
    _here: oneshot::Sender<()>,
}

impl Reader {
    /// The reader of a mailbox, and what tells that it is gone.
    pub(super) fn of(mailbox: &Arc<Mailbox>) -> (Self, oneshot::Receiver<()>) {
        let (here, gone) = oneshot::channel();
        let reader = Self {
            mailbox: Arc::clone(mailbox),
            _here: here,
        };
        (reader, gone)
    }
}

impl Stream for Reader {
    type Item = Result<Signal>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // A subscriber that never runs dry must not keep its thread from everybody else.
        let budget = ready!(coop::poll_proceed(context));
        let mut inbox = self.mailbox.0.lock();
        let signal = match inbox.items.pop_front() {
            Some(Item::Event(event)) => {
                inbox.events -= 1;
                Signal::Delivery(Delivery::new(event, 1, Arc::new(Nobody), 0))
            }
            Some(Item::Lost(lost)) => Signal::Lost(lost),
            Some(Item::Gap) => Signal::Gap,
            None if inbox.closed => return Poll::Ready(None),
            None => {
                inbox.reader = Some(context.waker().clone());
                return Poll::Pending;
            }
        };
        budget.made_progress();
        Poll::Ready(Some(Ok(signal)))
    }
}

/// Hears of what was processed: nobody, what was sent is gone from the server.
struct Nobody;

impl Acknowledge for Nobody {
    fn settle(&self, _token: u64, _answer: Answer) -> Settling<'_> {
        Settling::Done(Ok(()))
    }

    fn abandoned(&self, _token: u64) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        Event::new("t", &1).unwrap()
    }

    fn shown(mailbox: &Mailbox) -> String {
        let inbox = mailbox.0.lock();
        let each = inbox.items.iter().map(|item| match item {
            Item::Event(_) => "e".to_owned(),
            Item::Lost(lost) => lost.to_string(),
            Item::Gap => "g".to_owned(),
        });
        each.collect()
    }

    #[test]
    fn what_has_no_room_is_counted_at_its_place_and_markers_do_not_pile_up() {
        let mailbox = Mailbox::new(2);
        assert!(mailbox.put(event()) && mailbox.put(event()));
        assert!(!mailbox.put(event()) && !mailbox.put(event()));
        assert_eq!(shown(&mailbox), "ee2");
        for _ in 0..3 {
            mailbox.gap();
            assert!(!mailbox.put(event()));
        }
        assert_eq!(shown(&mailbox), "ee5g");
    }

    #[tokio::test]
    async fn a_fetched_event_makes_room_and_the_end_comes_behind_everything() {
        let mailbox = Mailbox::new(1);
        let (reader, mut gone) = Reader::of(&mailbox);
        let mut reader = kaireon_core::publisher::Subscriber::new(reader);
        mailbox.gap();
        mailbox.put(event());
        assert!(matches!(reader.next().await, Some(Ok(Signal::Gap))));
        assert!(matches!(reader.next().await, Some(Ok(Signal::Delivery(_)))));
        assert!(mailbox.put(event()));
        mailbox.close();
        assert!(matches!(reader.next().await, Some(Ok(Signal::Delivery(_)))));
        assert!(reader.next().await.is_none());
        assert_eq!(gone.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        drop(reader);
        assert_eq!(gone.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    }
}
