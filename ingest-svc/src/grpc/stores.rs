//! `StoreService`: the directory of stores.

mod import;
mod read;

use ringpad_proto::v1::{
    DeleteStoreRequest, DeleteStoreResponse, FieldViolation, ImportStoresRequest, ImportStoresResponse,
    ListStoresRequest, ListStoresResponse, Store, UpsertStoreRequest, UpsertStoreResponse,
    store_service_server::StoreService,
};
use ringpad_runtime::CancellationToken;
use tonic::{Code, Request, Response, Status, Streaming, async_trait};
use tonic_types::{ErrorDetails, StatusExt};

use self::import::Importer;
use super::{faults::FaultBudget, status::unavailable};
use crate::{
    capacity::GrpcCapacity,
    log::Log,
    store::{Moving, NumberKind, StoreEntry, Upserted},
};

/// The server of `StoreService`.
pub(super) struct Stores {
    log: Log,
    capacity: GrpcCapacity,
    importer: Importer,
}

impl Stores {
    /// The service for the stores of a log. An import ends when the process is `leaving`.
    pub(super) fn new(log: Log, capacity: GrpcCapacity, leaving: CancellationToken) -> Self {
        Self { importer: Importer::new(log.clone(), capacity.import, leaving), log, capacity }
    }
}

#[async_trait]
impl StoreService for Stores {
    async fn upsert_store(
        &self,
        request: Request<UpsertStoreRequest>,
    ) -> Result<Response<UpsertStoreResponse>, Status> {
        let UpsertStoreRequest { store, move_numbers, validate_only } = request.into_inner();
        let mut budget = FaultBudget(self.capacity.fault_bytes);
        let parsed = read::parse(store.unwrap_or_default(), &mut budget);
        if parsed.is_faulty() {
            return Err(refused(
                Code::InvalidArgument,
                "the store is not valid",
                parsed.faults,
                parsed.left_out,
            ));
        }
        let moving = if move_numbers { Moving::Allowed } else { Moving::Refused };
        let upserted = if validate_only {
            let planned = self.log.reader().plan_stores(vec![parsed.entry.clone()], moving).await;
            // There is one outcome for each store.
            planned.map(|mut planned| planned.remove(0))
        } else {
            self.log.upsert_store(parsed.entry.clone(), moving).await
        };
        match upserted.map_err(unavailable)? {
            Upserted::Stored(change) => {
                let store = Some(message(parsed.entry));
                Ok(Response::new(UpsertStoreResponse { store, created: change.is_new() }))
            }
            Upserted::Conflicts(conflicts) => {
                let faults = conflicts.iter().map(|conflict| parsed.owned_elsewhere(conflict));
                let faults: Vec<_> = faults.take_while(|fault| budget.take(fault)).collect();
                let left_out = conflicts.len() - faults.len();
                Err(refused(Code::FailedPrecondition, "numbers belong to other stores", faults, left_out))
            }
        }
    }

    async fn import_stores(
        &self,
        request: Request<Streaming<ImportStoresRequest>>,
    ) -> Result<Response<ImportStoresResponse>, Status> {
        self.importer.import(request.into_inner()).await.map(Response::new)
    }

    async fn list_stores(
        &self,
        request: Request<ListStoresRequest>,
    ) -> Result<Response<ListStoresResponse>, Status> {
        let ListStoresRequest { page_size, page_token } = request.into_inner();
        let size = self.capacity.lists.stores.limit(page_size);
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

/// A status with the faults as google.rpc.BadRequest.
fn refused(code: Code, message: &str, faults: Vec<FieldViolation>, left_out: usize) -> Status {
    let message = match left_out {
        0 => message.to_owned(),
        more => format!("{message}; {more} more faults are not listed"),
    };
    let mut details = ErrorDetails::new();
    for FieldViolation { field, description } in faults {
        details.add_bad_request_violation(format!("store.{field}"), description);
    }
    Status::with_error_details(code, message, details)
}

fn message(entry: StoreEntry) -> Store {
    let of = |kind| {
        let owned = entry.numbers.iter().filter(move |owned| owned.kind() == kind);
        owned.map(|owned| owned.display().to_owned()).collect()
    };
    Store {
        virtual_numbers: of(NumberKind::VirtualNumber),
        lines: of(NumberKind::Line),
        id: entry.id,
        name: entry.name,
    }
}
