//! A client of ingest-svc's `StoreService`.

use ringpad_proto::v1::{
    DeleteStoreRequest, ListStoresRequest, Store, UpsertStoreRequest, UpsertStoreResponse,
    store_service_client::StoreServiceClient,
};
use ringpad_runtime::{Failure, settings::one_line};
use std::time::Duration;
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};

use crate::{endpoint::Endpoint, http_client::root, terminal::harmless};

/// Stores a page; the service's largest.
const PAGE: u32 = 1_000;
/// How long a connection, and each answer, may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The directory of stores at one ingest-svc.
pub(crate) struct Directory {
    endpoint: Endpoint,
    client: StoreServiceClient<Channel>,
    authorization: Option<MetadataValue<Ascii>>,
}

impl Directory {
    /// Connects when it is first asked something.
    ///
    /// # Errors
    /// The token holds characters that no token has.
    pub(crate) fn new(endpoint: Endpoint, token: Option<&str>) -> Result<Self, Failure> {
        let uri = endpoint.join("/").map_err(|error| Failure::other(&endpoint, error))?;
        let channel = Channel::builder(uri).connect_timeout(PATIENCE).timeout(PATIENCE).connect_lazy();
        let authorization =
            token.map(|token| format!("Bearer {token}").parse::<MetadataValue<Ascii>>()).transpose();
        let authorization = authorization.map_err(|_| {
            Failure::Setting("INTERNAL_TOKEN: its value, not shown here, is no token".to_owned())
        })?;
        Ok(Self { endpoint, client: StoreServiceClient::new(channel), authorization })
    }

    /// All stores, by id.
    ///
    /// # Errors
    /// ingest-svc was not reached or refused.
    pub(crate) async fn list(&mut self) -> Result<Vec<Store>, Failure> {
        let mut stores = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = self.request(ListStoresRequest { page_size: PAGE, page_token });
            let page =
                self.client.list_stores(request).await.map_err(|status| self.failure(&status))?.into_inner();
            stores.extend(page.stores);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(stores);
            }
        }
    }

    /// Makes or replaces a store, or only says what that would give.
    ///
    /// # Errors
    /// The service's own, see `store.proto`.
    pub(crate) async fn upsert(
        &mut self,
        request: UpsertStoreRequest,
    ) -> Result<UpsertStoreResponse, Status> {
        let request = self.request(request);
        self.client.upsert_store(request).await.map(tonic::Response::into_inner)
    }

    /// Removes a store.
    ///
    /// # Errors
    /// There is none, or ingest-svc was not reached or refused.
    pub(crate) async fn remove(&mut self, id: &str) -> Result<(), Failure> {
        let request = self.request(DeleteStoreRequest { store_id: id.to_owned() });
        match self.client.delete_store(request).await {
            Ok(_) => Ok(()),
            Err(status) if status.code() == Code::NotFound => {
                Err(Failure::Other(format!("there is no store {:?}", harmless(id))))
            }
            Err(status) => Err(self.failure(&status)),
        }
    }

    /// What a failed call means to the person who ran the command.
    pub(crate) fn failure(&self, status: &Status) -> Failure {
        let said = one_line(&harmless(status.message()));
        let why = match status.code() {
            Code::Unauthenticated => "the internal gRPC wants another INTERNAL_TOKEN".to_owned(),
            Code::Unavailable => match std::error::Error::source(status) {
                Some(source) => format!("cannot reach ingest-svc: {}", root(source)),
                None => said,
            },
            _ if said.is_empty() => status.code().description().to_owned(),
            _ => said,
        };
        Failure::other(&self.endpoint, why)
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(authorization) = &self.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        request
    }
}
