//! `ringpad stores import`: the whole file is checked, here and by ingest-svc, before the first store is changed.

use std::{collections::BTreeMap, fs, path::Path};

use ringpad_proto::v1::{Store, UpsertStoreRequest, UpsertStoreResponse};
use ringpad_runtime::{Failure, settings::one_line};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::{
    directory::Directory,
    file::{self, Fault, Listed},
};
use crate::terminal::{harmless, print, remark};

/// What to do with a number that another store owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbers {
    /// It is an error.
    Keep,
    /// Move it.
    Move,
}

/// What an import does: checked, and not yet done.
#[derive(Debug)]
pub(super) struct Plan {
    steps: Vec<Step>,
    numbers: Numbers,
}

#[derive(Debug)]
struct Step {
    store: Store,
    created: bool,
}

impl Plan {
    /// Reads the file and has every store checked.
    ///
    /// # Errors
    /// The file's faults, which have then been told line by line; or ingest-svc was not reached.
    pub(super) async fn validated(
        directory: &mut Directory,
        path: &Path,
        numbers: Numbers,
    ) -> Result<Self, Failure> {
        let name = path.display();
        let bytes = fs::read(path).map_err(|error| Failure::other(&name, error))?;
        let mut faults = Vec::new();
        let listed = file::read(&bytes).unwrap_or_else(|found| {
            faults = found;
            Vec::new()
        });
        let mut answers = Vec::new();
        for listed in &listed {
            let request = request(&listed.store, numbers, Mode::Validate);
            match directory.upsert(request).await {
                Ok(answer) => answers.push((listed, answer)),
                Err(status) => {
                    faults.extend(refusals(listed, &status).ok_or_else(|| directory.failure(&status))?)
                }
            }
        }
        faults.extend(shared_numbers(&answers));
        if !faults.is_empty() {
            return Err(refuse(&name.to_string(), faults));
        }
        let step = |(listed, answer): (&Listed, UpsertStoreResponse)| Step {
            store: listed.store.clone(),
            created: answer.created,
        };
        Ok(Self { steps: answers.into_iter().map(step).collect(), numbers })
    }

    /// Says what the import does to each store.
    pub(super) fn print(&self, mood: &str) -> Result<(), Failure> {
        self.steps.iter().try_for_each(|step| print(step.sentence(mood)))
    }

    /// Makes and replaces the stores.
    ///
    /// # Errors
    /// ingest-svc went away or the stores have changed meanwhile; says how far it came. To run it again does no harm.
    pub(super) async fn apply(self, directory: &mut Directory) -> Result<(), Failure> {
        let all = self.steps.len();
        for (done, step) in self.steps.iter().enumerate() {
            if let Err(status) = directory.upsert(request(&step.store, self.numbers, Mode::Apply)).await {
                let failure = directory.failure(&status);
                return Err(Failure::Other(format!(
                    "{failure}; {done} of {all} stores are imported, running it again does no harm"
                )));
            }
            print(step.sentence(""))?;
        }
        Ok(())
    }
}

impl Step {
    fn sentence(&self, mood: &str) -> String {
        let did = if self.created { "created" } else { "replaced" };
        format!("{} {mood}{did}", harmless(&self.store.id))
    }
}

/// Whether a request changes anything.
enum Mode {
    Validate,
    Apply,
}

fn request(store: &Store, numbers: Numbers, mode: Mode) -> UpsertStoreRequest {
    UpsertStoreRequest {
        store: Some(store.clone()),
        move_numbers: numbers == Numbers::Move,
        validate_only: matches!(mode, Mode::Validate),
    }
}

/// What ingest-svc has against a store; `None` if the failure is not the store's.
fn refusals(listed: &Listed, status: &Status) -> Option<Vec<Fault>> {
    if !matches!(status.code(), Code::InvalidArgument | Code::FailedPrecondition) {
        return None;
    }
    let violations =
        status.get_details_bad_request().map(|details| details.field_violations).unwrap_or_default();
    let mut faults: Vec<_> = violations
        .iter()
        .map(|violation| Fault {
            line: listed.line_of(&violation.field),
            text: format!("{}: {}", column(&violation.field), one_line(&harmless(&violation.description))),
        })
        .collect();
    if faults.is_empty() {
        faults.push(Fault { line: listed.line, text: one_line(&harmless(status.message())) });
    }
    if status.code() == Code::FailedPrecondition {
        faults.iter_mut().for_each(|fault| fault.text.push_str(" (here: --move)"));
    }
    Some(faults)
}

/// The file's name for a field of the service's.
fn column(field: &str) -> &str {
    let field = field.strip_prefix("store.").unwrap_or(field);
    match field.split_once('[').map_or(field, |(name, _)| name) {
        "id" => "store_id",
        "virtual_numbers" => "virtual_number",
        "lines" => "line",
        other => other,
    }
}

/// Numbers that two stores of the file share though they are written differently there: ingest-svc has told how each
/// is written properly.
fn shared_numbers(answers: &[(&Listed, UpsertStoreResponse)]) -> Vec<Fault> {
    let mut owners: BTreeMap<(&str, &str), &Listed> = BTreeMap::new();
    let mut faults = Vec::new();
    for (listed, answer) in answers {
        let Some(store) = &answer.store else { continue };
        let numbers = store.virtual_numbers.iter().map(|number| ("virtual_number", number));
        for (column, number) in numbers.chain(store.lines.iter().map(|line| ("line", line))) {
            match owners.insert((column, number), listed) {
                Some(owner) if owner.store.id != listed.store.id => faults.push(Fault {
                    line: listed.line,
                    // Without the number: the two lines name it.
                    text: format!("{column}: also store {}'s, in line {}", owner.store.id, owner.line),
                }),
                _ => {}
            }
        }
    }
    faults
}

/// Tells the faults, each in a line.
fn refuse(name: &str, mut faults: Vec<Fault>) -> Failure {
    faults.sort();
    for fault in &faults {
        remark(format!("{name}: {fault}"));
    }
    let faults = match faults.len() {
        1 => "1 fault".to_owned(),
        many => format!("{many} faults"),
    };
    Failure::Other(format!("{name}: {faults}, nothing is imported"))
}
