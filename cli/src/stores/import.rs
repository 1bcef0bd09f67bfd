//! `ringpad stores import`: the whole file is checked, here and by ingest-svc, before the first store is changed.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    thread,
};

use futures_util::{StreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use prost::{Message, encoding};
use ringpad_proto::v1::{ImportStoresRequest, ImportStoresResponse, Store, StoreFault, store_fault::Reason};
use ringpad_runtime::{Failure, settings::one_line};
use tokio::sync::oneshot;

use super::{
    directory::StoreDirectory,
    fault::LineFault,
    file::{self, ListedStore, StoresFile},
    text,
};
use crate::terminal::{harmless, remark, report};

/// Stores in one message at most: so the progress bar moves.
const STORES: usize = 1_000;
/// Bytes of one message at most, unless a single store is longer; the service takes four times as much.
const BYTES: usize = 1024 * 1024;

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
pub(super) enum Mode {
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
    let name = if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
    let bytes = contents(path).await.map_err(|error| Failure::other(&name, error))?;
    if text::is_cp949(&bytes) {
        // A short file can be valid in both encodings; a user who knows better sees it here.
        remark(format!("{name}: read as CP949"));
    }
    let StoresFile { stores, mut faults } = file::read(&bytes);
    // ingest-svc only checks a faulty file, to find the rest of its faults.
    let mode = if faults.is_empty() { mode } else { Mode::DryRun };
    let answer = send(directory, &stores, numbers, mode).await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(failure) => {
            print_faults(&name, &mut faults);
            return Err(failure);
        }
    };
    faults.extend(answer.faults.iter().filter_map(|fault| explain(fault, &stores)));
    let all = faults.len() + answer.faults_left_out as usize;
    if all == 0 {
        return report(summary(&answer, mode));
    }
    print_faults(&name, &mut faults);
    if answer.faults_left_out > 0 {
        remark(format!("{name}: and {} more", answer.faults_left_out));
    }
    let done = match (mode, answer.created + answer.changed) {
        (Mode::DryRun, _) | (_, 0) => "nothing is imported".to_owned(),
        (Mode::Apply, _) => format!("the other stores are imported: {}", summary(&answer, mode)),
    };
    Err(Failure::Other(format!("{name}: {all} {}, {done}", if all == 1 { "fault" } else { "faults" }).into()))
}

/// Reads on a thread that is not joined, so that Ctrl-C ends the program also while it waits for a pipe or a terminal.
async fn contents(path: PathBuf) -> io::Result<Vec<u8>> {
    let (sender, bytes) = oneshot::channel();
    thread::spawn(move || {
        let read = if path == Path::new("-") {
            let mut bytes = Vec::new();
            io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
        } else {
            fs::read(path)
        };
        // After an interruption there is no receiver.
        drop(sender.send(read));
    });
    bytes.await.unwrap_or_else(|_| Err(io::Error::other("the reading thread panicked")))
}

/// Has ingest-svc import the stores, or check them.
async fn send(
    directory: &mut StoreDirectory,
    stores: &[ListedStore],
    numbers: Numbers,
    mode: Mode,
) -> Result<ImportStoresResponse, Failure> {
    let bar = progress(stores.len());
    let messages = messages(stores.iter().map(|listed| &listed.store), numbers, mode);
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

/// The stores in messages that the service takes.
fn messages<'a>(
    stores: impl Iterator<Item = &'a Store>,
    numbers: Numbers,
    mode: Mode,
) -> Vec<ImportStoresRequest> {
    let empty = ImportStoresRequest {
        stores: Vec::new(),
        move_numbers: numbers == Numbers::Move,
        validate_only: mode == Mode::DryRun,
    };
    let mut messages: Vec<ImportStoresRequest> = Vec::new();
    let mut bytes = 0;
    for store in stores {
        let length = encoding::message::encoded_len(1, store);
        match messages.last_mut() {
            Some(message) if message.stores.len() < STORES && bytes + length <= BYTES => {
                message.stores.push(store.clone());
            }
            _ => {
                messages.push(ImportStoresRequest { stores: vec![store.clone()], ..empty.clone() });
                bytes = empty.encoded_len();
            }
        }
        bytes += length;
    }
    messages
}

/// On a terminal only.
fn progress(stores: usize) -> ProgressBar {
    let bar = ProgressBar::new(stores as u64).with_message("stores sent");
    if let Ok(style) = ProgressStyle::with_template("{spinner} {bar:30} {pos}/{len} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(std::time::Duration::from_millis(100));
    bar
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

/// Prints the faults, one a line.
fn print_faults(name: &str, faults: &mut [LineFault]) {
    faults.sort();
    for fault in faults {
        remark(format!("{name}: {fault}"));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn store(id: usize, numbers: usize) -> Store {
        let virtual_numbers = vec!["0507-1234-5678".to_owned(); numbers];
        Store { id: format!("store-{id}"), name: "행복세차".to_owned(), virtual_numbers, lines: vec![] }
    }

    fn cut(stores: &[Store]) -> Vec<(usize, usize)> {
        let messages = messages(stores.iter(), Numbers::Move, Mode::DryRun);
        let sent: Vec<_> = messages.iter().flat_map(|message| &message.stores).collect();
        assert_eq!(sent, stores.iter().collect::<Vec<_>>());
        assert!(messages.iter().all(|message| message.move_numbers && message.validate_only));
        messages.iter().map(|message| (message.stores.len(), message.encoded_len())).collect()
    }

    #[test]
    fn a_message_has_no_more_bytes_than_the_service_takes() {
        // 1,000 of them are 8 MB.
        let many: Vec<_> = (0..1_000).map(|id| store(id, 500)).collect();
        let messages = cut(&many);
        assert!(messages.iter().all(|(_, bytes)| *bytes <= BYTES), "{messages:?}");
        assert!(messages.len() < 10, "they are full: {messages:?}");

        let long = store(1, 100_000);
        assert!(long.encoded_len() > BYTES);
        let counts: Vec<_> =
            cut(&[store(0, 1), long, store(2, 1), store(3, 1)]).iter().map(|(n, _)| *n).collect();
        assert_eq!(counts, [1, 1, 2]);
        assert_eq!(cut(&(0..2_500).map(|id| store(id, 1)).collect::<Vec<_>>()).len(), 3);
        assert_eq!(cut(&[]), []);
    }
}
