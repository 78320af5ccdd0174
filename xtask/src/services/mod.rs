//! `cargo xtask services`: the real servers that suites run against.
//!
//! Each is reached by the first of these that works: its URL in the environment; Docker Compose, where an
//! engine answers; packages of the distribution and of the package registries. What was not started is said
//! with the reason of each. A new service is one file here with one [`Service`], and a line in [`registry`].

mod control;
mod duckdb;
mod install;
mod launch;
mod leaks;
mod moto;
mod owner;
mod port;
mod postgres;
mod process;
mod programs;
mod provider;
mod python;
mod redis;
mod service;
mod session;
mod state;
#[cfg(test)]
mod tests;
mod tls;

use crate::args::Args;
use crate::failure::{Context, Result};
use crate::workspace::Workspace;
use control::{Control, Status};
use service::Service;

pub(crate) use leaks::Leaks;
pub(crate) use postgres::PostgresSchema;
pub(crate) use session::Session;

/// Every service that a suite may ask for, in the order in which they start.
fn registry() -> Vec<Box<dyn Service>> {
    vec![
        Box::new(postgres::PROGRAMS),
        Box::new(postgres::Server),
        Box::new(postgres::SecondServer),
        Box::new(postgres::Bouncer),
        Box::new(postgres::NewBouncer),
        Box::new(redis::PROGRAMS),
        Box::new(redis::Server),
        Box::new(redis::Cluster),
        Box::new(redis::Sentinel),
        Box::new(moto::Moto),
        Box::new(duckdb::DuckDb),
    ]
}

/// `cargo xtask services up|down|status [NAME…]`.
pub(crate) fn command(workspace: &Workspace, mut args: Args) -> Result<()> {
    let verb = args
        .next_word()
        .context("services needs one of up, down, status")?;
    let mut names = args.names()?;
    if verb == "up" && !names.is_empty() {
        names.extend(required(&registry(), &names));
    }
    let services = selected(registry(), &names)?;
    let control = Control::new(workspace);
    match verb.as_str() {
        "up" => up(&control, &services),
        "down" => down(&control, &services),
        "status" => {
            show(&control, &services);
            Ok(())
        }
        other => Err(format!("services needs one of up, down, status, not {other}").into()),
    }
}

fn selected(services: Vec<Box<dyn Service>>, names: &[String]) -> Result<Vec<Box<dyn Service>>> {
    let known: Vec<&str> = services.iter().map(|service| service.name()).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        let known = known.join(", ");
        return Err(format!("there is no service {unknown}; known: {known}").into());
    }
    let wanted = |service: &dyn Service| names.is_empty() || names.iter().any(|name| name == service.name());
    Ok(services
        .into_iter()
        .filter(|service| wanted(service.as_ref()))
        .collect())
}

/// What the named services need besides themselves; nothing that is needed needs anything in turn.
fn required(services: &[Box<dyn Service>], names: &[String]) -> Vec<String> {
    let named = services
        .iter()
        .filter(|service| names.iter().any(|name| name == service.name()));
    named
        .flat_map(|service| service.requires())
        .map(|need| need.service.to_owned())
        .collect()
}

fn up(control: &Control, services: &[Box<dyn Service>]) -> Result<()> {
    let mut missing = Vec::new();
    let mut known = state::Environment::new();
    for service in services {
        match control.up(service.as_ref(), &known) {
            Ok(up) => {
                known.extend(up.environment().clone());
                println!("{}: {}", service.name(), up.provider());
                for (name, value) in up.exports() {
                    println!("export {name}='{value}'");
                }
            }
            Err(failure) => {
                println!("NOT STARTED {}: {failure}", service.name());
                missing.push(service.name());
            }
        }
    }
    show(control, services);
    if missing.is_empty() {
        Ok(())
    } else {
        Err(format!("not started: {}", missing.join(", ")).into())
    }
}

fn down(control: &Control, services: &[Box<dyn Service>]) -> Result<()> {
    let mut left = Vec::new();
    // What started last may depend on what started first.
    for service in services.iter().rev() {
        match control.down(service.as_ref()) {
            Ok(what) => println!("{}: {what}", service.name()),
            Err(failure) => left.push(format!("{}: {failure}", service.name())),
        }
    }
    if left.is_empty() {
        Ok(())
    } else {
        Err(format!("not stopped: {}", left.join("; ")).into())
    }
}

fn show(control: &Control, services: &[Box<dyn Service>]) {
    let rows: Vec<[String; 6]> = services
        .iter()
        .map(|service| {
            let Status {
                provider,
                state,
                version,
                pids,
                address,
            } = control.status(service.as_ref());
            let name = service.name().to_owned();
            [name, provider, state, version, pids, address]
        })
        .collect();
    print!(
        "{}",
        crate::table::layout(
            ["service", "provider", "state", "version", "pid", "address"],
            &rows
        )
    );
}
