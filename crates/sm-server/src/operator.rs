//! What operators read: health, metrics, instances, the log. Read-only, from a connection of its own.

use std::sync::{Arc, PoisonError};

use axum::{
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use sm_model::{Board, Channel, MachineId, Version};
use sm_store::{
    Views,
    views::{Census, InstanceFilter, InstanceView, LogFilter, LogView},
};

use crate::{app::App, catalog::Standing, metrics::Page, refusal::Refusal};

/// Rows of a page when the query does not say.
const DEFAULT_LIMIT: u32 = 100;

#[derive(Debug, Serialize)]
struct Health {
    ok: bool,
    database: &'static str,
    releases: Vec<ReleaseHealth>,
    #[serde(skip_serializing_if = "Option::is_none")]
    release_directory: Option<String>,
}

#[derive(Debug, Serialize)]
struct ReleaseHealth {
    channel: Channel,
    board: Board,
    /// What hosts are offered.
    version: Option<Version>,
    /// Why that is not what `current` points to.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// 200 while hosts can be answered, 503 when not. A release that is not whole is told but does not make the server ill:
/// the last good one is still served.
pub(crate) async fn health(State(app): State<Arc<App>>) -> Response {
    let releases = blocking(&app, |app| app.catalog.all(app.config.clock.now()).map_err(Refusal::Disk)).await;
    let database = read(&app, Views::probe).await;
    let health = Health {
        ok: releases.is_ok() && database.is_ok(),
        database: if database.is_ok() { "ok" } else { "does not answer" },
        release_directory: releases.as_ref().err().map(ToString::to_string),
        releases: releases.unwrap_or_default().into_iter().map(release_health).collect(),
    };
    let status = if health.ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, json(&health)).into_response()
}

fn release_health((channel, board, standing): (Channel, Board, Standing)) -> ReleaseHealth {
    let version = standing.release.map(|release| release.version);
    ReleaseHealth { channel, board, version, problem: standing.problem }
}

/// Prometheus' text format.
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let census = match read(&app, Views::census).await {
        Ok(census) => census,
        Err(refusal) => return app.refuse(refusal),
    };
    let text = app.metrics.render() + &instances_family(&census);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// Hosts choose their versions and groups, so a hostile one could make labels without end: the largest counts are shown
/// and the rest is summed.
fn instances_family(census: &[Census]) -> String {
    const MAX_SERIES: usize = 500;
    let mut rows: Vec<&Census> = census.iter().collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.n_instances));
    let mut page = Page::default();
    page.family("instances", "gauge", "Instances by group, version and status");
    for row in rows.iter().take(MAX_SERIES) {
        let labels = [("group", &*row.group), ("version", &*row.version), ("status", &*row.status)];
        page.sample("instances", &labels, row.n_instances);
    }
    let rest: u64 = rows.iter().skip(MAX_SERIES).map(|row| row.n_instances).sum();
    if rest > 0 {
        page.sample("instances", &[("group", "(others)"), ("version", ""), ("status", "")], rest);
    }
    page.text
}

/// Query of `/v1/instances`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InstancesQuery {
    group: Option<String>,
    version: Option<String>,
    status: Option<String>,
    after: Option<String>,
    limit: Option<u32>,
}

#[derive(Debug, Serialize)]
struct InstancesPage {
    instances: Vec<InstanceView>,
    /// `after` of the next page, where there may be one.
    next: Option<MachineId>,
}

pub(crate) async fn instances(
    State(app): State<Arc<App>>,
    query: Result<Query<InstancesQuery>, QueryRejection>,
) -> Response {
    respond(&app, async {
        let Query(query) = query.map_err(|error| Refusal::Query(error.body_text()))?;
        let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
        let InstancesQuery { group, version, status, after, .. } = query;
        let filter = InstanceFilter { group, version, status, after, limit };
        let instances = read(&app, move |views| views.instances(&filter)).await?;
        let next = instances.last().filter(|_| is_full(instances.len(), limit));
        Ok(InstancesPage { next: next.map(|view| view.instance.machine_id.clone()), instances })
    })
    .await
}

pub(crate) async fn instance(State(app): State<Arc<App>>, Path(machine_id): Path<String>) -> Response {
    respond(&app, async {
        let machine_id: MachineId = machine_id.parse().map_err(Refusal::MachineId)?;
        read(&app, move |views| views.instance(&machine_id)).await?.ok_or(Refusal::NotFound)
    })
    .await
}

/// Query of `/v1/events`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventsQuery {
    machine: Option<String>,
    kind: Option<String>,
    before: Option<i64>,
    limit: Option<u32>,
}

#[derive(Debug, Serialize)]
struct EventsPage {
    events: Vec<LogView>,
    /// `before` of the next page, where there may be one.
    next: Option<i64>,
}

pub(crate) async fn events(
    State(app): State<Arc<App>>,
    query: Result<Query<EventsQuery>, QueryRejection>,
) -> Response {
    respond(&app, async {
        let Query(query) = query.map_err(|error| Refusal::Query(error.body_text()))?;
        let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
        let filter = LogFilter { machine_id: query.machine, kind: query.kind, before: query.before, limit };
        let events = read(&app, move |views| views.log(&filter)).await?;
        let next = events.last().filter(|_| is_full(events.len(), limit)).map(|view| view.seq);
        Ok(EventsPage { events, next })
    })
    .await
}

fn is_full(n_rows: usize, limit: u32) -> bool {
    n_rows > 0 && n_rows as u64 >= u64::from(limit.min(sm_store::views::MAX_PAGE))
}

async fn respond<T: Serialize>(app: &App, page: impl Future<Output = Result<T, Refusal>>) -> Response {
    match page.await {
        Ok(page) => json(&page),
        Err(refusal) => app.refuse(refusal),
    }
}

fn json<T: Serialize>(document: &T) -> Response {
    let text = serde_json::to_string(document).expect("pages hold only strings, numbers and lists");
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], text).into_response()
}

/// Reads from the database on a thread that may wait.
async fn read<T: Send + 'static>(
    app: &Arc<App>,
    work: impl FnOnce(&Views) -> Result<T, sm_store::Error> + Send + 'static,
) -> Result<T, Refusal> {
    blocking(app, move |app| {
        let views = app.views.lock().unwrap_or_else(PoisonError::into_inner);
        work(&views).map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(%error, cause, "the fleet database cannot be read");
            Refusal::Database
        })
    })
    .await
}

async fn blocking<T: Send + 'static>(
    app: &Arc<App>,
    work: impl FnOnce(&App) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let app = app.clone();
    let ended = tokio::task::spawn_blocking(move || work(&app)).await;
    ended.unwrap_or_else(|panic| Err(Refusal::Disk(std::io::Error::other(panic))))
}
