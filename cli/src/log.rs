//! `ringpad log copy`: moves a log from SQLite to PostgreSQL. It works on the file itself, so it must run on the machine (and in the
//! container) that has it.

use std::{path::PathBuf, time::Instant};

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use ingest_svc::log::{self, Copied, Database, Outcome, Progress, Servers};
use ringpad_runtime::{CancellationToken, Failure};

use crate::terminal::{remark, report};

/// The log as a whole.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    #[command(subcommand)]
    command: LogCommand,
}

#[derive(Debug, Subcommand)]
enum LogCommand {
    Copy(CopyArgs),
}

/// Moves the log from SQLite to PostgreSQL; ingest-svc must be stopped.
///
/// Everything is moved: stores, calls, events, callers, the quarantine, and the epoch, so that pads go on where they were. A file of an
/// older version is migrated first. The file is then marked as moved, and no ingest-svc opens it any more. What is interrupted is
/// done by the same command, from the start; until then ingest-svc can be started with the file again.
#[derive(Debug, Args)]
struct CopyArgs {
    /// The log: `sqlite://` and a path.
    // Not parsed by clap, whose error could show the password of another URL.
    #[arg(long, value_name = "URL")]
    from: String,
    /// An empty database, as ingest-svc will have it in DATABASE_URL: `postgres://user:password@host:5432/database`.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    to: String,
}

/// Runs one of the commands of the log.
///
/// # Errors
/// The command has failed.
pub(crate) async fn run(args: LogArgs, shutdown: CancellationToken) -> Result<(), Failure> {
    match args.command {
        LogCommand::Copy(args) => copy(args, shutdown).await,
    }
}

async fn copy(args: CopyArgs, shutdown: CancellationToken) -> Result<(), Failure> {
    let (from, to) = (file(&args.from)?, servers(&args.to)?);
    let (began, bar) = (Instant::now(), progress());
    let show = |progress: Progress| {
        bar.set_length(progress.of);
        bar.set_position(progress.rows);
    };
    let copied = log::copy(&from, &to, show, &shutdown).await;
    bar.finish_and_clear();
    match copied.map_err(|error| Failure::other("log copy", error))? {
        Outcome::AlreadyCopied => {
            report(format!("{}: copied already to {to}; nothing was done", from.display()))
        }
        Outcome::Copied(copied) => {
            remark_faulty(&copied);
            report(format!("{to}: {}; took {:.1} s", summary(&copied), began.elapsed().as_secs_f64()))?;
            report(format!("{}: marked as moved; ingest-svc does not open it any more", from.display()))
        }
    }
}

fn file(url: &str) -> Result<PathBuf, Failure> {
    match url.parse() {
        Ok(Database::Sqlite(path)) => Ok(path),
        _ => Err(Failure::Setting(
            "--from: sqlite:// and a path is expected, e.g. sqlite:///var/lib/ringpad/ringpad.db".into(),
        )),
    }
}

fn servers(url: &str) -> Result<Servers, Failure> {
    match url.parse() {
        Ok(Database::Postgres(servers)) => Ok(servers),
        Ok(Database::Sqlite(_)) => Err(Failure::Setting(
            "DATABASE_URL (or --to): postgres:// is expected, e.g. postgres://user:password@host:5432/database".into(),
        )),
        Err(why) => Err(Failure::Setting(format!("DATABASE_URL (or --to): {why}").into())),
    }
}

/// On a terminal only.
fn progress() -> ProgressBar {
    let bar = ProgressBar::new(0).with_message("rows");
    if let Ok(style) =
        ProgressStyle::with_template("{spinner} {bar:30} {pos}/{len} {msg} ({elapsed}, {eta} left)")
    {
        bar.set_style(style);
    }
    bar.enable_steady_tick(std::time::Duration::from_millis(100));
    bar
}

/// Says which rows are not as they should be.
fn remark_faulty(copied: &Copied) {
    for row in &copied.faulty {
        remark(row);
    }
    let more = copied.left_out + copied.unreadable - copied.faulty.len() as u64;
    if more > 0 {
        remark(format!("and {more} more rows"));
    }
}

fn summary(copied: &Copied) -> String {
    let mut counts: Vec<_> = copied.tables.iter().map(|(table, rows)| format!("{rows} {table}")).collect();
    if copied.unreadable > 0 {
        counts.push(format!("{} of them unreadable", copied.unreadable));
    }
    if copied.left_out > 0 {
        counts.push(format!("{} rows left out", copied.left_out));
    }
    counts.join(", ")
}
