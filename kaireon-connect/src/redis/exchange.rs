//! Commands on their way: to which node each goes, and what is done when it does not get there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::stream::{FuturesUnordered, StreamExt};
use kaireon_core::{Effect, Result};
use redis::Value;

use super::client::Place;
use super::cluster::{Node, redirection};
use super::command::{Access, RedisCommand, Scripts};
use super::dial::Live;
use super::fault::RedisFault;
use super::reply::RedisReply;
use super::url::Address;

/// How often one command is sent on: a slot that is moved on while it is asked for is met once or twice.
const MOST_REDIRECTIONS: usize = 5;

/// A server's answer, or where it says to ask.
enum Told {
    Answer(Result<RedisReply, RedisFault>),
    /// Another node has the slot from now on.
    Moved(Address),
    /// Another node has this key already.
    Ask(Address),
    /// The server does not know the script by its hash.
    UnknownScript,
}

/// A command that has no answer yet.
struct Waiting {
    /// Its place.
    at: usize,
    scripts: Scripts,
    /// Where a node sent it on to, and whether only for this time.
    to: Option<(Address, bool)>,
    /// Whether another node was tried because the first could not be reached.
    tried: bool,
    /// How often it was sent on.
    redirections: usize,
}

impl Waiting {
    fn new(at: usize) -> Self {
        Self {
            at,
            scripts: Scripts::ByHash,
            to: None,
            tried: false,
            redirections: 0,
        }
    }

    fn asks(&self) -> bool {
        self.to.as_ref().is_some_and(|(_, asks)| *asks)
    }
}

/// What became of the commands that were for one node.
#[derive(Default)]
struct Leg {
    answers: Vec<(usize, Result<RedisReply, RedisFault>)>,
    /// Nothing was done of these, and another node, or the same, is to be asked.
    again: Vec<Waiting>,
}

/// Sends every command, and again what was sent on, until all have an answer. Each answer is there as soon as its node
/// has given it, whatever the others do.
pub(crate) async fn call_each(
    place: &Place,
    commands: &[RedisCommand],
    sent: &[AtomicBool],
    answers: &mut [Option<Result<RedisReply, RedisFault>>],
) {
    let mut under_way = FuturesUnordered::new();
    let mut next: Vec<Waiting> = (0..commands.len()).map(Waiting::new).collect();
    loop {
        for (node, part) in parts(place, commands, next) {
            under_way.push(leg(place, node, part, commands, sent));
        }
        let Some(leg) = under_way.next().await else {
            return;
        };
        for (at, answer) in leg.answers {
            answers[at] = Some(answer);
        }
        next = leg.again;
    }
}

/// The commands by the node that is known to have them; `None`: nobody is.
fn parts(
    place: &Place,
    commands: &[RedisCommand],
    waiting: Vec<Waiting>,
) -> Vec<(Option<Node>, Vec<Waiting>)> {
    let mut parts: Vec<(Option<Node>, Vec<Waiting>)> = Vec::new();
    for one in waiting {
        let node = match (place, &one.to) {
            (Place::One(node), _) => Some(node.clone()),
            (Place::Cluster(cluster), Some((address, _))) => Some(cluster.node_at(address)),
            (Place::Cluster(cluster), None) => cluster.known(commands[one.at].slot()),
        };
        let same = |known: &Option<Node>| match (known, &node) {
            (Some(known), Some(node)) => Arc::ptr_eq(&known.link, &node.link),
            (known, node) => known.is_none() && node.is_none(),
        };
        match parts.iter_mut().find(|(known, _)| same(known)) {
            Some((_, part)) => part.push(one),
            None => parts.push((node, vec![one])),
        }
    }
    parts
}

/// Brings commands to their node, and says what is to be done with those that are not answered by it.
async fn leg(
    place: &Place,
    node: Option<Node>,
    part: Vec<Waiting>,
    commands: &[RedisCommand],
    sent: &[AtomicBool],
) -> Leg {
    let mut leg = Leg::default();
    let mut unreached = Vec::new();
    let mut look = false;
    let told = match &node {
        Some(node) => send_part(node, &part, commands, sent).await,
        None => {
            let nobody = || RedisFault::unavailable("no node of the cluster has this slot").not_sent();
            part.iter().map(|_| Told::Answer(Err(nobody()))).collect()
        }
    };
    for (mut one, told) in part.into_iter().zip(told) {
        match told {
            // It was not sent, so that it may be sent elsewhere; once, for who has the slot then.
            Told::Answer(Err(fault)) if !fault.was_sent() && !one.tried => unreached.push((one, fault)),
            Told::Answer(answer) => {
                look |= answer.as_ref().is_err_and(RedisFault::asks_for_a_look);
                leg.answers.push((one.at, answer));
            }
            Told::Moved(_) | Told::Ask(_) | Told::UnknownScript if one.redirections == MOST_REDIRECTIONS => {
                let gave_up = RedisFault::unavailable("the slot was moved again and again");
                leg.answers.push((one.at, Err(gave_up)));
            }
            onward => {
                // Who sends a command on has not done it.
                sent[one.at].store(false, Ordering::Relaxed);
                one.redirections += 1;
                match onward {
                    Told::Moved(to) => {
                        look = true;
                        one.to = Some((to, false));
                    }
                    Told::Ask(to) => one.to = Some((to, true)),
                    Told::UnknownScript => one.scripts = Scripts::ByText,
                    Told::Answer(_) => unreachable!("answers are above"),
                }
                leg.again.push(one);
            }
        }
    }
    let Place::Cluster(cluster) = place else {
        let failed = unreached.into_iter().map(|(one, fault)| (one.at, Err(fault)));
        leg.answers.extend(failed);
        return leg;
    };
    if !unreached.is_empty() {
        cluster.look().await;
        let there = node.as_ref().map(|node| &node.address);
        for (mut one, fault) in unreached {
            let owner = cluster.known(commands[one.at].slot());
            if owner.is_some_and(|owner| Some(&owner.address) != there) {
                (one.tried, one.to) = (true, None);
                leg.again.push(one);
            } else {
                leg.answers.push((one.at, Err(fault)));
            }
        }
    } else if look {
        // For those who come later; these know where to go.
        cluster.look_later();
    }
    leg
}

/// Sends the commands that are for one node, and reads what each was told.
async fn send_part(
    node: &Node,
    part: &[Waiting],
    commands: &[RedisCommand],
    sent: &[AtomicBool],
) -> Vec<Told> {
    let all = |fault: RedisFault| -> Vec<Told> {
        let each = part
            .iter()
            .map(|one| Told::Answer(Err(of(&commands[one.at], fault.clone()))));
        each.collect()
    };
    let live = match node.link.live().await {
        Ok(live) => live,
        Err(fault) => return all(fault.not_sent()),
    };
    for one in part {
        sent[one.at].store(true, Ordering::Relaxed);
    }
    let answers = match exchange(&live, part, commands).await {
        Ok(answers) => answers,
        Err(fault) => {
            node.link.forget(&live);
            return all(fault);
        }
    };
    let mut told = Vec::with_capacity(part.len());
    for answer in answers {
        let answer = read(answer, node);
        if let Told::Answer(Err(fault)) = &answer
            && fault.leaves()
        {
            node.link.leave(&live);
        }
        told.push(answer);
    }
    told
}

async fn exchange(
    live: &Live,
    part: &[Waiting],
    commands: &[RedisCommand],
) -> Result<Vec<Value>, RedisFault> {
    if let [one] = part
        && !one.asks()
    {
        let answer = live.send(&commands[one.at].packed(one.scripts)).await?;
        return Ok(vec![answer]);
    }
    let mut packed = Vec::with_capacity(part.len());
    for one in part {
        if one.asks() {
            packed.push(redis::cmd("ASKING"));
        }
        packed.push(commands[one.at].packed(one.scripts));
    }
    let mut answers = live.send_all(&packed).await?.into_iter();
    let mut own = Vec::with_capacity(part.len());
    for one in part {
        if one.asks() {
            answers.next();
        }
        own.extend(answers.next());
    }
    Ok(own)
}

fn read(answer: Value, node: &Node) -> Told {
    let error = match RedisReply::read(answer) {
        Ok(reply) => return Told::Answer(Ok(reply)),
        Err(error) => error,
    };
    let to = || redirection(error.details().unwrap_or_default(), &node.address);
    let told = match error.code() {
        "MOVED" => to().map(Told::Moved),
        "ASK" => to().map(Told::Ask),
        "NOSCRIPT" => Some(Told::UnknownScript),
        _ => None,
    };
    told.unwrap_or_else(|| Told::Answer(Err(RedisFault::refused(&error))))
}

/// A single command, to the one server.
pub(crate) async fn call_one(
    node: &Node,
    command: &RedisCommand,
    sent: &AtomicBool,
) -> Result<RedisReply, RedisFault> {
    let live = node.link.live().await.map_err(RedisFault::not_sent)?;
    sent.store(true, Ordering::Relaxed);
    for scripts in [Scripts::ByHash, Scripts::ByText] {
        let answer = live.send(&command.packed(scripts)).await;
        let answer = answer.map_err(|fault| {
            node.link.forget(&live);
            of(command, fault)
        })?;
        match read(answer, node) {
            Told::UnknownScript => {}
            Told::Answer(answer) => {
                return answer.inspect_err(|fault| {
                    if fault.leaves() {
                        node.link.leave(&live);
                    }
                });
            }
            Told::Moved(_) | Told::Ask(_) => {
                let wrong = "the server is a node of a cluster, and the mode says another";
                return Err(RedisFault::config(wrong));
            }
        }
    }
    Err(RedisFault::strange(
        "the server does not take the script by its text",
    ))
}

/// The fault as it is of this command: one that only reads has changed nothing.
fn of(command: &RedisCommand, fault: RedisFault) -> RedisFault {
    match command.access() {
        Access::Read => fault.with_effect(Effect::NotApplied),
        Access::Write => fault,
    }
}

/// The fault of a command that has no answer at its deadline.
pub(crate) fn too_late(command: &RedisCommand, sent: &AtomicBool) -> RedisFault {
    match sent.load(Ordering::Relaxed) {
        true => of(command, RedisFault::late(Effect::Unknown)),
        false => RedisFault::late(Effect::NotApplied),
    }
}
