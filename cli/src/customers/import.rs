//! `ringpad customers import`: each customer stands alone, so that one wrong number of an old file does not hold up thousands.

use std::path::PathBuf;

use futures_util::{StreamExt, stream};
use jiff::tz::TimeZone;
use ringpad_proto::v1::{CustomerFault, UpsertCustomersRequest, UpsertCustomersResponse};
use ringpad_runtime::{Failure, settings::one_line};

use super::{
    client::CustomerClient,
    file::{self, CustomersFile, ListedCustomer},
};
use crate::{
    stores::Mode,
    table::{self, LineFault},
    terminal::{harmless, remark, report},
    upload,
};

/// Imports a file, or standard input if its name is `-`, and prints a summary.
///
/// # Errors
/// Lines have faults, which are then printed, one a line; or the file cannot be read, or ingest-svc was not reached.
pub(super) async fn import(
    client: &mut CustomerClient,
    path: PathBuf,
    store: &str,
    zone: &TimeZone,
    mode: Mode,
) -> Result<(), Failure> {
    let (name, bytes) = table::contents(path).await?;
    let CustomersFile { customers, mut faults } = file::read(&bytes, zone);
    let answer = match send(client, &customers, store, mode).await {
        Ok(answer) => answer,
        Err(failure) => {
            table::print_faults(&name, &mut faults);
            return Err(failure);
        }
    };
    faults.extend(answer.faults.iter().filter_map(|fault| explain(fault, &customers)));
    let all = faults.len() + answer.faults_left_out as usize;
    let summary = summary(&answer, mode);
    if all == 0 {
        return report(summary);
    }
    table::print_faults(&name, &mut faults);
    if answer.faults_left_out > 0 {
        remark(format!("{name}: and {} more", answer.faults_left_out));
    }
    let faults = if all == 1 { "fault" } else { "faults" };
    Err(Failure::Other(format!("{name}: {all} {faults}; of the other customers {summary}").into()))
}

/// Has ingest-svc import the customers, or check them.
async fn send(
    client: &mut CustomerClient,
    customers: &[ListedCustomer],
    store: &str,
    mode: Mode,
) -> Result<UpsertCustomersResponse, Failure> {
    let bar = upload::progress(customers.len(), "customers sent");
    let mut parts = upload::parts(customers.iter().map(|listed| &listed.record));
    if parts.is_empty() {
        // So that it is found out whether there is such a store.
        parts.push(Vec::new());
    }
    let store_id = store.to_owned();
    let messages = parts.into_iter().map(move |customers| UpsertCustomersRequest {
        store_id: store_id.clone(),
        customers,
        validate_only: mode == Mode::DryRun,
    });
    let sent = bar.clone();
    let messages = stream::iter(messages).inspect(move |message| sent.inc(message.customers.len() as u64));
    let answer = client.upsert(messages).await;
    bar.finish_and_clear();
    answer
}

/// A fault that ingest-svc found, with its line; `None` if it names a customer that was not sent.
fn explain(fault: &CustomerFault, customers: &[ListedCustomer]) -> Option<LineFault> {
    let listed = customers.get(fault.entry as usize)?;
    let column = if fault.field.starts_with("numbers") { "number" } else { &fault.field };
    let text = format!("{column}: {}", one_line(&harmless(&fault.description)));
    Some(LineFault { line: listed.line_of(&fault.field), text })
}

fn summary(answer: &UpsertCustomersResponse, mode: Mode) -> String {
    let UpsertCustomersResponse { created, changed, unchanged, .. } = answer;
    match mode {
        Mode::DryRun => format!("{created} would be created, {changed} changed, {unchanged} unchanged"),
        Mode::Apply => format!("{created} created, {changed} changed, {unchanged} unchanged"),
    }
}
