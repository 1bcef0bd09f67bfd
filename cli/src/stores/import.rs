//! `ringpad stores import`: the whole file is checked, here and by ingest-svc, before the first store is changed.

use std::path::PathBuf;

use futures_util::{StreamExt, stream};
use ringpad_proto::v1::{ImportStoresRequest, ImportStoresResponse, StoreFault, store_fault::Reason};
use ringpad_runtime::{Failure, settings::one_line};

use super::{
    directory::StoreDirectory,
    file::{self, ListedStore, StoresFile},
};
use crate::{
    table::{self, LineFault},
    terminal::{harmless, remark, report},
    upload,
};

/// What to do with a number of another store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbers {
    /// It is an error.
    Keep,
    /// Move it.
    Move,
}

/// Whether an import changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Say what would happen.
    DryRun,
    /// Do it.
    Apply,
}

/// Imports a file, or standard input if its name is `-`, and prints a summary.
///
/// # Errors
/// The file has faults, which are then printed, one a line; or it cannot be read, or ingest-svc was not reached.
pub(super) async fn import(
    directory: &mut StoreDirectory,
    path: PathBuf,
    numbers: Numbers,
    mode: Mode,
) -> Result<(), Failure> {
    let (name, bytes) = table::contents(path).await?;
    let StoresFile { stores, mut faults } = file::read(&bytes);
    // ingest-svc only checks a faulty file, to find the rest of its faults.
    let mode = if faults.is_empty() { mode } else { Mode::DryRun };
    let answer = send(directory, &stores, numbers, mode).await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(failure) => {
            table::print_faults(&name, &mut faults);
            return Err(failure);
        }
    };
    faults.extend(answer.faults.iter().filter_map(|fault| explain(fault, &stores)));
    let all = faults.len() + answer.faults_left_out as usize;
    if all == 0 {
        return report(summary(&answer, mode));
    }
    table::print_faults(&name, &mut faults);
    if answer.faults_left_out > 0 {
        remark(format!("{name}: and {} more", answer.faults_left_out));
    }
    let done = match (mode, answer.created + answer.changed) {
        (Mode::DryRun, _) | (_, 0) => "nothing is imported".to_owned(),
        (Mode::Apply, _) => format!("the other stores are imported: {}", summary(&answer, mode)),
    };
    Err(Failure::Other(format!("{name}: {all} {}, {done}", if all == 1 { "fault" } else { "faults" }).into()))
}

/// Has ingest-svc import the stores, or check them.
async fn send(
    directory: &mut StoreDirectory,
    stores: &[ListedStore],
    numbers: Numbers,
    mode: Mode,
) -> Result<ImportStoresResponse, Failure> {
    let bar = upload::progress(stores.len(), "stores sent");
    let messages = upload::parts(stores.iter().map(|listed| &listed.store));
    let messages = messages.into_iter().map(move |stores| ImportStoresRequest {
        stores,
        move_numbers: numbers == Numbers::Move,
        validate_only: mode == Mode::DryRun,
    });
    let (sent, all) = (bar.clone(), stores.len() as u64);
    let messages = stream::iter(messages).inspect(move |message| {
        sent.inc(message.stores.len() as u64);
        if sent.position() >= all {
            sent.set_message("sent; ingest-svc checks and writes them");
        }
    });
    let answer = directory.import(messages).await;
    bar.finish_and_clear();
    answer.map_err(|status| directory.failure(&status))
}

/// A fault that ingest-svc found, with its line; `None` if it names a store that was not sent.
fn explain(fault: &StoreFault, stores: &[ListedStore]) -> Option<LineFault> {
    let listed = stores.get(fault.entry as usize)?;
    let more = match fault.reason() {
        Reason::Owned => " (here: --move)".to_owned(),
        Reason::Repeated => {
            let other = stores.get(fault.other_entry as usize)?;
            format!(" (line {})", other.line_of(&fault.other_field))
        }
        Reason::Invalid | Reason::Unspecified => String::new(),
    };
    let description = one_line(&harmless(&fault.description));
    Some(LineFault {
        line: listed.line_of(&fault.field),
        text: format!("{}: {description}{more}", column(&fault.field)),
    })
}

/// The column of the file for a field of ingest-svc's API.
fn column(field: &str) -> &str {
    match field.split_once('[').map_or(field, |(name, _)| name) {
        "id" => "store_id",
        "virtual_numbers" => "virtual_number",
        "lines" => "line",
        other => other,
    }
}

fn summary(answer: &ImportStoresResponse, mode: Mode) -> String {
    let ImportStoresResponse { created, changed, unchanged, failed, .. } = answer;
    match mode {
        Mode::DryRun => format!("{created} would be created, {changed} changed, {unchanged} unchanged"),
        Mode::Apply => {
            format!("{created} created, {changed} changed, {unchanged} unchanged, {failed} failed")
        }
    }
}
