//! The thread: takes batches, commits units, and opens the database anew after a failure of the disk.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kaireon_core::coalesce::Queue;
use kaireon_core::{Effect, Error, ErrorKind, Result};

use super::unit::Effects;
use super::{Answer, Op, Unit};
use crate::client::{Engine, Unseen};
use crate::error::{io_error, of_engine};
use crate::folds;
use crate::open;
use crate::place::Place;
use crate::shared::Shared;

/// How long readers may take to finish with a database that is to be closed.
const PATIENCE: Duration = Duration::from_secs(10);

/// After a failure, how long until it is tried again: doubled up to the longest.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What the thread owns.
pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) place: Place,
    failure: Option<Failure>,
}

/// The database took a write no more.
struct Failure {
    error: Error,
    retry_at: Instant,
    pause: Duration,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, place: Place) -> Self {
        Self {
            shared,
            place,
            failure: None,
        }
    }

    /// Serves the queue until it is closed and empty, then closes the database and lets go of the directory.
    pub(crate) fn run(mut self, mut queue: Queue<Op, Answer>, threads: [JoinHandle<()>; 2]) {
        while let Some(mut batch) = queue.next_blocking() {
            let ops = batch.take_items();
            let answers = self.commit(&ops);
            batch.answer(answers);
            self.shared
                .folds
                .wait_for_room(self.shared.config.fold_buffer_bytes);
        }
        self.shared.folds.stop();
        let joined = threads.map(|thread| thread.join().is_ok());
        if joined != [true; 2] || folds::fold_all(&self.shared).is_err() {
            // It is all in the log, which is read when the directory is opened again.
            tracing::warn!("summaries of the embedded store stay in its log");
        }
        if let Some(engine) = self.shared.take_engine() {
            if self.failure.is_none()
                && let Err(error) = engine.sync()
            {
                tracing::error!(%error, "the embedded store could not be synced at its end");
            }
            if Engine::close(engine, PATIENCE).is_err() {
                tracing::error!(
                    "a read of the embedded store did not end; its files stay open until it does"
                );
            }
        }
        let Self { shared, place, .. } = self;
        drop(place);
        shared.ended.send_replace(true);
    }

    fn commit(&mut self, ops: &[Op]) -> Vec<Result<Answer>> {
        let mut outcome = self.commit_once(ops);
        if matches!(outcome, Err(Stopped::Refused(_))) && self.reopen() {
            // It had stopped in the background, before anything of these was written.
            outcome = self.commit_once(ops);
        }
        let error = match outcome {
            Ok(answers) => return answers,
            Err(Stopped::Refused(error)) => error.with_effect(Effect::NotApplied),
            Err(Stopped::Unknown(error)) => error.with_effect(Effect::Unknown),
        };
        ops.iter().map(|_| Err(error.clone())).collect()
    }

    fn commit_once(&mut self, ops: &[Op]) -> Result<Vec<Result<Answer>>, Stopped> {
        if self.failure.is_some() && !self.reopen() {
            let failure = self.failure.as_ref().map(|failure| failure.error.clone());
            return Err(Stopped::Refused(failure.unwrap_or_else(no_engine)));
        }
        let engine = self.shared.engine().map_err(Stopped::Refused)?;
        if ops.iter().any(|op| matches!(op, Op::Install(..))) {
            // A tombstone's customer is found in the registry, which is written with their own value.
            folds::fold_all(&self.shared).map_err(Stopped::Refused)?;
        }
        match self.commit_together(&engine, ops) {
            Ok(answers) => Ok(answers),
            Err(Broken::Engine(stopped)) => {
                self.fail(&stopped);
                Err(stopped)
            }
            // Something stored is damaged. One by one, only those fail that need it.
            Err(Broken::Unit(error)) if ops.len() == 1 => {
                Ok(vec![Err(error.with_effect(Effect::NotApplied))])
            }
            Err(Broken::Unit(_)) => {
                let mut answers = Vec::with_capacity(ops.len());
                for op in ops {
                    match self.commit_together(&engine, std::slice::from_ref(op)) {
                        Ok(answer) => answers.extend(answer),
                        Err(Broken::Unit(error)) => answers.push(Err(error.with_effect(Effect::NotApplied))),
                        Err(Broken::Engine(stopped)) => {
                            self.fail(&stopped);
                            let (Stopped::Refused(error) | Stopped::Unknown(error)) = stopped;
                            // Of one that was committed the answer is known; the others may be sent again.
                            answers.resize_with(ops.len(), || Err(error.clone()));
                            break;
                        }
                    }
                }
                Ok(answers)
            }
        }
    }

    /// Commits operations with one flush.
    fn commit_together(&self, engine: &Engine, ops: &[Op]) -> Result<Vec<Result<Answer>>, Broken> {
        let prepare = || {
            let mut unit = Unit::new(engine, &self.shared);
            unit.look_ahead(ops);
            let answers: Vec<_> = ops.iter().map(|op| unit.apply(op)).collect();
            let ready = if unit.is_empty() {
                None
            } else {
                Some(unit.finish()?)
            };
            Ok((answers, ready))
        };
        let prepared = catch_unwind(AssertUnwindSafe(prepare)).unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::Corrupt,
                "the engine stopped at what it found on disk",
            ))
        });
        let (answers, ready) = prepared.map_err(Broken::Unit)?;
        let Some(ready) = ready else {
            return Ok(answers);
        };
        let hot = &self.shared.hot;
        let shards = hot.withhold(ready.effects.forgotten.iter().map(|key| &**key));
        let committed = catch_unwind(AssertUnwindSafe(|| engine.commit(ready.changes)));
        match committed {
            Ok(Ok(unseen)) => {
                self.publish(ready.effects, shards, unseen);
                drop(ready.turn);
                Ok(answers)
            }
            Ok(Err(fjall::Error::Poisoned)) => {
                hot.publish(shards, std::iter::empty());
                Err(Broken::Engine(Stopped::Refused(of_engine(
                    fjall::Error::Poisoned,
                ))))
            }
            Ok(Err(error)) => {
                hot.publish(shards, std::iter::empty());
                Err(Broken::Engine(Stopped::Unknown(of_engine(error))))
            }
            Err(_) => {
                hot.publish(shards, std::iter::empty());
                let error = Error::new(ErrorKind::Internal, "the engine panicked in a commit");
                Err(Broken::Engine(Stopped::Unknown(error)))
            }
        }
    }

    /// Lets readers see a unit, in the log, in memory and on disk at once.
    fn publish(&self, effects: Effects, shards: Vec<usize>, unseen: Unseen<'_>) {
        let Effects {
            head,
            settings,
            folds,
            forgotten,
            told,
        } = effects;
        let shared = &self.shared;
        let mut present = shared.present.write();
        if shared.folds.push(head.sequence, &forgotten, folds).is_err() {
            tracing::error!("a contribution to summaries could not be read that was just written");
        }
        *present = head;
        for (id, settings) in settings {
            shared.set(&id, settings);
        }
        unseen.show();
        drop(present);
        shared.hot.publish(shards, std::iter::empty());
        for (told, written) in told.into_iter().zip(&shared.written) {
            if told {
                written.send_modify(|written| *written += 1);
            }
        }
    }

    /// Notes that the database takes no more writes.
    fn fail(&mut self, stopped: &Stopped) {
        let (Stopped::Refused(error) | Stopped::Unknown(error)) = stopped;
        tracing::error!(%error, "the embedded store stopped at a failed write");
        self.failure = Some(Failure {
            error: error.clone(),
            retry_at: Instant::now(),
            pause: SHORTEST_PAUSE,
        });
    }

    /// Opens the database anew, if it is time to try and the disk takes writes; whether it is open.
    fn reopen(&mut self) -> bool {
        let Some(failure) = &mut self.failure else {
            return true;
        };
        if Instant::now() < failure.retry_at {
            return false;
        }
        failure.pause = (failure.pause * 2).min(LONGEST_PAUSE);
        failure.retry_at = Instant::now() + failure.pause;
        // A full disk is found out without taking the database from those who read.
        if let Err(error) = self.place.probe() {
            failure.error = io_error(error);
            return false;
        }
        if let Some(engine) = self.shared.take_engine()
            && let Err(engine) = Engine::close(engine, PATIENCE)
        {
            self.shared.return_engine(engine);
            return false;
        }
        match open::again(&self.place, &self.shared.config).and_then(|loaded| self.shared.install(loaded)) {
            Ok(()) => {
                self.failure = None;
                tracing::warn!("the embedded store was opened anew after a failed write");
                true
            }
            Err(error) => {
                tracing::error!(%error, "the embedded store cannot be opened anew");
                failure.error = error;
                false
            }
        }
    }
}

/// Why the database takes no more writes.
enum Stopped {
    /// Nothing of this unit was written.
    Refused(Error),
    /// It may have been.
    Unknown(Error),
}

/// Why a unit was not committed.
enum Broken {
    /// Something it needs is damaged; the database itself goes on.
    Unit(Error),
    Engine(Stopped),
}

fn no_engine() -> Error {
    Error::new(ErrorKind::Unavailable, "the directory is not open")
}
