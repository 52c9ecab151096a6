//! `POST /v1/update/`: an Omaha request in, one answer per application out.

mod decision;
mod host;

use std::{future::poll_fn, pin::Pin, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use http_body::Body as _;
use sm_model::MachineId;
use sm_rollout::omaha::{self, AppRequest, AppResponse, Request, Url};

pub(crate) use self::decision::Desk;
use crate::{app::App, refusal::Refusal};

/// Most events of one application in one request: clients send one, after a lost connection a few.
const MAX_EVENTS: usize = 32;

/// Longest URL of this server that leaves room for the path of a release.
const MAX_BASE_LEN: usize = 512;

/// A request that was understood, with everything needed to answer it.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) request: Request,
    /// The machine id of each application, where it sent one.
    pub(crate) machine_ids: Vec<Option<MachineId>>,
    /// Where the host reaches this server.
    pub(crate) base: Url,
}

pub(crate) async fn serve(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Response {
    match answer(&app, &headers, body).await {
        Ok(document) => ([(header::CONTENT_TYPE, "text/xml; charset=utf-8")], document).into_response(),
        Err(refusal) => app.refuse(refusal),
    }
}

async fn answer(app: &App, headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Refusal> {
    let base = base_url(app.config.public_url.as_ref(), headers).ok_or(Refusal::Host)?;
    let document = read_body(body, app.config.limits.body_bytes, app.config.limits.body_timeout).await?;
    let question = understand(&document, base)?;
    let apps: Vec<AppResponse> = app.recorder.ask(question).await?;
    let day_start_secs = app.config.clock.now().unix_secs().rem_euclid(86_400);
    let response = omaha::Response {
        server: "stationmaster".into(),
        day_start_secs: u32::try_from(day_start_secs).unwrap_or_default(),
        apps,
    };
    Ok(response.to_bytes())
}

/// Parses and checks a request body: the entry for foreign bytes.
fn understand(document: &[u8], base: Url) -> Result<Question, Refusal> {
    let request = Request::parse(document).map_err(Refusal::NotOmaha)?;
    let machine_ids = request.apps.iter().map(checked_machine_id).collect::<Result<_, _>>()?;
    Ok(Question { request, machine_ids, base })
}

fn checked_machine_id(app: &AppRequest) -> Result<Option<MachineId>, Refusal> {
    if app.events.len() > MAX_EVENTS {
        return Err(Refusal::TooManyEvents { found: app.events.len(), limit: MAX_EVENTS });
    }
    let text = app.machine_id.as_deref().filter(|text| !text.is_empty());
    text.map(str::parse).transpose().map_err(Refusal::MachineId)
}

/// Where hosts reach this server: as configured, else by the `Host` they used, if that is nothing but a host and a port.
fn base_url(public_url: Option<&Url>, headers: &HeaderMap) -> Option<Url> {
    let url = match public_url {
        Some(url) => url.as_directory(),
        None => {
            let mut hosts = headers.get_all(header::HOST).iter();
            let (Some(host), None) = (hosts.next(), hosts.next()) else { return None };
            let host = host.to_str().ok().filter(|host| !host.contains('/'))?;
            format!("http://{host}/").parse().ok()?
        }
    };
    (url.as_str().len() <= MAX_BASE_LEN).then_some(url)
}

async fn read_body(body: Body, limit: usize, timeout: Duration) -> Result<Bytes, Refusal> {
    if body.size_hint().lower() > limit as u64 {
        return Err(Refusal::BodyTooLarge { limit });
    }
    let read = tokio::time::timeout(timeout, collect(body, limit)).await;
    read.unwrap_or(Err(Refusal::BodyTooSlow { secs: timeout.as_secs() }))
}

async fn collect(mut body: Body, limit: usize) -> Result<Bytes, Refusal> {
    let mut collected = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let frame = frame.map_err(|_| Refusal::BodyBroken)?;
        let data = frame.data_ref().map(AsRef::as_ref).unwrap_or_default();
        if collected.len() + data.len() > limit {
            return Err(Refusal::BodyTooLarge { limit });
        }
        collected.extend_from_slice(data);
    }
    Ok(collected.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(public_url: Option<&str>, hosts: &[&str]) -> Option<String> {
        let public_url: Option<Url> = public_url.map(|text| text.parse().unwrap());
        let headers = hosts.iter().map(|host| (header::HOST, host.parse().unwrap())).collect::<HeaderMap>();
        base_url(public_url.as_ref(), &headers).map(|url| url.to_string())
    }

    #[test]
    fn hosts_are_sent_back_to_where_they_came_or_to_the_public_address() {
        assert_eq!(base(None, &["10.0.2.2:8080"]).as_deref(), Some("http://10.0.2.2:8080/"));
        assert_eq!(base(None, &["[::1]:80"]).as_deref(), Some("http://[::1]:80/"));
        let public = base(Some("https://cdn.example.org/releases"), &["10.0.2.2:8080"]);
        assert_eq!(public.as_deref(), Some("https://cdn.example.org/releases/"));
    }

    #[test]
    fn hostile_hosts_are_refused() {
        let long = "a".repeat(600);
        for host in ["", "h/evil", "h\\evil", "user@h", "h?x", "h#x", "h\"><evil", "h evil", "-h", &long] {
            assert_eq!(base(None, &[host]), None, "{host:?}");
        }
        assert_eq!(base(None, &[]), None);
        assert_eq!(base(None, &["h", "evil"]), None, "two hosts");
    }

    #[test]
    fn any_bytes_are_survived() {
        use proptest::prelude::*;
        let base: Url = "http://h/".parse().unwrap();
        proptest!(|(document: Vec<u8>)| {
            prop_assert!(understand(&document, base.clone()).is_err());
        });
    }
}
