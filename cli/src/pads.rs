//! `ringpad pads`: tablets, over ingest-svc's internal gRPC.

use clap::{Args, Subcommand};
use ringpad_proto::{
    Timestamp,
    v1::{
        ApprovePairingRequest, ListPadsRequest, PairedPad, RevokePadRequest,
        pairing_service_client::PairingServiceClient,
    },
};
use ringpad_runtime::Failure;
use tonic::Code;

use crate::{
    internal::{Internal, InternalArgs, PATIENCE},
    terminal::{harmless, print, print_table, report},
};

/// Pads a page; the service's largest.
const PAGE: u32 = 1_000;

/// Lists, pairs and revokes tablets.
#[derive(Debug, Args)]
pub(crate) struct PadsArgs {
    #[command(flatten)]
    internal: InternalArgs,
    #[command(subcommand)]
    command: PadsCommand,
}

#[derive(Debug, Subcommand)]
enum PadsCommand {
    /// Prints paired tablets, by store and name; revoked ones until RETENTION has passed.
    List {
        /// Only those of this store.
        #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
        store: String,
        /// Print each as one line of JSON; by default a table.
        #[arg(long)]
        json: bool,
    },
    /// Makes the tablet that shows a code a pad of a store.
    Pair {
        /// The six digits that the tablet shows; spaces and hyphens are ignored.
        code: String,
        /// The store whose calls it shows.
        #[arg(long, value_name = "ID")]
        store: String,
        /// What people call it, e.g. `계산대`.
        #[arg(long)]
        name: String,
    },
    /// Revokes a tablet's credential, and ends its streams within 5 s.
    Revoke {
        /// The id of the pad, as `pads list` prints it.
        pad: String,
    },
}

/// Runs the command.
///
/// # Errors
/// ingest-svc was not reached or refused.
pub(crate) async fn run(args: PadsArgs) -> Result<(), Failure> {
    let internal = args.internal.open(PATIENCE).await?;
    match args.command {
        PadsCommand::List { store, json } => {
            let pads = list(&internal, store).await?;
            if json { print_json(&pads) } else { print_pads(&pads) }
        }
        PadsCommand::Pair { code, store, name } => pair(&internal, code, store, name).await,
        PadsCommand::Revoke { pad } => revoke(&internal, pad).await,
    }
}

async fn list(internal: &Internal, store_id: String) -> Result<Vec<PairedPad>, Failure> {
    let mut client = PairingServiceClient::new(internal.channel());
    let (mut pads, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListPadsRequest { store_id: store_id.clone(), page_size: PAGE, page_token };
        let page = client.list_pads(internal.request(request)).await;
        let page = page.map_err(|status| internal.failure(&status))?.into_inner();
        pads.extend(page.pads);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(pads);
        }
    }
}

async fn pair(internal: &Internal, code: String, store_id: String, name: String) -> Result<(), Failure> {
    let request = internal.request(ApprovePairingRequest { code, store_id, name });
    let answer = PairingServiceClient::new(internal.channel()).approve_pairing(request).await;
    let pad = answer.map_err(|status| refusal(internal, &status))?.into_inner().pad.unwrap_or_default();
    let (store, name) = (pad.store.unwrap_or_default(), &pad.name);
    report(harmless(&format!("paired {}: {name}, in {} ({})", pad.id, store.id, store.name)))
}

async fn revoke(internal: &Internal, pad_id: String) -> Result<(), Failure> {
    let request = internal.request(RevokePadRequest { pad_id: pad_id.clone() });
    let answer = PairingServiceClient::new(internal.channel()).revoke_pad(request).await;
    answer.map_err(|status| refusal(internal, &status))?;
    report(format!("revoked {}", harmless(&pad_id)))
}

/// What ingest-svc says of the request, without its address.
fn refusal(internal: &Internal, status: &tonic::Status) -> Failure {
    match status.code() {
        Code::NotFound => Failure::Other(harmless(status.message()).into()),
        _ => internal.failure(status),
    }
}

fn print_json(pads: &[PairedPad]) -> Result<(), Failure> {
    for pad in pads {
        print(serde_json::to_string(pad).map_err(|error| Failure::other("cannot write JSON", error))?)?;
    }
    Ok(())
}

fn print_pads(pads: &[PairedPad]) -> Result<(), Failure> {
    print_table(["PAD", "STORE", "PAIRED", "LAST TOKEN", "REVOKED", "NAME"], pads.iter().map(row))
}

fn row(pad: &PairedPad) -> [String; 6] {
    let store = pad.store.as_ref().map(|store| store.id.clone()).unwrap_or_default();
    let time = |time: &Option<Timestamp>| time.as_ref().map_or_else(|| "-".to_owned(), instant);
    let PairedPad { id, name, paired_at, last_token_at, revoked_at, .. } = pad;
    [id.clone(), store, time(paired_at), time(last_token_at), time(revoked_at), name.clone()]
}

/// To the second, in UTC.
fn instant(timestamp: &Timestamp) -> String {
    jiff::Timestamp::from_second(timestamp.seconds).map(|instant| instant.to_string()).unwrap_or_default()
}
