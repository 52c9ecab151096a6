//! The one writer: a thread that owns the database and answers waiting questions together, in one transaction.
//!
//! One commit costs a wait for the disk however much is in it, so under load many hosts share one. No host is answered
//! before what it told is on disk. When the queue is full, hosts are asked to come back later.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
};

use sm_rollout::omaha::AppResponse;
use sm_store::Store;
use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot,
};

use crate::{
    Error,
    metrics::Metrics,
    refusal::Refusal,
    update::{Desk, Question},
};

/// Questions answered in one transaction.
const BATCH_LEN: usize = 256;

type Answer = Result<Vec<AppResponse>, Refusal>;

struct Job {
    question: Question,
    reply: oneshot::Sender<Answer>,
}

pub(crate) struct Recorder {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Recorder {
    pub(crate) fn start(store: Store, desk: Desk, metrics: Arc<Metrics>) -> Result<Recorder, Error> {
        let (jobs, waiting) = mpsc::channel(desk.config.limits.n_waiting);
        let thread = thread::Builder::new()
            .name("recorder".into())
            .spawn(move || run(store, &desk, &metrics, waiting))
            .map_err(|source| Error::Start { what: "the recorder thread", source })?;
        Ok(Recorder { jobs: Some(jobs), thread: Some(thread) })
    }

    /// The answer, once everything the question tells is on disk.
    pub(crate) async fn ask(&self, question: Question) -> Answer {
        let (reply, answer) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or(Refusal::Database)?;
        jobs.try_send(Job { question, reply }).map_err(|error| match error {
            TrySendError::Full(_) => Refusal::Overloaded,
            TrySendError::Closed(_) => Refusal::Database,
        })?;
        answer.await.unwrap_or(Err(Refusal::Database))
    }
}

impl Drop for Recorder {
    /// Ends the thread after its last answer, so that the database is closed when the server is gone.
    fn drop(&mut self) {
        self.jobs.take();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the recorder thread panicked");
        }
    }
}

fn run(mut store: Store, desk: &Desk, metrics: &Metrics, mut waiting: mpsc::Receiver<Job>) {
    while let Some(first) = waiting.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH_LEN
            && let Ok(job) = waiting.try_recv()
        {
            batch.push(job);
        }
        metrics.count_batch(batch.len());
        answer(&mut store, desk, batch);
    }
}

fn answer(store: &mut Store, desk: &Desk, batch: Vec<Job>) {
    let answers = store.transaction(|ledger| {
        batch.iter().map(|job| desk.answer(ledger, &job.question)).collect::<Result<Vec<_>, _>>()
    });
    match answers {
        Ok(answers) => reply(batch, answers.into_iter().map(Ok)),
        // One host's spoilt row must not keep the others from their answers.
        Err(error) if batch.len() > 1 && is_about_one_host(&error) => {
            batch.into_iter().for_each(|job| answer(store, desk, vec![job]));
        }
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(%error, cause, n_requests = batch.len(), "update requests are not recorded");
            reply(batch, std::iter::repeat_with(|| Err(Refusal::Database)));
        }
    }
}

/// A host that has hung up meanwhile gets no answer; it asks again.
fn reply(batch: Vec<Job>, answers: impl Iterator<Item = Answer>) {
    for (job, answer) in batch.into_iter().zip(answers) {
        let _ = job.reply.send(answer);
    }
}

/// Whether the document of one host is wrong, rather than the database.
const fn is_about_one_host(error: &sm_store::Error) -> bool {
    matches!(error, sm_store::Error::Document { .. } | sm_store::Error::EntryTooLong { .. })
}
