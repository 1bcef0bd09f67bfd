//! `ringpad customers`: the adopter's customers, over ingest-svc's internal gRPC.

mod client;
mod file;
mod import;
mod time;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use ingest_svc::phone::mask_text;
use jiff::tz::TimeZone;
use ringpad_proto::v1::{Customer, CustomerRecord};
use ringpad_runtime::Failure;

use self::client::CustomerClient;
use crate::{
    internal::{InternalArgs, PATIENCE},
    stores::Mode,
    terminal::{harmless, print, print_table, report},
};

/// How long an import may take; that of 100,000 customers takes some ten seconds.
const IMPORT: Duration = Duration::from_secs(600);

/// Lists, imports and removes a store's customers: pads show who calls.
#[derive(Debug, Args)]
pub(crate) struct CustomersArgs {
    #[command(flatten)]
    internal: InternalArgs,
    #[command(subcommand)]
    command: CustomersCommand,
}

#[derive(Debug, Subcommand)]
enum CustomersCommand {
    /// Prints a store's customers, by id, with masked numbers. An id that ingest-svc has made from a number is masked as well.
    List {
        /// The store's id.
        #[arg(long)]
        store: String,
        /// Print whole phone numbers, and the ids made from numbers, which `remove` needs.
        #[arg(long)]
        whole_numbers: bool,
        /// Print each customer as one line of JSON; by default a table.
        #[arg(long)]
        json: bool,
    },
    /// Makes customers, or replaces what is known of them. A line with a fault is printed, and
    /// its customer left out; the others are imported.
    Import {
        /// CSV with a header of some of `id,name,number,car_number,note,calls,last_call_at,last_note`, or of the Korean names (이름,
        /// 전화번호, 차량번호, 메모 …), in any order, with commas, semicolons or tabs, in UTF-8 or CP949. `number` is required, and a name or a
        /// car's number in each row. Several numbers of a customer stand in one cell, with `/`, or in several rows with one id. Other
        /// columns are not read. `-` reads standard input.
        file: PathBuf,
        /// The store's id.
        #[arg(long)]
        store: String,
        /// The time zone of `last_call_at`, where that does not say it.
        #[arg(long, default_value = "Asia/Seoul", value_parser = |name: &str| TimeZone::get(name))]
        time_zone: TimeZone,
        /// Print what would happen, and change nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Removes a customer.
    Remove {
        /// The store's id.
        #[arg(long)]
        store: String,
        /// The customer's id, as `list --whole-numbers` prints it.
        id: String,
    },
}

/// Runs the command.
///
/// # Errors
/// ingest-svc was not reached or refused, or the file has faults.
pub(crate) async fn run(args: CustomersArgs) -> Result<(), Failure> {
    let patience = if matches!(args.command, CustomersCommand::Import { .. }) { IMPORT } else { PATIENCE };
    let mut client = CustomerClient::new(args.internal.open(patience).await?);
    match args.command {
        CustomersCommand::List { store, whole_numbers, json } => {
            let mut customers = client.list(&store).await?;
            if !whole_numbers {
                customers.iter_mut().for_each(mask);
            }
            if json { print_json(&customers) } else { print_customers(&customers) }
        }
        CustomersCommand::Import { file, store, time_zone, dry_run } => {
            let mode = if dry_run { Mode::DryRun } else { Mode::Apply };
            import::import(&mut client, file, &store, &time_zone, mode).await
        }
        CustomersCommand::Remove { store, id } => {
            client.remove(&store, &id).await?;
            report(format!("removed {}", harmless(&id)))
        }
    }
}

/// Masks the numbers of a customer, and an id that tells one.
fn mask(record: &mut CustomerRecord) {
    for number in &mut record.numbers {
        *number = mask_text(number);
    }
    if let Some(customer) = &mut record.customer
        && is_made_from_number(&customer.id)
    {
        "number-********".clone_into(&mut customer.id);
    }
}

/// Whether ingest-svc has made an id from the customer's number, because the customer was sent without one: `number-`, 64 bits in
/// hexadecimal, and from the second customer with this number on `-2`, `-3` …
fn is_made_from_number(id: &str) -> bool {
    let Some((hash, place)) = id.strip_prefix("number-").and_then(|rest| rest.split_at_checked(16)) else {
        return false;
    };
    let is_place = |place: &str| !place.is_empty() && place.bytes().all(|byte| byte.is_ascii_digit());
    hash.bytes().all(|byte| byte.is_ascii_hexdigit())
        && (place.is_empty() || place.strip_prefix('-').is_some_and(is_place))
}

fn print_json(customers: &[CustomerRecord]) -> Result<(), Failure> {
    for customer in customers {
        print(serde_json::to_string(customer).map_err(|error| Failure::other("cannot write JSON", error))?)?;
    }
    Ok(())
}

fn print_customers(customers: &[CustomerRecord]) -> Result<(), Failure> {
    let rows = customers.iter().map(|record| {
        let Customer { id, name, car_number, note } = record.customer.clone().unwrap_or_default();
        [id, record.numbers.join(", "), [name, car_number, note].join("  ")]
    });
    print_table(["CUSTOMER", "NUMBERS", "NAME  CAR  NOTE"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_made_from_a_number_is_masked_with_the_numbers_and_no_other_id() {
        let masked = |id: &str| {
            let customer = Some(Customer { id: id.to_owned(), ..Customer::default() });
            let numbers = vec!["010-1234-5678".to_owned()];
            let mut record = CustomerRecord { customer, numbers, ..CustomerRecord::default() };
            mask(&mut record);
            assert_eq!(record.numbers, ["010-****-5678"]);
            record.customer.unwrap_or_default().id
        };
        for id in ["number-0123456789abcdef", "number-0123456789abcdef-2", "number-0123456789abcdef-10"] {
            assert_eq!(masked(id), "number-********");
        }
        for id in [
            "7",
            "",
            "number-7",
            "number-0123456789abcdeg",
            "number-0123456789abcdef0",
            "number-0123456789abcdef-a",
        ] {
            assert_eq!(masked(id), id);
        }
    }
}
