//! What no log line may show: whole phone numbers, tokens, passwords.

use std::{
    collections::HashSet,
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use ringpad_proto::v1::Cdr;

/// The key that the tests' pad tokens are signed with.
pub const TOKEN_SECRET: &str = "a-secret-for-tests-of-32-bytes-or-more";

/// Texts that betray a secret: the broker's password in its URL, the key, the beginning of any JWT.
const MARKS: [&str; 3] = ["guest:guest", TOKEN_SECRET, "eyJ"];

/// The numbers that a test has used. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct Secrets(Arc<Mutex<HashSet<String>>>);

impl Secrets {
    /// Notes the numbers of a record.
    pub fn note(&self, cdr: &Cdr) {
        for number in [&cdr.fromn, &cdr.vn, &cdr.ton] {
            self.note_number(number);
        }
    }

    /// Notes a number in any spelling; text that is not a number is ignored.
    pub fn note_number(&self, number: &str) {
        let digits: String = number.chars().filter(char::is_ascii_digit).collect();
        // What all spellings have in common: no leading 0, no country code.
        let common = digits.trim_start_matches('0').trim_start_matches("82").trim_start_matches('0');
        if common.len() >= 8 {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(common.to_owned());
        }
    }

    /// Searches all `*.log` files of a directory.
    ///
    /// # Panics
    /// One of them shows a secret.
    pub fn assert_none_in_logs(&self, directory: &Path) {
        for entry in fs::read_dir(directory).expect("the logs' directory is there") {
            let path = entry.expect("the logs' directory is readable").path();
            if path.extension().is_some_and(|extension| extension == "log") {
                let text = fs::read(&path).expect("a log is readable");
                self.assert_none_in(&path.display().to_string(), &String::from_utf8_lossy(&text));
            }
        }
    }

    /// Searches a text; `name` says which.
    ///
    /// # Panics
    /// It shows a secret.
    pub fn assert_none_in(&self, name: &str, text: &str) {
        let numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for line in text.lines() {
            for mark in MARKS {
                assert!(!line.contains(mark), "{name} shows a secret ({mark}): {line}");
            }
            if let Some(number) = number_in(line, &numbers) {
                panic!("{name} shows the number …{number} whole: {line}");
            }
        }
    }
}

/// The number of `numbers` that is in a line in any spelling.
fn number_in(line: &str, numbers: &HashSet<String>) -> Option<String> {
    let joined: Vec<u8> = line.bytes().filter(|byte| *byte != b'-').collect();
    let runs = joined.split(|byte| !byte.is_ascii_digit()).filter(|run| run.len() >= 8);
    runs.flat_map(|run| (8..=11).flat_map(|length| run.windows(length)))
        .filter_map(|window| std::str::from_utf8(window).ok())
        .find(|window| numbers.contains(*window))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_in_every_spelling_and_a_masked_one_is_not() {
        let secrets = Secrets::default();
        secrets.note_number("010-1234-5678");
        let numbers = secrets.0.lock().map(|numbers| numbers.clone()).unwrap_or_default();
        for spelling in [
            "010-1234-5678",
            "01012345678",
            "+821012345678",
            "821012345678",
            "00821012345678",
            "from=1012345678&",
        ] {
            assert!(number_in(&format!("INFO logged {spelling} end"), &numbers).is_some(), "{spelling}");
        }
        for harmless in ["010-****-5678", "2026-11-23T04:02:57.123456Z", "seq=1234-5678"] {
            assert_eq!(number_in(harmless, &numbers), None);
        }
    }
}
