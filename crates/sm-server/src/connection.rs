//! Connections: how many, how long, and how they end. A client that moves no byte, or hardly any, does not keep one.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{Instant, Sleep},
};

use sm_host::descriptors;

use crate::{config::Limits, metrics::Metrics};

/// Files that the server keeps open or opens for itself: database, log, listings, manifests.
const OWN_DESCRIPTORS: u64 = 64;

/// Pause after the kernel could not give us a connection (mostly: no file descriptor left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop` is ready, then lets running requests end within [`Limits::stop_grace`].
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    metrics: &Metrics,
    stop: impl Future<Output = ()>,
) {
    let protocol = protocol(&limits);
    let seats = Arc::new(Semaphore::new(seats(limits.n_connections, descriptors::raise_limit())));
    let running = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &seats) => accepted,
            () = &mut stop => break,
        };
        let Some((stream, seat)) = accepted else { continue };
        metrics.count_connection();
        let io = TokioIo::new(Impatient::new(stream, &limits));
        let connection =
            running.watch(protocol.serve_connection(io, TowerToHyperService::new(router.clone())));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection broke");
            }
            drop(seat);
        });
    }
    drop(listener);
    if tokio::time::timeout(limits.stop_grace, running.shutdown()).await.is_err() {
        tracing::warn!("stopped with requests still running");
    }
}

/// As many connections as are wanted, and as this process can open two files for each: the connection, and what it downloads.
fn seats(wanted: usize, n_descriptors: u64) -> usize {
    let possible = n_descriptors.saturating_sub(OWN_DESCRIPTORS) / 2;
    wanted.min(usize::try_from(possible).unwrap_or(usize::MAX)).max(1)
}

fn protocol(limits: &Limits) -> http1::Builder {
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(limits.n_headers)
        .max_header_size(limits.header_bytes)
        .max_buf_size(limits.header_bytes.max(8 << 10));
    protocol
}

/// The next connection, once there is a seat for it.
async fn accept(
    listener: &TcpListener,
    seats: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let seat = seats.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            // Answers are small and written at once; waiting to fill a segment would only delay them.
            let _ = stream.set_nodelay(true);
            Some((stream, seat))
        }
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// A stream that fails when nothing has moved in either direction for a while, or too little of an answer that waits to be taken.
struct Impatient<S> {
    stream: S,
    patience: Duration,
    deadline: Pin<Box<Sleep>>,
    /// What a client that keeps us waiting has to take until the deadline.
    toll_bytes: usize,
    /// What is still to be taken of that; nothing while we wait for nobody.
    owed_bytes: usize,
}

impl<S> Impatient<S> {
    fn new(stream: S, limits: &Limits) -> Impatient<S> {
        let patience = limits.idle_timeout;
        let deadline = Box::pin(tokio::time::sleep(patience));
        Impatient { stream, patience, deadline, toll_bytes: limits.idle_bytes, owed_bytes: 0 }
    }

    /// Moves the deadline on progress, fails at it without.
    fn judge<T>(&mut self, context: &mut Context<'_>, progress: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if progress.is_ready() {
            if self.owed_bytes == 0 {
                self.deadline.as_mut().reset(Instant::now() + self.patience);
            }
            return progress;
        }
        self.deadline.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    /// As [`Impatient::judge`], for bytes on their way to the client.
    fn judge_writing(
        &mut self,
        context: &mut Context<'_>,
        progress: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match &progress {
            Poll::Ready(Ok(n_bytes)) => self.owed_bytes = self.owed_bytes.saturating_sub(*n_bytes),
            Poll::Ready(Err(_)) => {}
            Poll::Pending if self.owed_bytes == 0 => self.owed_bytes = self.toll_bytes,
            Poll::Pending => {}
        }
        self.judge(context, progress)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let progress = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.judge(context, progress)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge_writing(context, progress)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.judge_writing(context, progress)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[test]
    fn every_connection_can_have_its_download_open() {
        assert_eq!(seats(4096, 1 << 20), 4096);
        assert_eq!(seats(4096, 1024), 480);
        assert_eq!(seats(4096, 10), 1);
    }

    /// How a client fares that takes `n_bytes` of a long answer every half patience.
    async fn taken_in_pieces_of(n_bytes: usize) -> io::Result<()> {
        let limits = Limits { idle_timeout: Duration::from_secs(60), idle_bytes: 1000, ..Limits::DEFAULT };
        let (ours, mut theirs) = tokio::io::duplex(64);
        let taking = tokio::spawn(async move {
            let mut piece = vec![0; n_bytes];
            while theirs.read_exact(&mut piece).await.is_ok() {
                tokio::time::sleep(limits.idle_timeout / 2).await;
            }
        });
        let answered = Impatient::new(ours, &limits).write_all(&[0; 100_000]).await;
        taking.abort();
        answered
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_an_answer_byte_by_byte_is_cut() {
        let cut = taken_in_pieces_of(10).await.unwrap_err();
        assert_eq!(cut.kind(), io::ErrorKind::TimedOut);
        taken_in_pieces_of(2000).await.unwrap();
    }
}
