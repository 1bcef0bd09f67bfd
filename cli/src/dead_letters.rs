//! `ringpad dead-letters`: the messages that the broker moved to the dead letters: expired, rejected as unreadable, or too many
//! for a replica's queue. No call is lost with them: replicas fetch from the log what did not reach them.

use std::time::SystemTime;

use bytes::Bytes;
use clap::{Args, Subcommand};
use ingest_svc::phone::Caller;
use prost::Message;
use ringpad_bus::{BusSettings, DeadLetter, Event};
use ringpad_proto::v1::{SubscribeResponse, subscribe_response};
use ringpad_runtime::Failure;
use serde_json::{Value, json};

use crate::terminal::{harmless, print, report};

/// Lists the dead letters, masked, with reason and time, or deletes them.
#[derive(Debug, Args)]
pub(crate) struct DeadLettersArgs {
    #[command(flatten)]
    bus: BusSettings,
    #[command(subcommand)]
    command: DeadLettersCommand,
}

#[derive(Debug, Subcommand)]
enum DeadLettersCommand {
    /// Prints the oldest ones, and leaves them where they are.
    List {
        /// How many at most; the broker keeps 10,000.
        #[arg(long, default_value_t = 1_000)]
        limit: usize,
        /// Print each as one line of JSON.
        #[arg(long)]
        json: bool,
    },
    /// Deletes all of them.
    Purge,
}

/// Runs the command.
///
/// # Errors
/// A wrong setting, or the broker was not reached.
pub(crate) async fn run(args: DeadLettersArgs) -> Result<(), Failure> {
    let bus = args.bus.bus().map_err(Failure::setting)?;
    let failed = |error| Failure::other("dead letters", error);
    match args.command {
        DeadLettersCommand::List { limit, json } => {
            let letters = bus.dead_letters(limit).await.map_err(failed)?;
            if json {
                return letters.iter().try_for_each(|letter| print(as_json(letter)));
            }
            letters.iter().try_for_each(show)?;
            if letters.is_empty() { print("there are no dead letters") } else { Ok(()) }
        }
        DeadLettersCommand::Purge => {
            report(format!("{} deleted", bus.purge_dead_letters().await.map_err(failed)?))
        }
    }
}

fn show(letter: &DeadLetter) -> Result<(), Failure> {
    let at = letter.at.map(instant).unwrap_or_else(|| "unknown time".to_owned());
    let (reason, queue) = (harmless(&letter.reason), harmless(&letter.queue));
    print(format!("{at}  {reason}  {queue}  {} bytes", letter.bytes))?;
    match &letter.batch {
        Some(batch) if batch.events.is_empty() => print("    no events: a canary of ingest-svc"),
        Some(batch) => batch.events.iter().try_for_each(|event| print(format!("    {}", line(event)))),
        None => print(format!(
            "    not a readable message of RingPad: content type {:?}",
            harmless(&letter.content_type)
        )),
    }
}

/// For machines. `events` is null for a message that is not RingPad's or cannot be read, and empty for a canary.
fn as_json(letter: &DeadLetter) -> Value {
    let event = |event: &Event| {
        let call = call(event.bytes.clone());
        let (state, caller) = call.map(|(state, caller)| (state, caller.to_string())).unzip();
        json!({ "storeId": event.store_id, "position": event.position, "state": state, "caller": caller })
    };
    let events = letter.batch.as_ref().map(|batch| batch.events.iter().map(event).collect::<Vec<_>>());
    json!({
        "when": letter.at.map(instant),
        "reason": letter.reason,
        "queue": letter.queue,
        "bytes": letter.bytes,
        "contentType": letter.content_type,
        "events": events,
    })
}

/// Store, position and the masked caller.
fn line(event: &Event) -> String {
    let place = format!("{} #{}", harmless(&event.store_id), event.position);
    match call(event.bytes.clone()) {
        Some((state, caller)) => format!("{place}  {state}  {caller}"),
        None => place,
    }
}

fn call(bytes: Bytes) -> Option<(&'static str, Caller)> {
    let subscribe_response::Event::Update(update) = SubscribeResponse::decode(bytes).ok()?.event? else {
        return None;
    };
    let call = update.call?;
    Some((call.state().as_str_name(), Caller::parse(&call.caller?.display)))
}

/// To the second, in UTC.
fn instant(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).map(|instant| instant.to_string()).unwrap_or_default()
}
