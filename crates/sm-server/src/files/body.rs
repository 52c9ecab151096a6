//! A part of a file as a response body: read when the client has room for it, one buffer at a time.

use std::{
    fs::File,
    io::{self, SeekFrom},
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::body::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncSeek, ReadBuf};

use crate::metrics::Metrics;

/// Bytes read at once: large enough to hide the cost of changing threads, small beside what a download occupies anyway.
const BUFFER_BYTES: usize = 256 << 10;

#[derive(Debug)]
pub(super) struct FileBody {
    file: tokio::fs::File,
    start: Start,
    remaining_bytes: u64,
    buffer: Vec<u8>,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Clone, Copy)]
enum Start {
    At(u64),
    Seeking,
    Reading,
}

impl FileBody {
    pub(super) fn new(file: File, range: Range<u64>, metrics: Arc<Metrics>) -> FileBody {
        let mut file = tokio::fs::File::from_std(file);
        file.set_max_buf_size(BUFFER_BYTES);
        let start = if range.start == 0 { Start::Reading } else { Start::At(range.start) };
        FileBody { file, start, remaining_bytes: range.end - range.start, buffer: Vec::new(), metrics }
    }

    fn poll_seek(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut file = Pin::new(&mut self.file);
        if let Start::At(position) = self.start {
            file.as_mut().start_seek(SeekFrom::Start(position))?;
            self.start = Start::Seeking;
        }
        if let Start::Seeking = self.start {
            ready!(file.poll_complete(context))?;
            self.start = Start::Reading;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let wanted = usize::try_from(self.remaining_bytes).map_or(BUFFER_BYTES, |n| n.min(BUFFER_BYTES));
        self.buffer.resize(wanted, 0);
        let mut read = ReadBuf::new(&mut self.buffer);
        ready!(Pin::new(&mut self.file).poll_read(context, &mut read))?;
        let n_bytes = read.filled().len();
        if n_bytes == 0 {
            // The promised length cannot be kept; breaking the connection tells the client, ending the body would lie.
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "file was cut while it was served",
            )));
        }
        self.buffer.truncate(n_bytes);
        Poll::Ready(Ok(Bytes::from(std::mem::take(&mut self.buffer))))
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let body = self.get_mut();
        if body.remaining_bytes == 0 {
            return Poll::Ready(None);
        }
        ready!(body.poll_seek(context))?;
        let bytes = ready!(body.poll_read(context))?;
        body.remaining_bytes -= bytes.len() as u64;
        body.metrics.count_served(bytes.len() as u64);
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining_bytes == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining_bytes)
    }
}
