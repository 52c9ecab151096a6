//! The update server on a thread of this process, for verbs that boot machines which update themselves.

use std::path::PathBuf;

use sm_model::{fleet::Entry, report::Report};
use sm_server::{Config, ServerHandle};
use sm_store::{Store, views::LogFilter};
use sm_vmtest::endpoint::{Endpoint, EndpointError, Served};

/// Reports read at most: machines of a test send a few dozen.
const MAX_REPORTS: u32 = 1000;

struct InProcess {
    server: ServerHandle,
    database: PathBuf,
}

/// Starts it on a free port of the loopback address.
pub(crate) fn start(served: &Served) -> Result<Box<dyn Endpoint>, EndpointError> {
    let server = sm_server::spawn(Config::new(&served.root, &served.database))?;
    Ok(Box::new(InProcess { server, database: served.database.clone() }))
}

impl Endpoint for InProcess {
    fn port(&self) -> u16 {
        self.server.address().port()
    }

    fn reports(&self) -> Result<Vec<Report>, EndpointError> {
        let filter = LogFilter { kind: Some("event".to_owned()), limit: MAX_REPORTS, ..LogFilter::default() };
        let newest_first = Store::views(&self.database)?.log(&filter)?;
        let reports = newest_first.into_iter().rev().filter_map(|line| match line.entry {
            Entry::Event(report) => Some(report),
            Entry::Seen { .. } | Entry::Offered { .. } => None,
        });
        Ok(reports.collect())
    }
}
