//! Commands that move a tenant.

use kaireon::core::{Result, TenantId};
use kaireon::migrate::{DualWrite, GateBounds, OldRows, Outcome, PaceReport, Policy, StepReport, Throttling};

use super::{Session, Way, asked};
use crate::answer::Answer;
use crate::args::{self, Bound, Mode};
use crate::exit::Exit;
use crate::show;

pub(super) async fn start(session: &Session, way: Way, start: args::Start) -> Result<Answer> {
    let args::Start {
        whose,
        who,
        to,
        dual_write,
        budget,
        max_age,
        max_lag,
        min_reads,
        drain_bound,
        safety_period,
        force,
    } = start;
    let asked = asked(&who, force)?;
    let begun = kaireon::migrate::Start {
        target: to,
        dual_write: match dual_write {
            Mode::Async => DualWrite::Async,
            Mode::BestEffort => DualWrite::BestEffort,
            Mode::Strict => DualWrite::Strict { budget: budget.0 },
        },
        policy: Policy {
            gate: GateBounds {
                max_age: max_age.0,
                max_lag: max_lag.0,
                min_reads,
            },
            drain_bound: drain_bound.0,
            safety_period: safety_period.0,
        },
    };
    let report = session
        .operator(|_| ())
        .start(&whose.tenant, begun, &asked)
        .await?;
    Ok(step(way, &report))
}

pub(super) async fn cut_over(session: &Session, way: Way, args: args::Move) -> Result<Answer> {
    let asked = asked(&args.who, args.force)?;
    let operator = session.operator(|_| ());
    Ok(step(way, &operator.cut_over(&args.whose.tenant, &asked).await?))
}

pub(super) async fn roll_back(session: &Session, way: Way, args: args::Move) -> Result<Answer> {
    let asked = asked(&args.who, args.force)?;
    let operator = session.operator(|_| ());
    Ok(step(way, &operator.roll_back(&args.whose.tenant, &asked).await?))
}

fn step(way: Way, report: &StepReport) -> Answer {
    let exit = match report.outcome {
        Outcome::Taken | Outcome::AlreadyTaken => Exit::Done,
        Outcome::NotTaken => Exit::Again,
    };
    Answer::report(way.name, exit, report, show::step(report))
}

pub(super) async fn export(session: &Session, way: Way, export: args::Export) -> Result<Answer> {
    let args::Export { whose, wait } = export;
    let operator = session.operator(|config| config.export_wait = wait.0);
    let report = operator.export(&whose.tenant).await?;
    Ok(Answer::report(
        way.name,
        Exit::Done,
        &report,
        show::export(&report),
    ))
}

pub(super) async fn backfill(session: &Session, way: Way, backfill: args::Backfill) -> Result<Answer> {
    let args::Backfill {
        whose,
        who,
        again,
        parallel,
        chunk,
    } = backfill;
    let asked = asked(&who, false)?;
    let operator = session.operator(|config| {
        config.backfill.parallel = usize::from(parallel);
        config.backfill.chunk_records = usize::try_from(chunk).unwrap_or(usize::MAX);
    });
    if again {
        operator.begin_backfill_again(&whose.tenant, &asked).await?;
    }
    let run = operator.backfill(&whose.tenant, &asked).await?;
    Ok(Answer::report(
        way.name,
        yes(run.complete),
        &run,
        show::backfill(&run),
    ))
}

pub(super) async fn verify(session: &Session, way: Way, verify: args::Verify) -> Result<Answer> {
    let args::Verify {
        whose,
        who,
        rows_per_second,
        kept_from,
        samples,
        carry: _,
    } = verify;
    let asked = asked(&who, false)?;
    let operator = session.operator(|config| {
        config.verify.rows_per_second = rows_per_second.map(u32::from);
        config.verify.kept_from = kept_from;
        config.verify.samples = usize::from(samples);
    });
    let run = operator.verify(&whose.tenant, &asked).await?;
    Ok(Answer::report(way.name, yes(run.clean), &run, show::verify(&run)))
}

pub(super) async fn pause(session: &Session, way: Way, tenant: &TenantId) -> Result<Answer> {
    Ok(pace(way, &session.operator(|_| ()).pause(tenant).await?))
}

pub(super) async fn resume(session: &Session, way: Way, tenant: &TenantId) -> Result<Answer> {
    Ok(pace(way, &session.operator(|_| ()).resume(tenant).await?))
}

pub(super) async fn throttle(session: &Session, way: Way, throttle: args::Throttle) -> Result<Answer> {
    let args::Throttle {
        whose,
        rows_per_second,
        target_latency,
    } = throttle;
    let throttling = Throttling {
        max_rows_per_second: Bound::set(rows_per_second, |rows| rows),
        target_latency: Bound::set(target_latency, |span| span.0),
    };
    let operator = session.operator(|_| ());
    Ok(pace(way, &operator.throttle(&whose.tenant, throttling).await?))
}

fn pace(way: Way, report: &PaceReport) -> Answer {
    Answer::report(way.name, Exit::Done, report, show::pace(report))
}

pub(super) async fn finalise(session: &Session, way: Way, finalise: args::Finalise) -> Result<Answer> {
    let args::Finalise {
        whose,
        who,
        old_rows,
        force,
    } = finalise;
    let asked = asked(&who, force)?;
    let operator = session.operator(|_| ());
    let report = operator
        .finalise(&whose.tenant, OldRows::from(old_rows), &asked)
        .await?;
    Ok(Answer::report(
        way.name,
        Exit::Done,
        &report,
        show::finalise(&report),
    ))
}

fn yes(yes: bool) -> Exit {
    match yes {
        true => Exit::Done,
        false => Exit::No,
    }
}
