//! `ringpad`, the command line: RingPad for people.
//!
//! * `dev`: everything in one process, to try it out;
//! * `ring`: acts as a number provider;
//! * `pad`: a pad in the terminal;
//! * `token`: creates and signs a pad's token;
//! * `stores`: the directory of stores;
//! * `customers`: the adopter's own records of people;
//! * `pads`: tablets that were paired;
//! * `quarantine`: requests that were not valid CDRs;
//! * `dead-letters`: the messages that no replica received;
//! * `backup`, `restore`: the log's file;
//! * `log copy`: from SQLite to PostgreSQL.
//!
//! Exit code 2 is a wrong command line, 1 any other failure; both come with one line on standard error. A command whose output
//! is no longer read ends with 0.

mod backup;
mod customers;
mod dead_letters;
mod dev;
mod endpoint;
mod http_client;
mod internal;
mod log;
mod pad;
mod pads;
mod quarantine;
mod ring;
mod secret;
mod stores;
mod table;
mod terminal;
mod token;
mod upload;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ringpad_runtime::{
    CancellationToken, Failure, Hangup, Workers, run_service, settings, telemetry::LoggingSettings,
};

/// RingPad: when a shop's phone rings, its pads show who calls.
#[derive(Debug, Parser)]
#[command(name = "ringpad", version)]
// At the services' default, info, the log would hide what a command prints.
#[command(mut_arg("rust_log", |argument| argument.default_value("warn").global(true)))]
#[command(mut_arg("log_format", |argument| argument.global(true)))]
struct Cli {
    #[command(flatten)]
    logging: LoggingSettings,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Dev(dev::DevArgs),
    Ring(ring::RingArgs),
    Pad(pad::PadArgs),
    Token(Box<token::TokenArgs>),
    Stores(stores::StoresArgs),
    Customers(customers::CustomersArgs),
    Pads(pads::PadsArgs),
    Quarantine(quarantine::QuarantineArgs),
    DeadLetters(dead_letters::DeadLettersArgs),
    Backup(backup::BackupArgs),
    Restore(backup::RestoreArgs),
    Log(log::LogArgs),
}

fn main() -> ExitCode {
    let cli: Cli = match settings::read() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    run_service("ringpad", &cli.logging, Hangup::Ends, Workers::EachCore, |shutdown| {
        run(cli.command, shutdown)
    })
}

async fn run(command: Command, shutdown: CancellationToken) -> Result<(), Failure> {
    match command {
        Command::Dev(args) => dev::run(args, shutdown).await,
        Command::Ring(args) => until(shutdown, ring::run(args)).await,
        Command::Pad(args) => pad::run(args, shutdown).await,
        Command::Token(args) => token::run(&args),
        Command::Stores(args) => until(shutdown, stores::run(args)).await,
        Command::Customers(args) => until(shutdown, customers::run(args)).await,
        Command::Pads(args) => until(shutdown, pads::run(args)).await,
        Command::Quarantine(args) => until(shutdown, quarantine::run(args)).await,
        Command::DeadLetters(args) => until(shutdown, Box::pin(dead_letters::run(args))).await,
        Command::Backup(args) => backup::back_up(args, shutdown).await,
        // Ctrl-C does not interrupt it; a second Ctrl-C does, and the old log stays.
        Command::Restore(args) => backup::restore(args).await,
        Command::Log(args) => Box::pin(log::run(args, shutdown)).await,
    }
}

/// Runs a command until it ends or Ctrl-C interrupts it.
async fn until(
    shutdown: CancellationToken,
    command: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let outcome = shutdown.run_until_cancelled(command).await;
    outcome.unwrap_or_else(|| Err(Failure::Other("interrupted".into())))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// Each command with its name, e.g. `stores list`.
    fn commands(command: &clap::Command, words: &str) -> Vec<(String, clap::Command)> {
        let sub = command.get_subcommands().filter(|sub| sub.get_name() != "help");
        let sub = sub.flat_map(|sub| commands(sub, &format!("{words} {}", sub.get_name())));
        std::iter::once((words.to_owned(), command.clone())).chain(sub).collect()
    }

    fn all() -> Vec<(String, clap::Command)> {
        let mut cli = Cli::command();
        // Gives the subcommands their global arguments.
        cli.build();
        commands(&cli, "ringpad")
    }

    fn has(command: &clap::Command, long: &str) -> bool {
        command.get_arguments().any(|argument| argument.get_long() == Some(long))
    }

    #[test]
    fn every_listing_has_json() {
        let listings: Vec<_> =
            all().into_iter().filter(|(_, command)| command.get_name() == "list").collect();
        assert!(listings.len() >= 3, "{listings:?}");
        for (words, command) in listings {
            assert!(has(&command, "json"), "{words} has no --json");
        }
    }

    #[test]
    fn every_secret_can_come_from_a_file() {
        // A URL with a password comes from its own variable.
        let urls = ["amqp-url", "database-url", "to"];
        let secret = |argument: &&clap::Arg| {
            argument.is_hide_env_values_set() && argument.get_long().is_some_and(|long| !urls.contains(&long))
        };
        let mut found = 0;
        for (words, command) in all() {
            for argument in command.get_arguments().filter(secret) {
                found += 1;
                assert!(has(&command, "token-file"), "{words} cannot read {argument} from a file");
                assert!(argument.get_env().is_some(), "{words}: {argument} has no variable");
            }
        }
        assert!(found >= 5, "{found}");
    }
}
