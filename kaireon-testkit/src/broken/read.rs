//! What the plain store reads, and what its flaws read instead.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::Datelike;
use kaireon_core::store::{Accepted, HistoryCursor, HistoryQuery, Page, ScanCursor, ScanQuery, SummaryQuery};
use kaireon_core::time::Timestamp;
use kaireon_core::{Decision, Interaction, RecommendationId, Result, Stats, Summary, TenantId, groups};

use super::disk::Disk;
use super::flaw::Flaw;
use super::page::{after, page};
use super::store::Store;

impl Store {
    fn summaries_of_rows(&self, disk: &Disk, query: &SummaryQuery) -> Vec<Summary> {
        let mut folded: BTreeMap<_, Stats> = BTreeMap::new();
        let name = self.place.name(&query.tenant, &query.customer);
        let rows = disk
            .customers
            .get(&name)
            .into_iter()
            .flat_map(|found| found.rows.values());
        for row in rows {
            for group in groups(&row.value) {
                folded.entry(group).or_default().merge(&Stats::of(&row.value));
            }
        }
        let summary =
            |((dimension, value, period), stats)| Summary::new(dimension, Arc::from(value), period, stats);
        folded.into_iter().map(summary).collect()
    }

    pub(super) fn read_summaries(&self, query: SummaryQuery) -> Result<Vec<Summary>> {
        let disk = self.disk("get_summaries")?;
        let name = self.place.name(&query.tenant, &query.customer);
        let mut own = disk.customers.get(&name);
        if own.is_none() && self.has(Flaw::FindsCustomersByTheirBeginning) {
            let next = disk.customers.range(name.clone()..).next();
            own = next
                .filter(|(found, _)| found.starts_with(&name))
                .map(|(_, found)| found);
        }
        let groups = own.into_iter().flat_map(|found| &found.summaries);
        let summary = |((dimension, value, period), stats): (&(_, Arc<str>, _), &Stats)| {
            Summary::new(*dimension, Arc::clone(value), *period, stats.clone())
        };
        let mut found: Vec<_> = match self.has(Flaw::SummariesFromRows) {
            true => self.summaries_of_rows(&disk, &query),
            false => groups.map(summary).collect(),
        };
        if self.has(Flaw::HandlesRememberSummaries) {
            found = self.handle.remembered(name, found);
        }
        found.retain(|summary| query.matches(summary) || self.has(Flaw::IgnoresSummaryFilters));
        if !self.has(Flaw::SummariesUnordered) {
            found.sort_by(Summary::read_order);
        }
        Ok(found)
    }

    pub(super) fn read_history(&self, query: HistoryQuery) -> Result<Page<Interaction, HistoryCursor>> {
        if !self.has(Flaw::IgnoresPageLimits) {
            query.check()?;
        }
        let HistoryQuery {
            tenant,
            customer,
            from,
            until,
            filter,
            limit,
            cursor,
        } = query;
        let disk = self.disk("history")?;
        let offset = self.place.offset(cursor.as_ref());
        let precedes = |row: &Interaction| match &cursor {
            Some(_) if offset.is_some() => true,
            Some(cursor) if self.has(Flaw::CursorSkipsEqualTimestamps) => row.timestamp < cursor.timestamp,
            Some(cursor) => cursor.precedes(row),
            None => true,
        };
        let before = |until: Timestamp, row: &Interaction| {
            row.timestamp < until || (self.has(Flaw::UntilIsIncluded) && row.timestamp == until)
        };
        let found = disk.customers.get(&self.place.name(&tenant, &customer));
        let is_row = |cursor: &HistoryCursor| found.is_some_and(|found| found.rows.contains_key(cursor));
        if self.has(Flaw::CursorMustBeARow) && cursor.as_ref().is_some_and(|cursor| !is_row(cursor)) {
            return Ok(Page {
                items: Vec::new(),
                next: None,
            });
        }
        let rows = found
            .into_iter()
            .flat_map(|found| found.rows.values().rev())
            .map(|row| &row.value);
        let mut items: Vec<_> = rows
            .filter(|row| from.is_none_or(|from| self.place.reaches(from, row.timestamp)))
            .filter(|row| until.is_none_or(|until| before(until, row)))
            .filter(|row| filter.matches(row) || self.has(Flaw::IgnoresHistoryFilters))
            .filter(|row| precedes(row))
            .skip(offset.unwrap_or(0))
            .take(usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1))
            .cloned()
            .collect();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > limit || (items.len() == limit && self.has(Flaw::HistoryAlwaysGoesOn));
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(HistoryCursor::after);
        self.place.note_offset(next.as_ref(), offset.unwrap_or(0) + limit);
        if self.has(Flaw::HistoryGoesByYear) {
            items.sort_by_key(|row| row.timestamp.year());
        }
        Ok(Page { items, next })
    }

    /// Behind what name a scan goes on.
    fn behind(&self, cursor: Option<&ScanCursor>) -> Result<Option<String>> {
        match after(cursor) {
            Err(_) if self.has(Flaw::TakesForeignCursors) => Ok(None),
            behind => behind,
        }
    }

    pub(super) fn read_scan(&self, query: ScanQuery) -> Result<Page<Accepted<Interaction>, ScanCursor>> {
        if !self.has(Flaw::IgnoresPageLimits) {
            query.check()?;
        }
        let ScanQuery {
            tenant,
            limit,
            cursor,
        } = query;
        let disk = self.disk("scan")?;
        let anybodys = cursor.is_some() && self.has(Flaw::ScanForgetsItsTenant);
        let mut rows: Vec<_> = disk
            .customers
            .values()
            .filter(|found| found.tenant == tenant || anybodys)
            .flat_map(|found| found.rows.values())
            .filter(|row| self.place.shows(&disk, &tenant, row.value.timestamp))
            .map(|row| (row.value.idempotency_key.to_string(), row.clone()))
            .collect();
        rows.sort_by(|left, right| left.0.cmp(&right.0));
        let behind = self.behind(cursor.as_ref())?;
        rows.retain(|(name, _)| behind.as_ref().is_none_or(|behind| name > behind));
        let mut page = page(rows, limit);
        if self.has(Flaw::ScanStopsEarly) {
            page.next = None;
        }
        Ok(page)
    }

    pub(super) fn read_decisions(&self, query: ScanQuery) -> Result<Page<Accepted<Decision>, ScanCursor>> {
        if !self.has(Flaw::IgnoresPageLimits) {
            query.check()?;
        }
        let ScanQuery {
            tenant,
            limit,
            cursor,
        } = query;
        let behind = self.behind(cursor.as_ref())?;
        let disk = self.disk("scan_decisions")?;
        let found = disk
            .tenants
            .get(&tenant)
            .into_iter()
            .flat_map(|tenant| &tenant.decisions)
            .filter(|(_, decision)| self.place.shows(&disk, &tenant, decision.value.timestamp));
        let rows = found.map(|(id, decision)| (id.to_string(), decision.clone()));
        let rows = rows.filter(|(name, _)| behind.as_ref().is_none_or(|behind| name > behind));
        let mut page = page(rows.collect(), limit);
        if self.has(Flaw::ScanOfDecisionsStopsEarly) {
            page.next = None;
        }
        Ok(page)
    }

    pub(super) fn find_decision(&self, tenant: &TenantId, id: &RecommendationId) -> Result<Option<Decision>> {
        let disk = self.disk("decision")?;
        let decisions = disk.tenants.get(tenant).map(|tenant| &tenant.decisions);
        let found = match self.has(Flaw::FindsDecisionsByTheirBeginning) {
            true => decisions
                .and_then(|decisions| decisions.range(id..).next())
                .filter(|(found, _)| found.as_str().starts_with(id.as_str()))
                .map(|(_, decision)| decision),
            false => decisions.and_then(|decisions| decisions.get(id)),
        };
        Ok(found.map(|decision| decision.value.clone()))
    }
}
