//! The log's file and its names.

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    process::Command,
    thread,
};

use super::*;

#[tokio::test]
async fn a_file_is_locked_by_all_of_its_names() {
    let directory = TempDir::new().unwrap();
    let own = directory.path().join("log.db");
    let opened = open_at(&own).await;
    let there = directory.path().join("there");
    fs::create_dir(&there).unwrap();
    let [soft, hard, link_to_link] = ["soft", "hard", "link-to-link"].map(|name| there.join(name));
    symlink("../log.db", &soft).unwrap();
    symlink(&soft, &link_to_link).unwrap();
    fs::hard_link(&own, &hard).unwrap();
    let by_directory = directory.path().join("by-directory");
    symlink(directory.path(), &by_directory).unwrap();
    for name in [own.clone(), soft, hard, link_to_link, by_directory.join("there/../log.db")] {
        assert!(matches!(try_open(&name).await, Err(FileError::Held)), "{name:?}");
    }
    // Free again once it is closed, by any name.
    opened.close().await;
    open_at(&by_directory.join("log.db")).await.close().await;
}

#[tokio::test]
async fn a_link_to_a_missing_file_makes_that_file() {
    let directory = TempDir::new().unwrap();
    let (link, real) = (directory.path().join("link.db"), directory.path().join("real.db"));
    symlink("real.db", &link).unwrap();
    let opened = open_at(&link).await;
    assert!(matches!(try_open(&real).await, Err(FileError::Held)));
    opened.close().await;
}

#[tokio::test]
async fn an_older_version_that_locks_only_the_lock_file_is_noticed() {
    let directory = TempDir::new().unwrap();
    let own = directory.path().join("log.db");
    let older = File::create(directory.path().join("log.db.lock")).unwrap();
    older.try_lock().unwrap();
    assert!(matches!(try_open(&own).await, Err(FileError::Held)));
    drop(older);
    let opened = open_at(&own).await;
    let older = File::create(directory.path().join("log.db.lock")).unwrap();
    assert!(older.try_lock().is_err(), "it would not notice this one");
    opened.close().await;
}

#[tokio::test]
async fn a_renamed_or_replaced_file_accepts_nothing() {
    let (directory, opened) = with_store().await;
    let (own, elsewhere) = (directory.path().join("log.db"), directory.path().join("elsewhere.db"));
    opened.status(ring("1", "20261123142530")).await;
    let refused = async |seq| match opened.log.ingest(ring(seq, "20261123142530")).await {
        Err(LogError::Unavailable(why)) => {
            assert!(why.to_string().contains("renamed, replaced or removed"), "{why}");
        }
        other => panic!("{other:?}"),
    };
    fs::rename(&own, &elsewhere).unwrap();
    refused("2").await;
    fs::write(&own, "another file").unwrap();
    refused("2").await;
    assert!(opened.log.probe().await.is_err());
    // What was a mistake can be taken back.
    fs::rename(&elsewhere, &own).unwrap();
    assert_eq!(opened.status(ring("2", "20261123142530")).await, Status::Accepted);
    assert_eq!(opened.updates("gangnam").await.len(), 2);
    opened.close().await;
}

/// The path of a log as a crash leaves it: with a store and a ring that are only in the write-ahead log.
pub(super) async fn after_a_crash(directory: &TempDir) -> PathBuf {
    let opened = open_in(directory).await;
    opened.log.upsert_store(gangnam(), Moving::Refused).await.unwrap();
    opened.status(ring("1", "20261123142530")).await;
    let own = directory.path().join("log.db");
    let files = [own.clone(), beside(&own, "-wal")];
    let before = files.each_ref().map(|file| fs::read(file).unwrap());
    opened.close().await;
    files.iter().zip(before).for_each(|(file, bytes)| fs::write(file, bytes).unwrap());
    own
}

fn beside(name: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", name.display()))
}

#[tokio::test]
async fn the_records_left_by_a_crash_next_to_another_name_are_taken_over() {
    let directory = TempDir::new().unwrap();
    let own = after_a_crash(&directory).await;
    let other = directory.path().join("other.db");
    fs::hard_link(&own, &other).unwrap();
    let opened = open_at(&other).await;
    assert_eq!(opened.status(ring("1", "20261123142530")).await, Status::Duplicate);
    assert_eq!(opened.status(ring("2", "20261123142530")).await, Status::Accepted);
    opened.close().await;
    let opened = open_at(&own).await;
    assert_eq!(opened.updates("gangnam").await.len(), 2);
    opened.close().await;
}

#[tokio::test]
async fn a_file_that_was_renamed_without_its_newest_records_is_refused() {
    let directory = TempDir::new().unwrap();
    let own = after_a_crash(&directory).await;
    let other = directory.path().join("other.db");
    fs::rename(&own, &other).unwrap();
    let why = try_open(&other).await.unwrap_err().to_string();
    for words in ["newest records are in", "log.db-wal", "Rename ", "other.db-wal"] {
        assert!(why.contains(words), "{why}");
    }
    fs::rename(beside(&own, "-wal"), beside(&other, "-wal")).unwrap();
    let opened = open_at(&other).await;
    assert_eq!(opened.status(ring("1", "20261123142530")).await, Status::Duplicate);
    opened.close().await;
}

#[tokio::test]
async fn a_copy_is_a_log_of_its_own() {
    let directory = TempDir::new().unwrap();
    let own = after_a_crash(&directory).await;
    let copy = directory.path().join("copy.db");
    for suffix in ["", "-wal"] {
        fs::copy(beside(&own, suffix), beside(&copy, suffix)).unwrap();
    }
    let (opened, other) = (open_at(&own).await, open_at(&copy).await);
    for log in [&opened, &other] {
        assert_eq!(log.status(ring("1", "20261123142530")).await, Status::Duplicate);
    }
    opened.close().await;
    other.close().await;
}

#[test]
fn a_child_that_is_being_started_does_not_keep_a_closed_file_locked() {
    let directory = TempDir::new().unwrap();
    let name = directory.path().join("log.db");
    let children =
        thread::spawn(|| (0..200).for_each(|_| assert!(Command::new("true").status().unwrap().success())));
    while !children.is_finished() {
        drop(LogFile::hold(&name).unwrap());
    }
    children.join().unwrap();
}
