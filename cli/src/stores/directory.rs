//! A client of ingest-svc's `StoreService`.

use futures_util::Stream;
use ringpad_proto::v1::{
    DeleteStoreRequest, ImportStoresRequest, ImportStoresResponse, ListStoresRequest, Store,
    UpsertStoreRequest, UpsertStoreResponse, store_service_client::StoreServiceClient,
};
use ringpad_runtime::Failure;
use tonic::{Code, Status, transport::Channel};

use crate::{internal::Internal, terminal::harmless};

/// Stores a page; the service's largest.
const PAGE: u32 = 1_000;

/// The directory of stores at one ingest-svc.
pub(crate) struct StoreDirectory {
    internal: Internal,
    client: StoreServiceClient<Channel>,
}

impl StoreDirectory {
    /// The directory of an ingest-svc.
    pub(crate) fn new(internal: Internal) -> Self {
        let client = StoreServiceClient::new(internal.channel());
        Self { internal, client }
    }

    /// All stores, by id.
    ///
    /// # Errors
    /// ingest-svc was not reached or refused.
    pub(crate) async fn list(&mut self) -> Result<Vec<Store>, Failure> {
        let mut stores = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = self.internal.request(ListStoresRequest { page_size: PAGE, page_token });
            let page =
                self.client.list_stores(request).await.map_err(|status| self.failure(&status))?.into_inner();
            stores.extend(page.stores);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(stores);
            }
        }
    }

    /// Makes or replaces a store, or only checks it.
    ///
    /// # Errors
    /// The service's own, see `store.proto`.
    pub(crate) async fn upsert(
        &mut self,
        request: UpsertStoreRequest,
    ) -> Result<UpsertStoreResponse, Status> {
        let request = self.internal.request(request);
        self.client.upsert_store(request).await.map(tonic::Response::into_inner)
    }

    /// Makes or replaces many stores.
    ///
    /// # Errors
    /// The service's own, see `store.proto`. Faults of the stores are in the answer.
    pub(crate) async fn import(
        &mut self,
        messages: impl Stream<Item = ImportStoresRequest> + Send + 'static,
    ) -> Result<ImportStoresResponse, Status> {
        let request = self.internal.request(messages);
        self.client.import_stores(request).await.map(tonic::Response::into_inner)
    }

    /// Removes a store.
    ///
    /// # Errors
    /// There is none, or ingest-svc was not reached or refused.
    pub(crate) async fn remove(&mut self, id: &str) -> Result<(), Failure> {
        let request = self.internal.request(DeleteStoreRequest { store_id: id.to_owned() });
        match self.client.delete_store(request).await {
            Ok(_) => Ok(()),
            Err(status) if status.code() == Code::NotFound => {
                Err(Failure::Other(format!("there is no store {:?}", harmless(id)).into()))
            }
            Err(status) => Err(self.failure(&status)),
        }
    }

    /// What a failed call means to the user.
    pub(crate) fn failure(&self, status: &Status) -> Failure {
        self.internal.failure(status)
    }
}
