//! `StoreService`: the directory of stores.

use ringpad_proto::v1::{
    DeleteStoreRequest, DeleteStoreResponse, ListStoresRequest, ListStoresResponse, Store,
    UpsertStoreRequest, UpsertStoreResponse, store_service_server::StoreService,
};
use tonic::{Request, Response, Status, async_trait};
use tonic_types::{ErrorDetails, StatusExt};

use super::unavailable;
use crate::{
    log::{Log, Moving, NumberKind, OwnedNumber, StoreEntry, Upserted, Validate},
    phone::{Called, PhoneNumber},
};

/// Characters of a store's name at most.
const NAME: usize = 100;
/// Characters of a store's id at most.
const ID: usize = 64;
/// Numbers of one store at most.
const NUMBERS: usize = 1_000;
/// Stores in one answer at most, and by default.
const PAGE: (u32, u32) = (1_000, 100);

/// See the module's text.
pub(super) struct Stores {
    pub(super) log: Log,
}

#[async_trait]
impl StoreService for Stores {
    async fn upsert_store(
        &self,
        request: Request<UpsertStoreRequest>,
    ) -> Result<Response<UpsertStoreResponse>, Status> {
        let UpsertStoreRequest { store, move_numbers, validate_only } = request.into_inner();
        let entry = parse(store.unwrap_or_default())?;
        let moving = if move_numbers { Moving::Allowed } else { Moving::Refused };
        let validate = if validate_only { Validate::Only } else { Validate::AndStore };
        let upserted = self.log.upsert_store(entry.clone(), moving, validate).await.map_err(unavailable)?;
        match upserted {
            Upserted::Stored(created) => {
                Ok(Response::new(UpsertStoreResponse { store: Some(message(entry)), created }))
            }
            Upserted::Conflicts(conflicts) => {
                let mut details = ErrorDetails::new();
                for conflict in conflicts {
                    let owned = &entry.numbers[conflict.index];
                    details.add_bad_request_violation(
                        field_of(&entry, conflict.index),
                        format!(
                            "{} belongs to store {:?}; set move_numbers to take it away",
                            masked(&owned.display),
                            conflict.owner
                        ),
                    );
                }
                Err(Status::with_error_details(
                    tonic::Code::FailedPrecondition,
                    "numbers belong to other stores",
                    details,
                ))
            }
        }
    }

    async fn list_stores(
        &self,
        request: Request<ListStoresRequest>,
    ) -> Result<Response<ListStoresResponse>, Status> {
        let ListStoresRequest { page_size, page_token } = request.into_inner();
        let (most, usual) = PAGE;
        let size = if page_size == 0 { usual } else { page_size.min(most) };
        let mut entries = self.log.reader().stores(page_token, size + 1).await.map_err(unavailable)?;
        let mut next_page_token = String::new();
        if entries.len() > size as usize {
            entries.truncate(size as usize);
            next_page_token = entries.last().map(|entry| entry.id.clone()).unwrap_or_default();
        }
        let stores = entries.into_iter().map(message).collect();
        Ok(Response::new(ListStoresResponse { stores, next_page_token }))
    }

    async fn delete_store(
        &self,
        request: Request<DeleteStoreRequest>,
    ) -> Result<Response<DeleteStoreResponse>, Status> {
        let id = request.into_inner().store_id;
        if self.log.delete_store(id.clone()).await.map_err(unavailable)? {
            Ok(Response::new(DeleteStoreResponse {}))
        } else {
            Err(Status::not_found(format!("there is no store {id:?}")))
        }
    }
}

/// A store past the edge, or all its faults.
fn parse(store: Store) -> Result<StoreEntry, Status> {
    let Store { id, name, virtual_numbers, lines } = store;
    let mut details = ErrorDetails::new();
    let id_is_right = (1..=ID).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if !id_is_right {
        details.add_bad_request_violation(
            "store.id",
            format!("{id:?} is no store id: 1–{ID} characters of A–Z a–z 0–9 . _ - are expected"),
        );
    }
    let name = name.trim();
    if !(1..=NAME).contains(&name.chars().count()) || name.chars().any(char::is_control) {
        details.add_bad_request_violation(
            "store.name",
            format!("a name of 1–{NAME} printable characters is expected"),
        );
    }
    if virtual_numbers.len() + lines.len() > NUMBERS {
        details.add_bad_request_violation(
            "store.virtual_numbers",
            format!("{NUMBERS} numbers at most are expected"),
        );
    }
    let mut numbers: Vec<OwnedNumber> = Vec::new();
    let virtual_numbers = virtual_numbers.iter().enumerate();
    let virtual_numbers = virtual_numbers.map(|(index, text)| (NumberKind::VirtualNumber, index, text));
    let lines = lines.iter().enumerate().map(|(index, text)| (NumberKind::Line, index, text));
    for (kind, index, text) in virtual_numbers.chain(lines) {
        match PhoneNumber::parse(text) {
            Some(number) => {
                let owned =
                    OwnedNumber { kind, number: number.e164().to_owned(), display: number.national() };
                if !numbers.contains(&owned) {
                    numbers.push(owned);
                }
            }
            None => {
                details.add_bad_request_violation(
                    format!("store.{}[{index}]", kind.field()),
                    format!(
                        "{} is no phone number; digits are expected, e.g. 0507-1234-5678",
                        Called::parse(text)
                    ),
                );
            }
        }
    }
    if details.has_bad_request_violations() {
        return Err(Status::with_error_details(tonic::Code::InvalidArgument, "the store is faulty", details));
    }
    Ok(StoreEntry { id, name: name.to_owned(), numbers })
}

fn message(entry: StoreEntry) -> Store {
    let of = |kind| {
        let owned = entry.numbers.iter().filter(move |owned| owned.kind == kind);
        owned.map(|owned| owned.display.clone()).collect()
    };
    Store {
        virtual_numbers: of(NumberKind::VirtualNumber),
        lines: of(NumberKind::Line),
        id: entry.id,
        name: entry.name,
    }
}

fn masked(display: &str) -> String {
    Called::parse(display).to_string()
}

/// `store.virtual_numbers[0]`.
fn field_of(entry: &StoreEntry, index: usize) -> String {
    let kind = entry.numbers[index].kind;
    let before = entry.numbers[..index].iter().filter(|owned| owned.kind == kind).count();
    format!("store.{}[{before}]", kind.field())
}
