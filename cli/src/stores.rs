//! `ringpad stores`: the directory of stores, over ingest-svc's internal gRPC.

mod directory;
mod file;
mod import;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use ringpad_proto::v1::Store;
use ringpad_runtime::Failure;

use crate::{
    internal::{InternalArgs, PATIENCE},
    terminal::{harmless, print, print_table, report},
};

pub(crate) use self::import::Mode;
use self::import::Numbers;

pub(crate) use self::directory::StoreDirectory;

/// How long an import may take; the largest takes a minute.
const IMPORT: Duration = Duration::from_secs(600);

/// Lists, imports and removes stores.
#[derive(Debug, Args)]
pub(crate) struct StoresArgs {
    #[command(flatten)]
    internal: InternalArgs,
    #[command(subcommand)]
    command: StoresCommand,
}

#[derive(Debug, Subcommand)]
enum StoresCommand {
    /// Prints all stores, by id.
    List {
        /// Print each store as one line of JSON; by default a table.
        #[arg(long)]
        json: bool,
    },
    /// Makes stores, or replaces their names and all their numbers. Applies nothing if any line is faulty.
    Import {
        /// CSV with the header `store_id,name,virtual_number,line`, in any order, with commas, semicolons or tabs, in UTF-8 or
        /// CP949; a repeated store_id gives a store several numbers. `-` reads standard input.
        file: PathBuf,
        /// Move numbers from the stores that own them; by default that is an error.
        #[arg(long = "move")]
        move_numbers: bool,
        /// Print what would happen, and change nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Removes a store, and ends its pads' streams.
    Remove {
        /// The store's id.
        id: String,
    },
}

/// Runs the command.
///
/// # Errors
/// ingest-svc was not reached or refused, or the file has faults.
pub(crate) async fn run(args: StoresArgs) -> Result<(), Failure> {
    let patience = if matches!(args.command, StoresCommand::Import { .. }) { IMPORT } else { PATIENCE };
    let mut directory = StoreDirectory::new(args.internal.open(patience).await?);
    match args.command {
        StoresCommand::List { json } => {
            let stores = directory.list().await?;
            if json { print_json(&stores) } else { print_stores(&stores) }
        }
        StoresCommand::Import { file, move_numbers, dry_run } => {
            let numbers = if move_numbers { Numbers::Move } else { Numbers::Keep };
            let mode = if dry_run { Mode::DryRun } else { Mode::Apply };
            import::import(&mut directory, file, numbers, mode).await
        }
        StoresCommand::Remove { id } => {
            directory.remove(&id).await?;
            report(format!("removed {}", harmless(&id)))
        }
    }
}

fn print_json(stores: &[Store]) -> Result<(), Failure> {
    for store in stores {
        print(serde_json::to_string(store).map_err(|error| Failure::other("cannot write JSON", error))?)?;
    }
    Ok(())
}

fn print_stores(stores: &[Store]) -> Result<(), Failure> {
    let rows = stores.iter().map(|store| {
        let Store { id, name, virtual_numbers, lines, .. } = store;
        [id.clone(), virtual_numbers.join(", "), lines.join(", "), name.clone()]
    });
    print_table(["STORE", "VIRTUAL NUMBERS", "LINES", "NAME"], rows)
}
