//! Binding, running and stopping: as a future, as a thread of one's own, or until a signal.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use sm_store::Store;
use tokio::{
    net::TcpListener,
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

use crate::{
    Config, Error,
    app::{self, App},
    catalog::Catalog,
    connection,
    files::ReleaseFiles,
    manifests::Manifests,
    metrics::Metrics,
    recorder::Recorder,
    update::Desk,
};

/// A server that listens and has not been asked to serve yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    app: Arc<App>,
}

impl Server {
    /// Opens release directory and database, and listens.
    ///
    /// # Errors
    /// When one of the three is not possible, or the database would be served to everyone.
    pub async fn bind(config: Config) -> Result<Server, Error> {
        let root = config
            .root
            .canonicalize()
            .and_then(|root| root.read_dir().map(|_| root))
            .map_err(|source| Error::Root { path: config.root.clone(), source })?;
        check(&config, &root)?;
        let store = Store::open(&config.database)?;
        let views = Store::views(&config.database)?;
        let bind_failed = |source| Error::Bind { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(bind_failed)?;
        let address = listener.local_addr().map_err(bind_failed)?;

        let config = Arc::new(config);
        let metrics = Arc::new(Metrics::default());
        let manifests = Arc::new(Manifests::default());
        let catalog = Arc::new(Catalog::new(root.clone(), manifests.clone()));
        let desk = Desk { config: config.clone(), catalog: catalog.clone(), metrics: metrics.clone() };
        let recorder = Recorder::start(store, desk, metrics.clone())?;
        let files = ReleaseFiles::new(root, manifests);
        let app = App { config, catalog, files, metrics, recorder, views: Mutex::new(views) };
        Ok(Server { listener, address, app: Arc::new(app) })
    }

    /// Where it listens: the port that was free when port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is ready, then lets running requests end.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        tracing::info!(address = %self.address, root = %self.app.config.root.display(), "serving");
        let limits = self.app.config.limits;
        connection::serve(self.listener, app::router(self.app.clone()), limits, &self.app.metrics, stop)
            .await;
        tracing::info!("stopped");
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

/// What no single value of the configuration shows.
fn check(config: &Config, root: &std::path::Path) -> Result<(), Error> {
    let folder = config.database.parent().and_then(|folder| {
        let folder = if folder.as_os_str().is_empty() { ".".as_ref() } else { folder };
        folder.canonicalize().ok()
    });
    if folder.is_some_and(|folder| folder.starts_with(root)) {
        let problem = format!(
            "database `{}` lies in the release directory, where everybody could download it: expected a place outside",
            config.database.display()
        );
        return Err(Error::Config { problems: vec![problem] });
    }
    Ok(())
}

/// A server on a thread of its own. Dropping it stops it.
#[derive(Debug)]
pub struct ServerHandle {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ServerHandle {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it and waits until it is gone and its database closed.
    ///
    /// # Errors
    /// When its thread panicked.
    pub fn stop(mut self) -> Result<(), Error> {
        self.end()
    }

    fn end(&mut self) -> Result<(), Error> {
        drop(self.stop.take());
        self.thread.take().map_or(Ok(()), |thread| thread.join().map_err(|_| Error::Crashed))
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!(%error, "server ended");
        }
    }
}

/// Starts a server on a thread of its own, for programs that are not asynchronous.
///
/// # Errors
/// As [`Server::bind`], and when the thread cannot be started.
pub fn spawn(config: Config) -> Result<ServerHandle, Error> {
    let runtime = runtime()?;
    let server = runtime.block_on(Server::bind(config))?;
    let address = server.address();
    let (stop, stopped) = oneshot::channel::<()>();
    let thread = thread::Builder::new()
        .name("server".into())
        .spawn(move || {
            runtime.block_on(server.run(async {
                // Ready when the handle drops its end; nothing is ever sent.
                let _ = stopped.await;
            }));
        })
        .map_err(|source| Error::Start { what: "the server thread", source })?;
    Ok(ServerHandle { address, stop: Some(stop), thread: Some(thread) })
}

/// Serves until SIGTERM or SIGINT. `on_bound` is told the address before the first request is answered.
///
/// # Errors
/// As [`Server::bind`], what `on_bound` returns, and when signals cannot be received.
pub fn run_until_signal<E: From<Error>>(
    config: Config,
    on_bound: impl FnOnce(SocketAddr) -> Result<(), E>,
) -> Result<(), E> {
    let runtime = runtime()?;
    runtime.block_on(async {
        let no_signals = |source| Error::Start { what: "the signal handlers", source };
        let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
        let server = Server::bind(config).await?;
        on_bound(server.address())?;
        let stop = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        server.run(stop).await;
        Ok(())
    })
}

fn runtime() -> Result<Runtime, Error> {
    tokio::runtime::Builder::new_multi_thread()
        .thread_name("http")
        .enable_all()
        .build()
        .map_err(|source| Error::Start { what: "the asynchronous runtime", source })
}
