//! A decision with everything it rests on, in one document that anybody can verify without a network, a database or our word.
//!
//! Every field is covered by a digest that somebody signed, or by a signature of its own; what could be neither is listed as taken
//! on trust. Verifying computes the decision again from its parts.

mod verify;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sm_model::{
    Board, Channel, Sha256, TrainId,
    evidence::{EvidenceBundle, RuleFile},
    statement::{Decision, Override, Seconding, Signed, Waiver},
};

use crate::{
    gate::BoardInputs,
    go::Case,
    room::due,
    train::{State, question, state::Exception},
};

pub use verify::{Check, Verification, lines_of, verify};

/// Largest bundle that is read, in bytes.
pub const MAX_BUNDLE_BYTES: usize = 64 << 20;

/// Why there is no bundle in a text.
#[derive(Debug, thiserror::Error)]
pub enum InvalidBundle {
    /// It is too large.
    #[error("the bundle is larger than {MAX_BUNDLE_BYTES} bytes")]
    TooLarge,
    /// It is no bundle.
    #[error("cannot read the bundle: expected a decision of format {}", DecisionBundle::FORMAT)]
    Json(#[from] serde_json::Error),
    /// It says something twice, or leaves out what is always written.
    #[error("the bundle is not spelled as `stationmaster go export` writes it")]
    OtherSpelling,
}

impl InvalidBundle {
    /// The next step.
    pub fn hint(&self) -> Option<String> {
        Some("ask for the bundle as `stationmaster go export` wrote it".to_owned())
    }

    /// Exit code of a program that ends with this.
    pub fn exit_code(&self) -> u8 {
        sm_model::exit::VERIFICATION
    }
}

/// A waiver or an override with both signatures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seconded<T> {
    /// What was asked for.
    pub asked: Signed<T>,
    /// The second person.
    pub seconded: Signed<Seconding>,
}

/// A decision and everything it rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionBundle {
    /// Format of this document: [`DecisionBundle::FORMAT`].
    pub format: u32,
    /// What came of the poll.
    pub decision: Signed<Decision>,
    /// The poll and what came in.
    pub case: Case,
    /// What the votes were cast on, by digest.
    pub evidence: EvidenceBundle,
    /// The same, in words that gates understand.
    pub boards: BTreeMap<Board, BoardInputs>,
    /// The rules, as texts.
    pub rules: BTreeMap<RuleFile, String>,
    /// Waivers for these manifests.
    pub waivers: Vec<Seconded<Waiver>>,
    /// Overrides for this evidence.
    pub overrides: Vec<Seconded<Override>>,
    /// Documents by digest: those that the evidence names (manifests, test reports, notes), and messages that are votes.
    pub documents: BTreeMap<Sha256, String>,
}

impl DecisionBundle {
    /// The format written today.
    pub const FORMAT: u32 = 1;

    /// Reads a bundle.
    ///
    /// # Errors
    /// When it is too large, no bundle of this format, or spelled in another way than we write it: what is not read back as it
    /// stands would be verified as something else than what people see.
    pub fn parse(bytes: &[u8]) -> Result<DecisionBundle, InvalidBundle> {
        if bytes.len() > MAX_BUNDLE_BYTES {
            return Err(InvalidBundle::TooLarge);
        }
        let value: serde_json::Value = serde_json::from_slice(bytes)?;
        let bundle: DecisionBundle = serde_json::from_value(value.clone())?;
        if serde_json::to_value(&bundle)? == value { Ok(bundle) } else { Err(InvalidBundle::OtherSpelling) }
    }

    /// The documents that the evidence names and that belong into the bundle, if they are still there.
    pub fn named(evidence: &EvidenceBundle) -> Vec<Sha256> {
        let of_boards =
            evidence.boards.values().flat_map(|board| board.reports.iter().chain([&board.manifest]));
        of_boards.chain(&evidence.notes).copied().collect()
    }
}

/// Puts a bundle together for the newest decision on a release. `rule_text` and `document` find texts by digest.
///
/// `None` when nothing was decided on the evidence as it is, or a rule's text is not there.
pub fn export(
    state: &State,
    train: TrainId,
    channel: Channel,
    rules: &BTreeMap<RuleFile, String>,
    document: impl Fn(&Sha256) -> Option<String>,
) -> Option<DecisionBundle> {
    let (_, release) = state.release(train, channel)?;
    let decision = release.poll()?.decision.clone()?;
    // What was decided on other evidence cannot be shown with this.
    let evidence = state.bundle(train, channel).filter(|_| question::is_current(state, train, channel))?;
    let messages = release.poll()?.ballots.iter().filter_map(due::message_of);
    let named = DecisionBundle::named(&evidence).into_iter().chain(messages);
    let documents = named.filter_map(|digest| Some((digest, document(&digest)?))).collect();
    let rules = rules.iter().filter(|(file, _)| evidence.rules.contains_key(file));
    Some(DecisionBundle {
        format: DecisionBundle::FORMAT,
        case: question::case(state, train, channel, decision.statement.at)?,
        waivers: standing(state.waivers.values(), |waiver| {
            release.manifests().any(|manifest| manifest == waiver.manifest)
        }),
        overrides: standing(state.overrides.values(), |lifted| {
            decision.statement.overrides.contains(&lifted.id)
        }),
        boards: release.boards.iter().map(|(board, state)| (*board, state.inputs.clone())).collect(),
        rules: rules.map(|(file, text)| (*file, text.clone())).collect(),
        decision,
        evidence,
        documents,
    })
}

fn standing<'a, T: Clone + 'a>(
    exceptions: impl Iterator<Item = &'a Exception<T>>,
    wanted: impl Fn(&T) -> bool,
) -> Vec<Seconded<T>> {
    let standing = exceptions.filter(|exception| exception.stands() && wanted(&exception.asked.statement));
    let seconded = standing.filter_map(|exception| {
        Some(Seconded { asked: exception.asked.clone(), seconded: exception.seconded.clone()? })
    });
    seconded.collect()
}
