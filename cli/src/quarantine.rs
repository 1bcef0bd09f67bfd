//! `ringpad quarantine`: requests of number providers that were not valid CDRs, to be tried again after the fault is repaired.

use std::time::Duration;

use clap::{Args, Subcommand};
use ringpad_proto::{
    Timestamp,
    v1::{
        ListQuarantineRequest, QuarantinedRequest, ReplayQuarantineRequest,
        ingest_service_client::IngestServiceClient,
    },
};
use ringpad_runtime::Failure;

use crate::{
    internal::InternalArgs,
    terminal::{harmless, print, report},
};

/// How long an answer may take: a replay of all requests takes a while.
const PATIENCE: Duration = Duration::from_secs(300);
/// Requests a page; the service's largest.
const PAGE: u32 = 100;

/// Lists requests that were not valid CDRs, masked, or tries them again.
#[derive(Debug, Args)]
pub(crate) struct QuarantineArgs {
    #[command(flatten)]
    internal: InternalArgs,
    #[command(subcommand)]
    command: QuarantineCommand,
}

#[derive(Debug, Subcommand)]
enum QuarantineCommand {
    /// Prints them, newest first, with the faults of each.
    List {
        /// Print each as one line of JSON.
        #[arg(long)]
        json: bool,
    },
    /// Tries them again, oldest first; a request that is a valid CDR now is logged and leaves the quarantine. A late ring does not pop.
    Replay {
        /// The requests to try; by default all.
        #[arg(value_name = "ID")]
        ids: Vec<u64>,
    },
}

/// Runs the command.
///
/// # Errors
/// ingest-svc was not reached or refused.
pub(crate) async fn run(args: QuarantineArgs) -> Result<(), Failure> {
    let internal = args.internal.open(PATIENCE).await?;
    let mut client = IngestServiceClient::new(internal.channel());
    match args.command {
        QuarantineCommand::List { json } => {
            let (mut page_token, mut count) = (String::new(), 0);
            loop {
                let request = internal.request(ListQuarantineRequest { page_size: PAGE, page_token });
                let page =
                    client.list_quarantine(request).await.map_err(|status| internal.failure(&status))?;
                let page = page.into_inner();
                count += page.requests.len();
                page.requests.iter().try_for_each(|request| show(request, json))?;
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    break;
                }
            }
            if count == 0 && !json { print("the quarantine is empty") } else { Ok(()) }
        }
        QuarantineCommand::Replay { ids } => {
            let request = internal.request(ReplayQuarantineRequest { ids });
            let answer =
                client.replay_quarantine(request).await.map_err(|status| internal.failure(&status))?;
            let answer = answer.into_inner();
            report(format!("{} logged, {} still faulty", answer.accepted, answer.still_faulty))
        }
    }
}

fn show(request: &QuarantinedRequest, json: bool) -> Result<(), Failure> {
    if json {
        return print(
            serde_json::to_string(request).map_err(|error| Failure::other("cannot write JSON", error))?,
        );
    }
    let at = request.received_at.as_ref().map(instant).unwrap_or_default();
    print(format!("{}  {at}  {}", request.id, harmless(&request.source)))?;
    for violation in &request.field_violations {
        print(format!("    {}: {}", harmless(&violation.field), harmless(&violation.description)))?;
    }
    print(format!("    {}", harmless(&request.masked_request)))
}

/// To the second, in UTC.
fn instant(timestamp: &Timestamp) -> String {
    jiff::Timestamp::from_second(timestamp.seconds).map(|instant| instant.to_string()).unwrap_or_default()
}
