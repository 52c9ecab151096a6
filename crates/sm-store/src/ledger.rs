//! The seam to the database: what one transaction can do, and a host's visit written in those terms.
//!
//! A visit reads its instance once and writes it at most once, so that a host with nothing to say costs two statements.

use sm_model::{
    MachineId, Timestamp, Version,
    fleet::{Entry, HostFacts, Instance, InstanceStatus},
    report::Report,
};

use crate::{Error, projection};

/// One open transaction. All of it happens or nothing does.
pub trait Ledger {
    /// The instance of that host, if it was ever seen.
    ///
    /// # Errors
    /// When the database fails or holds what we never wrote.
    fn instance(&self, machine_id: &MachineId) -> Result<Option<Instance>, Error>;

    /// Appends to the log. Does not touch the projection.
    ///
    /// # Errors
    /// When the database fails or the entry is too long.
    fn append(&mut self, entry: &Entry) -> Result<(), Error>;

    /// Writes the projection of one host.
    ///
    /// # Errors
    /// When the database fails.
    fn project(&mut self, instance: &Instance) -> Result<(), Error>;

    /// Notes that the host came.
    ///
    /// # Errors
    /// When the database fails.
    fn heartbeat(&mut self, machine_id: &MachineId, now: Timestamp) -> Result<(), Error>;
}

/// One request of one host, between the reading of what is known about it and the writing of what it told.
pub struct Visit<'a> {
    ledger: &'a mut dyn Ledger,
    now: Timestamp,
    instance: Instance,
    dirty: bool,
}

impl<'a> Visit<'a> {
    /// Opens the visit of a host that says `host` about itself, and records what is new in that.
    ///
    /// # Errors
    /// When the database fails.
    pub fn open(
        ledger: &'a mut dyn Ledger,
        machine_id: &MachineId,
        host: HostFacts,
        now: Timestamp,
    ) -> Result<Visit<'a>, Error> {
        let Some(instance) = ledger.instance(machine_id)? else {
            ledger.append(&Entry::Seen {
                received: now,
                machine_id: machine_id.clone(),
                host: host.clone(),
            })?;
            let instance = projection::first_seen(now, machine_id, &host);
            return Ok(Visit { ledger, now, instance, dirty: true });
        };
        let mut visit = Visit { ledger, now, instance, dirty: false };
        if visit.instance.host != host {
            visit.record(&Entry::Seen { received: now, machine_id: machine_id.clone(), host })?;
        }
        Ok(visit)
    }

    /// What is known about the host, this visit included.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// Records an event.
    ///
    /// # Errors
    /// When the database fails.
    pub fn report(&mut self, report: Report) -> Result<(), Error> {
        self.record(&Entry::Event(report))
    }

    /// Records an offer, unless it repeats the last one to a host that has not moved since.
    ///
    /// # Errors
    /// When the database fails.
    pub fn offer(&mut self, version: Version) -> Result<(), Error> {
        if self.instance.last_offered == Some(version) && self.instance.status == InstanceStatus::Offered {
            return Ok(());
        }
        let machine_id = self.instance.machine_id.clone();
        self.record(&Entry::Offered { received: self.now, machine_id, version })
    }

    /// Ends the visit: writes the projection if it changed, and the heartbeat.
    ///
    /// # Errors
    /// When the database fails.
    pub fn close(self) -> Result<Instance, Error> {
        if self.dirty {
            self.ledger.project(&self.instance)?;
        }
        self.ledger.heartbeat(&self.instance.machine_id, self.now)?;
        Ok(self.instance)
    }

    fn record(&mut self, entry: &Entry) -> Result<(), Error> {
        self.ledger.append(entry)?;
        projection::apply(&mut self.instance, entry);
        self.dirty = true;
        Ok(())
    }
}

impl std::fmt::Debug for Visit<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Visit")
            .field("now", &self.now)
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}
