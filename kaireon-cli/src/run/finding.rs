//! Commands that find something out.

use std::sync::Arc;

use kaireon::core::{Error, ErrorKind, Result, TenantId};
use kaireon::migrate::{Advisor, AdvisorConfig, Probe, Rehearsal, RehearsalConfig};
use kaireon::{Config, Infra};
use serde_json::{Value, json};

use super::{Session, Way};
use crate::answer::Answer;
use crate::args;
use crate::exit::Exit;
use crate::{failure, show};

pub(super) async fn status(session: &Session, way: Way, tenant: &TenantId) -> Result<Answer> {
    let status = session.operator(|_| ()).status(tenant).await?;
    Ok(Answer::report(
        way.name,
        Exit::Done,
        &status,
        show::status(&status),
    ))
}

pub(super) async fn rehearse(session: &Session, way: Way, rehearse: args::Rehearse) -> Result<Answer> {
    let args::Rehearse {
        whose,
        on,
        times,
        from,
        until,
        concurrency,
        scratch,
        clean_up,
    } = rehearse;
    let store = Arc::clone(session.switch.stores().get(&on)?);
    let archive = session.switch.archive().ok_or_else(|| {
        Error::new(
            ErrorKind::Config,
            "there is no archive to replay: set KAIREON_ARCHIVE_URL",
        )
    })?;
    let config = RehearsalConfig {
        times,
        from,
        until,
        concurrency: usize::try_from(concurrency).unwrap_or(usize::MAX),
        scratch,
        ..RehearsalConfig::default()
    };
    let reporter = Arc::clone(&session.reporter);
    let rehearsal = Rehearsal::new(archive.clone(), store, config)
        .with_progress(move |progress| reporter.rehearsed(progress));
    if clean_up {
        let some = rehearsal.clean_up(&whose.tenant).await?;
        let report = json!({ "tenant": whose.tenant, "cleaned_up": some });
        let page = show::cleaned_up(&whose.tenant, some);
        return Ok(Answer::report(way.name, Exit::Done, &report, page));
    }
    let report = rehearsal.run(&whose.tenant).await?;
    let exit = match report.kept_up() && report.left_behind.is_none() {
        true => Exit::Done,
        false => Exit::No,
    };
    // Whether it kept up is what the report says as a whole.
    let mut document = serde_json::to_value(&report).unwrap_or_default();
    document["kept_up"] = Value::from(report.kept_up());
    Ok(Answer::report(
        way.name,
        exit,
        &document,
        show::rehearsal(&report),
    ))
}

pub(super) async fn advise(session: &Session, way: Way, advise: args::Advise) -> Result<Answer> {
    let args::Advise {
        store,
        over,
        parts,
        regions,
        probe,
    } = advise;
    let config = AdvisorConfig {
        over: over.0,
        parts,
        regions: regions.into(),
        ..AdvisorConfig::default()
    };
    let opened = session.switch.stores().get(&store)?;
    let silent = || Error::unsupported(store.to_string(), "measures");
    let measures = opened.measures().ok_or_else(silent)?;
    let mut advisor = Advisor::new(store.as_str(), measures, config);
    if let Some(scratch) = probe {
        advisor = advisor.with_probe(Probe::new(Arc::clone(opened), scratch));
    }
    let advice = advisor.run().await?;
    Ok(Answer::report(
        way.name,
        Exit::Done,
        &advice,
        show::advice(&advice),
    ))
}

/// Brings tables to this release's version, or tells what that would do.
pub(super) async fn tables(way: Way, apply: bool) -> Answer {
    let ended = async {
        let builder = || Infra::builder().config(Config::from_env());
        let planned = builder().migration_plan().await?;
        let done = match apply {
            true => Some(builder().migrate().await?),
            false => None,
        };
        let steps = planned.iter().map(|step| {
            json!({
                "backend": step.backend,
                "version": step.version,
                "name": step.name,
                "statements": step.statements,
            })
        });
        let applied = done.as_ref().map(|done| {
            let of = |done: &kaireon::Migrated| {
                json!({ "backend": done.backend, "applied": done.applied, "version": done.version })
            };
            done.iter().map(of).collect::<Vec<_>>()
        });
        let report = json!({ "planned": steps.collect::<Vec<_>>(), "applied": applied });
        let page = show::tables(&planned, done.as_deref());
        Ok(Answer::report(way.name, Exit::Done, &report, page))
    };
    ended
        .await
        .unwrap_or_else(|error: Error| failure::answer(way.name, &error, Exit::of(&error, true), None))
}
