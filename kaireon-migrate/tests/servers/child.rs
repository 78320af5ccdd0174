//! Processes of a test: the test's own binary, which does as it is told over its standard input.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kaireon_core::InteractionStore;
use kaireon_core::time::Clock;
use kaireon_testkit::fault::{Fault, Faulty, Plan as Faults};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, Command};
use tokio::sync::{mpsc, oneshot};

use super::host::{Host, LONG, Plan, in_time};
use super::ledger::{Ledger, Piece, Writer};
use super::load::{Callers, Load};
use super::taken::Taken;

/// What a child is given; without it the process is a parent.
const PLAN: &str = "KAIREON_SERVERS_PLAN";

/// What begins a child's answers, among what the harness prints.
const MARK: &str = "kaireon-child ";

/// What a child is told to do.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Begins so many writers and readers, each of which rests so long between two calls.
    Load {
        writers: u64,
        readers: u64,
        rest_ms: u64,
    },
    /// Ends them.
    EndLoad,
    /// Waits until so many more are recorded.
    Progress(u64),
    /// Takes a step, again until it is taken.
    Take(Taken),
    /// Bounds how many rows a second a backfill writes.
    Throttle(Option<NonZeroU32>),
    /// Records a piece of a writer whom nobody else stands for.
    Record { process: u64, writer: u64, number: u64 },
    /// Lets the next writes to the old store wait between the look at the setting and the write.
    Hold(usize),
    /// Waits until so many do.
    AwaitHeld(usize),
    /// Lets them go on.
    Release,
    /// Lets the next raise of a store's fence wait.
    HoldFence(usize),
    /// Waits until it does.
    AwaitHeldFence(usize),
}

/// What a child answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    Ready,
    Done,
    Ended { written: u64, read: u64, retried: u64 },
    Recorded { is_new: bool, id: String },
}

#[derive(Debug, Serialize, Deserialize)]
struct Told<T> {
    number: u64,
    what: T,
}

fn say(number: u64, what: Answer) {
    let told = serde_json::to_string(&Told { number, what }).unwrap();
    println!("\n{MARK}{told}");
}

/// Does as it is told, where this process is a child; a parent goes on.
pub(crate) fn serve_if_child() {
    let Ok(plan) = std::env::var(PLAN) else { return };
    let plan = serde_json::from_str(&plan).unwrap();
    // A task that panics ends the process: its parent hears of it at once, and sees why.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        hook(info);
        std::process::exit(101);
    }));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.unwrap().block_on(serve(plan));
    std::process::exit(0);
}

async fn serve(plan: Plan) {
    let faults = [0, 1].map(|_| Faults::script([]));
    let plans = faults.clone();
    let wrap = move |at: usize, store| -> Arc<dyn InteractionStore> {
        Arc::new(Faulty::new(store, plans[at].clone()))
    };
    let host = Host::open_with(&plan, &wrap).await;
    // Whoever was here before may have ended in the midst of a move.
    host.migrator.finish(host.tenant()).await.unwrap();
    let ledger = Arc::new(Ledger::at(&plan.folder));
    let mut load: Option<Load> = None;
    say(0, Answer::Ready);
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = orders.next_line().await.unwrap() {
        let Told { number, what } = serde_json::from_str(&line).unwrap();
        match what {
            Order::Load {
                writers,
                readers,
                rest_ms,
            } => {
                let callers = Callers {
                    writers,
                    readers,
                    rest: Duration::from_millis(rest_ms),
                };
                load = Some(Load::begin(&host, &ledger, callers));
                say(number, Answer::Done);
            }
            Order::EndLoad => {
                let met = load.take().unwrap().end().await;
                let of = |count: &AtomicU64| count.load(Ordering::SeqCst);
                let (written, read, retried) = (of(&met.written), of(&met.read), of(&met.retried));
                say(
                    number,
                    Answer::Ended {
                        written,
                        read,
                        retried,
                    },
                );
            }
            Order::Progress(more) => {
                load.as_ref().unwrap().progress(more).await;
                say(number, Answer::Done);
            }
            Order::Throttle(rows) => {
                let throttled = host.backfiller().throttle(host.tenant(), rows).await;
                throttled.unwrap();
                say(number, Answer::Done);
            }
            Order::Take(taken) => {
                let host = host.clone();
                tokio::spawn(async move {
                    taken.take(&host).await;
                    say(number, Answer::Done);
                });
            }
            Order::Record {
                process,
                writer,
                number: of,
            } => {
                let writer = Writer { process, writer };
                let piece = Piece { writer, number: of };
                let (host, ledger) = (host.clone(), Arc::clone(&ledger));
                tokio::spawn(async move {
                    let event = piece.interaction(host.tenant(), host.clock.now());
                    let recorded = host.switch.record_event(event).await.unwrap();
                    ledger.acknowledge(piece);
                    let (is_new, id) = (recorded.is_new(), recorded.id().to_string());
                    say(number, Answer::Recorded { is_new, id });
                });
            }
            Order::Hold(count) => {
                (0..count).for_each(|_| faults[0].meet_next("record_events", Fault::Hold));
                say(number, Answer::Done);
            }
            Order::AwaitHeld(count) => {
                faults[0].held(count).await;
                say(number, Answer::Done);
            }
            Order::Release => {
                faults[0].release();
                say(number, Answer::Done);
            }
            Order::HoldFence(at) => {
                faults[at].meet_next("raise_fence", Fault::Hold);
                say(number, Answer::Done);
            }
            Order::AwaitHeldFence(at) => {
                faults[at].held(1).await;
                say(number, Answer::Done);
            }
        }
    }
    host.close().await;
}

/// A child, as its parent holds it. Dropping it kills it.
pub(crate) struct Child {
    process: tokio::process::Child,
    pid: u32,
    orders: ChildStdin,
    next: u64,
    waiting: Arc<Mutex<HashMap<u64, oneshot::Sender<Answer>>>>,
    said: mpsc::UnboundedReceiver<String>,
}

impl Child {
    /// Starts the test anew as a child, and waits until it serves.
    pub(crate) async fn begin(test: &str, plan: &Plan) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args([
                test,
                "--exact",
                "--nocapture",
                "--include-ignored",
                "--test-threads=1",
            ])
            .env(PLAN, serde_json::to_string(plan).unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (orders, output) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let (ready, is_ready) = oneshot::channel();
        let waiting = Arc::new(Mutex::new(HashMap::from([(0, ready)])));
        let (tell, said) = mpsc::unbounded_channel();
        tokio::spawn(listen(BufReader::new(output).lines(), Arc::clone(&waiting), tell));
        let mut child = Self {
            pid: process.id().unwrap(),
            process,
            orders,
            next: 1,
            waiting,
            said,
        };
        child.hear("to serve", is_ready).await;
        child
    }

    /// Tells it to do something; the answer comes when it is done.
    pub(crate) async fn tell(&mut self, what: Order) -> oneshot::Receiver<Answer> {
        let number = self.next;
        self.next += 1;
        let (answer, heard) = oneshot::channel();
        self.waiting.lock().insert(number, answer);
        let line = serde_json::to_string(&Told { number, what }).unwrap();
        self.orders
            .write_all(format!("{line}\n").as_bytes())
            .await
            .unwrap();
        heard
    }

    /// Waits for an answer.
    pub(crate) async fn hear(&mut self, what: &str, heard: oneshot::Receiver<Answer>) -> Answer {
        match in_time(what, heard).await {
            Ok(answer) => answer,
            // Its output has ended.
            Err(_) => {
                let ended = self.process.wait().await.unwrap();
                let mut said = Vec::new();
                while let Ok(line) = self.said.try_recv() {
                    said.push(line);
                }
                panic!("the child was to {what} and ended, {ended}: {said:#?}");
            }
        }
    }

    /// Tells it to do something, and waits until it is done.
    pub(crate) async fn ask(&mut self, what: Order) -> Answer {
        let heard = self.tell(what).await;
        self.hear(&format!("{what:?}"), heard).await
    }

    async fn signal(&self, signal: &str) {
        let pid = self.pid.to_string();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status().await;
        assert!(sent.unwrap().success());
    }

    /// Stops all of its threads where they stand, and returns when they do.
    pub(crate) async fn freeze(&self) {
        self.signal("STOP").await;
        let stopped = async {
            // Each thread has a state of its own.
            while self.threads().iter().any(|state| *state != 'T') {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        in_time("freezing a child", stopped).await;
    }

    /// Lets it go on.
    pub(crate) async fn thaw(&self) {
        self.signal("CONT").await;
    }

    /// What its threads do, by `/proc/PID/task/*/stat`.
    fn threads(&self) -> Vec<char> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid)).unwrap();
        let states = tasks.filter_map(|task| {
            // One that has ended meanwhile has no state.
            let stat = std::fs::read_to_string(task.ok()?.path().join("stat")).ok()?;
            stat.rsplit_once(") ")?.1.chars().next()
        });
        states.collect()
    }

    /// Kills it, wherever it is.
    pub(crate) async fn kill(mut self) {
        self.process.start_kill().unwrap();
        let ended = self.process.wait().await.unwrap();
        // One that panicked was not killed.
        let signal = std::os::unix::process::ExitStatusExt::signal(&ended);
        assert_eq!(signal, Some(9), "the child ended by itself: {ended}");
    }

    /// Lets it close its stores and end.
    pub(crate) async fn end(self) {
        let Self {
            mut process, orders, ..
        } = self;
        drop(orders);
        let ended = tokio::time::timeout(LONG, process.wait()).await;
        let ended = ended.expect("a child ends").unwrap();
        assert!(ended.success(), "{ended}");
    }
}

async fn listen(
    mut lines: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
    waiting: Arc<Mutex<HashMap<u64, oneshot::Sender<Answer>>>>,
    said: mpsc::UnboundedSender<String>,
) {
    while let Ok(Some(line)) = lines.next_line().await {
        let Some((_, told)) = line.split_once(MARK) else {
            // Nobody listens any more once the child is let go.
            let _ = said.send(line);
            continue;
        };
        let Told { number, what } = serde_json::from_str(told).unwrap();
        if let Some(answer) = waiting.lock().remove(&number) {
            let _ = answer.send(what);
        }
    }
    // Whoever waits is told that nothing comes any more.
    waiting.lock().clear();
}
