//! Backups, and the way back.

use std::{fs, os::unix::fs::PermissionsExt};

use ringpad_runtime::{CancellationToken, ErrorChain};

use super::*;

async fn copy(log: &Path, target: &Path) -> Result<Contents, BackupError> {
    back_up(log.to_owned(), target.to_owned(), &CancellationToken::new()).await
}

fn names(directory: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(directory.path()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn epoch(log: &Path) -> Uuid {
    let connection = Connection::open(log).unwrap();
    connection.query_one("SELECT epoch FROM meta", [], |row| row.get(0).map(Uuid::from_bytes)).unwrap()
}

/// A log in use, with a ring, and where it is.
async fn in_use() -> (TempDir, OpenLog, PathBuf) {
    let (directory, opened) = with_store().await;
    opened.status(ring("1", "20261123142530")).await;
    let log = directory.path().join("log.db");
    (directory, opened, log)
}

#[tokio::test]
async fn a_backup_of_a_log_in_use_is_one_complete_private_file() {
    let (directory, opened, log) = in_use().await;
    let target = TempDir::new().unwrap();
    let file = target.path().join("backup.db");
    let contents = copy(&log, &file).await.unwrap();
    assert_eq!((contents.calls, contents.stores), (1, 1));
    assert_eq!(contents.newest.map(|newest| newest.number), Some(1));
    assert_eq!(names(&target), ["backup.db"]);
    let found = fs::metadata(&file).unwrap();
    assert_eq!((found.permissions().mode() & 0o777, found.len()), (0o600, contents.bytes));
    // The log has noticed nothing.
    assert_eq!(opened.status(ring("2", "20261123142530")).await, Status::Accepted);
    opened.close().await;
    let opened = open_in(&directory).await;
    assert_eq!(opened.updates("gangnam").await.len(), 2);
    opened.close().await;
}

#[tokio::test]
async fn a_backup_of_a_log_with_pages_of_another_size_has_those_of_a_new_log() {
    let directory = TempDir::new().unwrap();
    let log = directory.path().join("log.db");
    let page_bytes = |file: &Path| {
        let connection = Connection::open(file).unwrap();
        connection.pragma_query_value(None, "page_size", |row| row.get::<_, u16>(0)).unwrap()
    };
    let older = Connection::open(&log).unwrap();
    older.execute_batch("PRAGMA page_size = 4096; PRAGMA journal_mode = WAL").unwrap();
    older.close().unwrap();
    let opened = open_in(&directory).await;
    opened
        .log
        .upsert_store(store("gangnam", "+8250712345678", "+82215884567"), Moving::Refused)
        .await
        .unwrap();
    assert_eq!(opened.status(ring("1", "20261123142530")).await, Status::Accepted);
    assert_eq!(page_bytes(&log), 4_096);
    let file = directory.path().join("backup.db");
    copy(&log, &file).await.unwrap();
    opened.close().await;
    restore(&file, &log, Existing::Kept).unwrap();
    let opened = open_in(&directory).await;
    assert_eq!(opened.status(ring("1", "20261123142530")).await, Status::Duplicate);
    assert_eq!(page_bytes(&log), connection::PAGE);
    let (new, other) = with_store().await;
    assert_eq!(page_bytes(&new.path().join("log.db")), connection::PAGE);
    other.close().await;
    opened.close().await;
}

#[tokio::test]
async fn a_log_that_is_not_in_use_is_copied_with_what_a_crash_left_next_to_it() {
    let directory = TempDir::new().unwrap();
    let log = super::file::after_a_crash(&directory).await;
    let wal = fs::read(directory.path().join("log.db-wal")).unwrap();
    assert!(!wal.is_empty());
    let file = directory.path().join("backup.db");
    assert_eq!(copy(&log, &file).await.unwrap().calls, 1);
    assert_eq!(fs::read(directory.path().join("log.db-wal")).unwrap(), wal, "it is left as it was");
    // Closed in order, it has nothing beside it.
    let opened = open_in(&directory).await;
    assert_eq!(opened.status(ring("2", "20261123142530")).await, Status::Accepted);
    opened.close().await;
    let file = directory.path().join("second.db");
    assert_eq!(copy(&log, &file).await.unwrap().calls, 2);
}

#[tokio::test]
async fn a_backup_overwrites_nothing_and_copies_only_a_log() {
    let (directory, opened, log) = in_use().await;
    let path = |name: &str| directory.path().join(name);
    fs::write(path("there.db"), "mine").unwrap();
    fs::write(path("text.db"), "no database, but long enough to look at: ".repeat(100)).unwrap();
    fs::write(path("empty.db"), "").unwrap();
    Connection::open(path("other.db")).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    let newer = "CREATE TABLE meta (only); PRAGMA user_version = 1000";
    Connection::open(path("newer.db")).unwrap().execute_batch(newer).unwrap();
    fs::hard_link(&log, path("hard.db")).unwrap();
    let before = names(&directory);
    let cases = [
        ("log.db", "there.db", "there is such a file already"),
        ("log.db", "log.db", "there is such a file already"),
        ("log.db", "nowhere/backup.db", "No such file or directory"),
        ("missing.db", "backup.db", "No such file or directory"),
        ("text.db", "backup.db", "file is not a database"),
        ("empty.db", "backup.db", "not a log of RingPad"),
        ("other.db", "backup.db", "not a log of RingPad"),
        ("newer.db", "backup.db", "schema version is 1000"),
        ("hard.db", "backup.db", "back it up by that name"),
    ];
    for (from, to, why) in cases {
        let said = copy(&path(from), &path(to)).await.unwrap_err();
        let said = ErrorChain(&said).to_string();
        assert!(said.contains(why), "{from} to {to}: {said}");
    }
    assert_eq!(fs::read(path("there.db")).unwrap(), b"mine");
    let mut after = names(&directory);
    // SQLite's own, beside the name by which the file was looked at.
    after.retain(|name| !name.starts_with("hard.db-"));
    assert_eq!(after, before);
    opened.close().await;
}

#[tokio::test]
async fn an_interrupted_backup_leaves_nothing() {
    let (_directory, opened, log) = in_use().await;
    let target = TempDir::new().unwrap();
    let shutdown = CancellationToken::new();
    shutdown.cancel();
    let made = back_up(log, target.path().join("backup.db"), &shutdown).await;
    assert!(matches!(made, Err(BackupError::Interrupted)), "{made:?}");
    assert_eq!(names(&target), Vec::<String>::new());
    opened.close().await;
}

#[tokio::test]
async fn a_restored_log_is_the_backup_with_a_new_epoch() {
    let (directory, opened, log) = in_use().await;
    let file = directory.path().join("backup.db");
    copy(&log, &file).await.unwrap();
    opened.status(ring("2", "20261123142530")).await;
    // Not under a running ingest-svc.
    let held = ErrorChain(&restore(&file, &log, Existing::Kept).unwrap_err()).to_string();
    assert!(held.contains("another ingest-svc has this file locked"), "{held}");
    opened.close().await;
    let before = epoch(&log);

    // Not over a log, unless asked for.
    let there = restore(&file, &log, Existing::Refused);
    assert!(matches!(there, Err(RestoreError::Exists(_))), "{there:?}");
    assert_eq!(epoch(&log), before);
    let restored = restore(&file, &log, Existing::Kept).unwrap();
    assert_eq!(restored.contents.calls, 1);
    let kept = restored.kept.unwrap();
    assert!(kept.display().to_string().starts_with(&format!("{}.replaced-", log.display())), "{kept:?}");
    assert_eq!(epoch(&kept), before);
    assert_ne!(epoch(&log), before);
    assert_eq!(fs::metadata(&log).unwrap().permissions().mode() & 0o777, 0o600);

    // What came after the backup is as new.
    let opened = open_in(&directory).await;
    assert_eq!(opened.status(ring("1", "20261123142530")).await, Status::Duplicate);
    assert_eq!(opened.status(ring("2", "20261123142530")).await, Status::Accepted);
    opened.close().await;

    // To a place where there is none; twice from one backup are two histories.
    let [first, second] = ["first.db", "second.db"].map(|name| directory.path().join(name));
    for place in [&first, &second] {
        assert_eq!(restore(&file, place, Existing::Refused).unwrap().kept, None);
    }
    assert_ne!(epoch(&first), epoch(&second));
}

#[tokio::test]
async fn the_records_left_by_a_crash_stay_with_the_old_log() {
    let directory = TempDir::new().unwrap();
    let log = super::file::after_a_crash(&directory).await;
    let elsewhere = TempDir::new().unwrap();
    let opened = open_in(&elsewhere).await;
    opened.log.upsert_store(gangnam(), Moving::Refused).await.unwrap();
    let file = elsewhere.path().join("backup.db");
    copy(&elsewhere.path().join("log.db"), &file).await.unwrap();
    opened.close().await;

    let kept = restore(&file, &log, Existing::Kept).unwrap().kept.unwrap();
    let calls = |log: &Path| {
        let connection = Connection::open(log).unwrap();
        connection.query_one("SELECT count(*) FROM calls", [], |row| row.get::<_, u64>(0)).unwrap()
    };
    assert_eq!((calls(&log), calls(&kept)), (0, 1));

    // Also if it cannot be read any more.
    let log = super::file::after_a_crash(&directory).await;
    let wal = directory.path().join("log.db-wal");
    fs::write(&log, "not what it was, and long enough to look at: ".repeat(100)).unwrap();
    let left = fs::read(&wal).unwrap();
    let kept = restore(&file, &log, Existing::Kept).unwrap().kept.unwrap();
    assert_eq!(calls(&log), 0);
    assert!(fs::read(&kept).unwrap().starts_with(b"not what it was"));
    assert_eq!(fs::read(PathBuf::from(format!("{}-wal", kept.display()))).unwrap(), left);
}

#[tokio::test]
async fn an_interrupted_restoration_leaves_the_old_log_complete() {
    let directory = TempDir::new().unwrap();
    let log = super::file::after_a_crash(&directory).await;
    // All but the last step.
    let place = restore::Place { log: &log };
    let kept = place.keep().unwrap();
    place.settle();
    place.clear().unwrap();
    assert_eq!(epoch(&log), epoch(&kept));
    let opened = open_in(&directory).await;
    assert_eq!(opened.calls("gangnam").await.len(), 1);
    opened.close().await;
}

#[tokio::test]
async fn a_failure_after_the_old_log_was_kept_names_the_kept_file() {
    let (directory, opened, log) = in_use().await;
    let backup = directory.path().join("backup.db");
    copy(&log, &backup).await.unwrap();
    opened.close().await;
    // Cannot be removed.
    fs::create_dir(directory.path().join("log.db-journal")).unwrap();
    let said = ErrorChain(&restore(&backup, &log, Existing::Kept).unwrap_err()).to_string();
    assert!(said.contains("log.db-journal: ") && said.contains("is kept as "), "{said}");
}

#[tokio::test]
async fn all_files_belong_to_the_owner_of_the_directory() {
    use std::os::unix::fs::{MetadataExt, chown};
    let (_directory, opened, log) = in_use().await;
    let place = TempDir::new().unwrap();
    // Only root can restore for somebody else.
    if fs::metadata(place.path()).unwrap().uid() != 0 {
        return;
    }
    chown(place.path(), Some(4_321), Some(4_321)).unwrap();
    let backup = log.with_file_name("backup.db");
    copy(&log, &backup).await.unwrap();
    opened.close().await;
    restore(&backup, &place.path().join("log.db"), Existing::Refused).unwrap();
    restore(&backup, &place.path().join("log.db"), Existing::Kept).unwrap();
    for name in names(&place) {
        assert_eq!(fs::metadata(place.path().join(&name)).unwrap().uid(), 4_321, "{name}");
    }
}

#[tokio::test]
async fn a_faulty_backup_is_refused_and_the_log_stays() {
    let (directory, opened, log) = in_use().await;
    let path = |name: &str| directory.path().join(name);
    copy(&log, &path("backup.db")).await.unwrap();
    opened.close().await;
    let before = epoch(&log);
    let mut bytes = fs::read(path("backup.db")).unwrap();
    fs::write(path("short.db"), &bytes[..bytes.len() / 2]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 4096].fill(0x5a);
    fs::write(path("flipped.db"), bytes).unwrap();
    fs::write(path("text.db"), "no database, but long enough to look at: ".repeat(100)).unwrap();
    fs::write(path("empty.db"), "").unwrap();
    fs::copy(path("backup.db"), path("used.db")).unwrap();
    fs::write(path("used.db-wal"), "records").unwrap();
    let names_before = names(&directory);
    for (name, why) in [
        ("missing.db", "No such file"),
        ("short.db", "malformed"),
        ("flipped.db", "damaged"),
        ("text.db", "not a database"),
        ("empty.db", "not a log of RingPad"),
        ("used.db", "used.db-wal is next to it"),
    ] {
        let said = ErrorChain(&restore(&path(name), &log, Existing::Kept).unwrap_err()).to_string();
        assert!(said.contains(why), "{name}: {said}");
        restore(&path(name), &path("new.db"), Existing::Refused).unwrap_err();
    }
    assert_eq!(epoch(&log), before);
    assert_eq!(names(&directory), names_before);
}
