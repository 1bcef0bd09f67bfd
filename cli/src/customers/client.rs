//! A client of ingest-svc's `CustomerService`.

use futures_util::Stream;
use ringpad_proto::v1::{
    CustomerRecord, DeleteCustomerRequest, ListCustomersRequest, UpsertCustomersRequest,
    UpsertCustomersResponse, customer_service_client::CustomerServiceClient,
};
use ringpad_runtime::Failure;
use tonic::{Code, Status, transport::Channel};

use crate::{internal::Internal, terminal::harmless};

/// Customers a page; the service's largest.
const PAGE: u32 = 1_000;

/// The customers at one ingest-svc.
pub(super) struct CustomerClient {
    internal: Internal,
    client: CustomerServiceClient<Channel>,
}

impl CustomerClient {
    pub(super) fn new(internal: Internal) -> Self {
        let client = CustomerServiceClient::new(internal.channel());
        Self { internal, client }
    }

    /// All customers of a store, by id.
    pub(super) async fn list(&mut self, store: &str) -> Result<Vec<CustomerRecord>, Failure> {
        let (mut customers, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = ListCustomersRequest { store_id: store.to_owned(), page_size: PAGE, page_token };
            let request = self.internal.request(request);
            let page = self.client.list_customers(request).await;
            let page = page.map_err(|status| self.failure(&status))?.into_inner();
            customers.extend(page.customers);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(customers);
            }
        }
    }

    /// Makes customers, or replaces what is known of them. Their faults are in the answer.
    pub(super) async fn upsert(
        &mut self,
        messages: impl Stream<Item = UpsertCustomersRequest> + Send + 'static,
    ) -> Result<UpsertCustomersResponse, Failure> {
        let request = self.internal.request(messages);
        let answer = self.client.upsert_customers(request).await;
        Ok(answer.map_err(|status| self.failure(&status))?.into_inner())
    }

    /// Removes a customer of a store.
    pub(super) async fn remove(&mut self, store: &str, id: &str) -> Result<(), Failure> {
        let request = DeleteCustomerRequest { store_id: store.to_owned(), customer_id: id.to_owned() };
        let request = self.internal.request(request);
        let answer = self.client.delete_customer(request).await;
        answer.map(drop).map_err(|status| self.failure(&status))
    }

    fn failure(&self, status: &Status) -> Failure {
        match status.code() {
            // It says which of both is missing.
            Code::NotFound => Failure::Other(harmless(status.message()).into()),
            _ => self.internal.failure(status),
        }
    }
}
