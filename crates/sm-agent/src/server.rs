//! Asks the update server: one request, one answer, understood or refused in words.

use sm_host::fetch::{self, Fetch, FetchError};
use sm_rollout::{
    agent::CheckFailure,
    omaha::{AppResponse, AppStatus, Limits, Request, Response, Url},
};

/// Sends a request and returns the answer to its application.
///
/// # Errors
/// When there is no server, or its answer is an error or none at all.
pub fn ask(fetch: &dyn Fetch, url: &Url, request: &Request) -> Result<AppResponse, CheckFailure> {
    let limit_bytes = Limits::DEFAULT.document_bytes as u64;
    let post = fetch::Request::post(url.as_str(), "text/xml", request.to_bytes(), limit_bytes);
    let body = fetch.bytes(&post).map_err(failure)?;
    let refused = |error: &dyn std::error::Error| CheckFailure::Refused(format!("{url}: {}", chain(error)));
    let response = Response::parse(&body).map_err(|error| refused(&error))?;
    let wanted = request.apps.first().map(|app| &app.app_id);
    let answer = response.apps.into_iter().find(|app| Some(&app.app_id) == wanted);
    match answer {
        Some(app) if app.status == AppStatus::Ok => Ok(app),
        Some(app) => {
            Err(CheckFailure::Refused(format!("{url} answered `{}` for this application", app.status)))
        }
        None => Err(CheckFailure::Refused(format!("{url} did not answer for this application"))),
    }
}

fn failure(error: FetchError) -> CheckFailure {
    match error {
        FetchError::Transport { .. } => CheckFailure::Offline(error.to_string()),
        FetchError::Status { status: 400 | 413, .. } => CheckFailure::Unacceptable(error.to_string()),
        error => CheckFailure::Refused(error.to_string()),
    }
}

/// An error and everything behind it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        words = format!("{words}: {inner}");
        source = inner.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use sm_host::fetch::{Answer, FakeFetch};
    use sm_rollout::omaha::{AppId, AppRequest, InstallSource, Os, UpdateCheck};

    const URL: &str = "http://h/v1/update/";

    fn app_id() -> AppId {
        "{7a1f8e9c-2b7d-4c53-9d0e-b0c4a2f15e01}".parse().unwrap()
    }

    fn asked(answer: Answer) -> Result<AppResponse, CheckFailure> {
        let server = FakeFetch::new();
        server.serve(URL, answer);
        let request = Request {
            updater: "a".to_owned(),
            install_source: InstallSource::Scheduler,
            os: Os::default(),
            apps: vec![AppRequest::new(app_id(), "1.0.0", "alpha")],
        };
        let result = ask(&server, &URL.parse().unwrap(), &request);
        let body = server.asked()[0].body.clone().unwrap();
        assert_eq!((body.content_type.as_str(), Request::parse(&body.bytes).unwrap()), ("text/xml", request));
        result
    }

    fn response(app_id: AppId, status: AppStatus) -> Vec<u8> {
        let update_check = Some(UpdateCheck { poll_interval_secs: Some(600), offer: None });
        let app = AppResponse { app_id, status, ping: true, events: 0, update_check };
        Response { server: "s".to_owned(), day_start_secs: 0, apps: vec![app] }.to_bytes()
    }

    #[test]
    fn the_answer_to_our_application_is_returned() {
        let answer = asked(Answer::Bytes(response(app_id(), AppStatus::Ok))).unwrap();
        assert_eq!(answer.update_check.unwrap().poll_interval_secs, Some(600));
    }

    #[test]
    fn answers_that_are_none_are_refused_in_words() {
        let other = "io.example.Other".parse().unwrap();
        for (answer, words) in [
            (Answer::Bytes(b"<html>".to_vec()), "the end of every element"),
            (Answer::Bytes(b"<html x>".to_vec()), "not well-formed"),
            (Answer::Bytes(Vec::new()), "one root element"),
            (Answer::Bytes(vec![b' '; 100_000]), "at most"),
            (Answer::Bytes(response(app_id(), AppStatus::UnknownApplication)), "error-unknownApplication"),
            (Answer::Bytes(response(other, AppStatus::Ok)), "did not answer"),
            (Answer::Status(503), "503"),
        ] {
            let Err(CheckFailure::Refused(found)) = asked(answer.clone()) else { panic!("{answer:?}") };
            assert!(found.contains(words), "{found}");
        }
        assert!(matches!(asked(Answer::Unreachable), Err(CheckFailure::Offline(_))));
        for status in [400, 413] {
            assert!(matches!(asked(Answer::Status(status)), Err(CheckFailure::Unacceptable(_))), "{status}");
        }
    }
}
