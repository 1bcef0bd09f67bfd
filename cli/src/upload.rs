//! What an import sends: messages of a bounded size, and a bar that shows how far it is.

use indicatif::{ProgressBar, ProgressStyle};
use prost::{Message, encoding};

/// Entries in one message at most: so the progress bar moves.
const ENTRIES: usize = 1_000;
/// Bytes of one message at most, unless a single entry is longer; the service takes four times as much.
const BYTES: usize = 1024 * 1024;
/// Bytes of a message's other fields at most.
const OTHERS: usize = 128;

/// The entries in parts, of which each goes into one message.
pub(crate) fn parts<'a, T: Message + Clone + 'a>(entries: impl Iterator<Item = &'a T>) -> Vec<Vec<T>> {
    let mut parts: Vec<Vec<T>> = Vec::new();
    let mut bytes = 0;
    for entry in entries {
        let length = encoding::message::encoded_len(1, entry);
        match parts.last_mut() {
            Some(part) if part.len() < ENTRIES && bytes + length <= BYTES => part.push(entry.clone()),
            _ => {
                parts.push(vec![entry.clone()]);
                bytes = OTHERS;
            }
        }
        bytes += length;
    }
    parts
}

/// On a terminal only. `what` is shown behind the numbers.
pub(crate) fn progress(entries: usize, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(entries as u64).with_message(what);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {bar:30} {pos}/{len} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(std::time::Duration::from_millis(100));
    bar
}

#[cfg(test)]
mod tests {
    use ringpad_proto::v1::{ImportStoresRequest, Store};

    use super::*;

    fn store(id: usize, numbers: usize) -> Store {
        let virtual_numbers = vec!["0507-1234-5678".to_owned(); numbers];
        Store { id: format!("store-{id}"), name: "행복세차".to_owned(), virtual_numbers, lines: vec![] }
    }

    /// How many stores each message has, and how many bytes.
    fn cut(stores: &[Store]) -> Vec<(usize, usize)> {
        let parts = parts(stores.iter());
        assert_eq!(parts.iter().flatten().collect::<Vec<_>>(), stores.iter().collect::<Vec<_>>());
        let message = |stores| ImportStoresRequest { stores, move_numbers: true, validate_only: true };
        parts.into_iter().map(|stores| (stores.len(), message(stores).encoded_len())).collect()
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
