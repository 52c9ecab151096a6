//! What every request handler shares, and which path leads where.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use sm_store::Views;

use crate::{
    Config, catalog::Catalog, files, files::ReleaseFiles, metrics::Metrics, operator, recorder::Recorder,
    refusal::Refusal, update,
};

pub(crate) struct App {
    pub(crate) config: Arc<Config>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) files: ReleaseFiles,
    pub(crate) metrics: Arc<Metrics>,
    // Closed before the writer: the last connection to a database tidies up after it, and this one cannot write.
    pub(crate) views: Mutex<Views>,
    pub(crate) recorder: Recorder,
}

impl App {
    /// Counts, logs and answers a refusal: the one place where that is done.
    pub(crate) fn refuse(&self, refusal: Refusal) -> Response {
        self.metrics.count_refusal(&refusal);
        if refusal.is_ours() {
            tracing::error!(reason = refusal.reason(), error = %refusal, "request failed");
        } else {
            tracing::debug!(reason = refusal.reason(), error = %refusal, "request refused");
        }
        refusal.into_response()
    }
}

/// The routes. Whatever is no route is a file of the release directory.
pub(crate) fn router(app: Arc<App>) -> Router {
    let update = post(update::serve).fallback(post_only);
    Router::new()
        .route("/v1/update", update.clone())
        .route("/v1/update/", update)
        .route("/v1/instances", get(operator::instances).fallback(get_only))
        .route("/v1/instances/{machine_id}", get(operator::instance).fallback(get_only))
        .route("/v1/events", get(operator::events).fallback(get_only))
        .route("/healthz", get(operator::health).fallback(get_only))
        .route("/metrics", get(operator::metrics).fallback(get_only))
        .fallback(files::serve)
        .with_state(app)
}

async fn post_only(axum::extract::State(app): axum::extract::State<Arc<App>>) -> Response {
    app.refuse(Refusal::Method { allowed: "POST" })
}

async fn get_only(axum::extract::State(app): axum::extract::State<Arc<App>>) -> Response {
    app.refuse(Refusal::Method { allowed: "GET, HEAD" })
}
