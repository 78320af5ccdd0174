//! Tables of the stores and of the settings.

use kaireon::{Migrated, PlannedStep};

use super::Page;

/// A page on what is to be done to tables, or was.
pub(crate) fn tables(planned: &[PlannedStep], done: Option<&[Migrated]>) -> Page {
    let Some(done) = done else {
        let mut page = Page::new(match planned.len() {
            0 => "all tables are of this release".to_owned(),
            steps => format!("{steps} steps are to be taken; nothing was changed"),
        });
        page.list(
            "step",
            planned
                .iter()
                .map(|step| format!("{} {}: {}", step.backend, step.version, step.name)),
        );
        if !planned.is_empty() {
            page.next = Some("kaireon tables --apply".to_owned());
        }
        return page;
    };
    let mut page = Page::new("all tables are of this release");
    page.list(
        "tables",
        done.iter().map(|done| {
            let applied = done.applied.len();
            format!(
                "{}: version {}, {applied} steps taken",
                done.backend, done.version
            )
        }),
    );
    page
}
