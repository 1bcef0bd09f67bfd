//! `ringpad backup` and `ringpad restore` of the log's file, which has everything that was accepted. They work on the file itself,
//! so they must run on the machine (and in the container) that has it.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use clap::{
    Args,
    builder::{PathBufValueParser, TypedValueParser},
};
use ingest_svc::log::{
    Database,
    sqlite::{self, Contents, Existing},
};
use ringpad_runtime::{CancellationToken, Failure};

use crate::terminal::report;

/// The log's address, as for ingest-svc.
#[derive(Debug, Args)]
struct LogArgs {
    /// The log: `sqlite://` and a path.
    #[arg(long, env = "DATABASE_URL", default_value = "sqlite://ringpad.db", hide_env_values = true)]
    database_url: Database,
}

/// Copies the log to a new file, while ingest-svc uses it.
///
/// The copy has everything that was accepted before it began, with whole phone numbers: its mode is 0600; protect it like the
/// log. It gets its name when it is complete, on disk and checked; until then it is called `FILE.….partial`.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    #[command(flatten)]
    log: LogArgs,
    /// The copy; the file must not exist.
    #[arg(value_parser = PathBufValueParser::new().try_map(regular))]
    file: PathBuf,
}

/// Makes the log from a backup; ingest-svc must be stopped.
///
/// The log gets a new epoch, so pads and push-svc start again with a fresh snapshot.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    #[command(flatten)]
    log: LogArgs,
    /// Rename an existing log to `….replaced-` and the time; by default an existing log is an error.
    #[arg(long)]
    replace: bool,
    /// A file that `ringpad backup` wrote.
    #[arg(value_parser = PathBufValueParser::new().try_map(regular))]
    file: PathBuf,
}

/// A file with a name. `-` is refused: in other commands it is standard input or output, which a log cannot use.
fn regular(path: PathBuf) -> Result<PathBuf, &'static str> {
    if path == Path::new("-") {
        return Err("a backup cannot go through standard input or output; the name of a file is expected");
    }
    Ok(path)
}

/// Makes a backup.
///
/// # Errors
/// The backup could not be made.
pub(crate) async fn back_up(args: BackupArgs, shutdown: CancellationToken) -> Result<(), Failure> {
    let log = file(args.log.database_url)?;
    let began = Instant::now();
    let made = sqlite::back_up(log, args.file.clone(), &shutdown).await;
    let contents = made.map_err(|error| Failure::other("backup", error))?;
    report(format!("{}: {}", args.file.display(), summary(&contents, began)))
}

/// Restores a backup.
///
/// # Errors
/// The backup could not be restored; the log is unchanged.
pub(crate) async fn restore(args: RestoreArgs) -> Result<(), Failure> {
    let log = file(args.log.database_url)?;
    let existing = if args.replace { Existing::Kept } else { Existing::Refused };
    let (began, path) = (Instant::now(), log.clone());
    let work = tokio::task::spawn_blocking(move || sqlite::restore(&args.file, &path, existing));
    let restored = work.await.map_err(|error| Failure::other("restore", error))?;
    let restored = restored.map_err(|error| Failure::other("restore", error))?;
    report(format!("{}: {}", log.display(), summary(&restored.contents, began)))?;
    match restored.kept {
        Some(kept) => report(format!("the log that was there is kept: {}", kept.display())),
        None => Ok(()),
    }
}

/// The file of a log in SQLite.
fn file(database: Database) -> Result<PathBuf, Failure> {
    match database {
        Database::Sqlite(path) => Ok(path),
        Database::Postgres(_) => Err(Failure::Setting(
            "DATABASE_URL: a log in PostgreSQL is backed up with the tools of PostgreSQL, e.g. pg_dump; \
             sqlite:// and a path is expected"
                .into(),
        )),
    }
}

fn summary(contents: &Contents, began: Instant) -> String {
    let newest = match &contents.newest {
        Some(newest) => format!("newest event {} of {:.0}", newest.number, newest.created),
        None => "no event".to_owned(),
    };
    let Contents { bytes, calls, stores, .. } = contents;
    let seconds = began.elapsed().as_secs_f64();
    format!("{bytes} bytes, {calls} calls, {stores} stores, {newest}; took {seconds:.1} s")
}
