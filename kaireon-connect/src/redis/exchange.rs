//! Commands on their way: to which node each goes, and what is done when it does not get there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
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
}

impl Waiting {
    fn new(at: usize) -> Self {
        Self {
            at,
            scripts: Scripts::ByHash,
            to: None,
            tried: false,
        }
    }

    fn asks(&self) -> bool {
        self.to.as_ref().is_some_and(|(_, asks)| *asks)
    }
}

/// Sends what has no answer yet, and again what was sent on, until all have one.
pub(crate) async fn rounds(
    place: &Place,
    commands: &[RedisCommand],
    sent: &[AtomicBool],
    answers: &mut [Option<Result<RedisReply, RedisFault>>],
) {
    let mut waiting: Vec<Waiting> = (0..commands.len()).map(Waiting::new).collect();
    for round in 0.. {
        let last = round == MOST_REDIRECTIONS;
        let mut parts: Vec<(Node, Vec<Waiting>)> = Vec::new();
        for one in waiting.drain(..) {
            match node_for(place, &commands[one.at], &one).await {
                Ok(node) => match parts
                    .iter_mut()
                    .find(|(known, _)| Arc::ptr_eq(&known.link, &node.link))
                {
                    Some((_, part)) => part.push(one),
                    None => parts.push((node, vec![one])),
                },
                Err(fault) => answers[one.at] = Some(Err(fault)),
            }
        }
        let told = join_all(
            parts
                .iter()
                .map(|(node, part)| send_part(node, part, commands, sent)),
        )
        .await;
        let mut moved = false;
        for ((node, part), told) in parts.into_iter().zip(told) {
            for (mut one, told) in part.into_iter().zip(told) {
                match told {
                    Told::Answer(answer) => {
                        // It was not sent, so that it may be sent elsewhere; once, for who has the slot then.
                        let elsewhere = answer.as_ref().is_err_and(|fault| !fault.was_sent()) && !one.tried;
                        if elsewhere && has_moved(place, &node, &commands[one.at]).await {
                            one.tried = true;
                            waiting.push(one);
                        } else {
                            answers[one.at] = Some(answer);
                        }
                    }
                    Told::Moved(_) | Told::Ask(_) | Told::UnknownScript if last => {
                        let gave_up = RedisFault::unavailable("the slot was moved again and again");
                        answers[one.at] = Some(Err(gave_up));
                    }
                    Told::Moved(to) => {
                        moved = true;
                        one.to = Some((to, false));
                        waiting.push(one);
                    }
                    Told::Ask(to) => {
                        one.to = Some((to, true));
                        waiting.push(one);
                    }
                    Told::UnknownScript => {
                        one.scripts = Scripts::ByText;
                        waiting.push(one);
                    }
                }
            }
        }
        if moved && let Place::Cluster(cluster) = place {
            // For those who come later; this one knows where to go.
            let cluster = Arc::clone(cluster);
            tokio::spawn(async move { cluster.refresh().await });
        }
        if waiting.is_empty() {
            return;
        }
    }
}

async fn node_for(place: &Place, command: &RedisCommand, one: &Waiting) -> Result<Node, RedisFault> {
    match place {
        Place::One(node) => Ok(node.clone()),
        Place::Cluster(cluster) => match &one.to {
            Some((address, _)) => Ok(cluster.node_at(address)),
            None => cluster.node_of(command.slot()).await,
        },
    }
}

/// Whether another node has the command's slot, now that this one cannot be reached.
async fn has_moved(place: &Place, node: &Node, command: &RedisCommand) -> bool {
    let Place::Cluster(cluster) = place else {
        return false;
    };
    cluster.refresh().await;
    let now = cluster.node_of(command.slot()).await;
    now.is_ok_and(|now| now.address != node.address)
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
            node.link.forget(&live);
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
                        node.link.forget(&live);
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
