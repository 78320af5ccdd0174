//! `cargo xtask services`: the real servers that suites run against.
//!
//! Each is reached by the first of these that works: its URL in the environment; Docker Compose, where an
//! engine answers; packages of the distribution and of the package registries. What was not started is said
//! with the reason of each. A new service is one file here with one [`Service`], and a line in [`registry`].

mod control;
// `expect`, so that whoever registers the first service is told to take it away.
#[cfg_attr(not(test), expect(dead_code, reason = "no service is registered yet"))]
mod launch;
mod process;
mod provider;
mod service;
mod session;
mod state;
#[cfg(test)]
mod tests;

use crate::args::Args;
use crate::failure::{Context, Result};
use crate::workspace::Workspace;
use control::{Control, Status};
use service::Service;

pub(crate) use session::Session;

/// Every service that a suite may ask for, in the order in which they start.
fn registry() -> Vec<Box<dyn Service>> {
    // None yet: everything that exists runs in process. PostgreSQL is the first to come.
    Vec::new()
}

/// `cargo xtask services up|down|status [NAME…]`.
pub(crate) fn command(workspace: &Workspace, mut args: Args) -> Result<()> {
    let verb = args
        .next_word()
        .context("services needs one of up, down, status")?;
    let services = selected(registry(), &args.names()?)?;
    let control = Control::new(workspace);
    if services.is_empty() {
        println!("no service is registered: every backend that exists so far runs in process");
    }
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
        let known = if known.is_empty() {
            "none is registered yet".to_owned()
        } else {
            known.join(", ")
        };
        return Err(format!("there is no service {unknown}; known: {known}").into());
    }
    let wanted = |service: &dyn Service| names.is_empty() || names.iter().any(|name| name == service.name());
    Ok(services
        .into_iter()
        .filter(|service| wanted(service.as_ref()))
        .collect())
}

fn up(control: &Control, services: &[Box<dyn Service>]) -> Result<()> {
    let mut missing = Vec::new();
    for service in services {
        match control.up(service.as_ref()) {
            Ok(up) => {
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
    if services.is_empty() {
        return;
    }
    let rows: Vec<[String; 4]> = services
        .iter()
        .map(|service| {
            let Status {
                provider,
                state,
                address,
            } = control.status(service.as_ref());
            [service.name().to_owned(), provider, state, address]
        })
        .collect();
    print!(
        "{}",
        crate::table::layout(["service", "provider", "state", "address"], &rows)
    );
}
