//! `CustomerService`: the customers of the stores.
//!
//! An import of any size has a bounded part of it in memory: each message is parsed and written before the next one is read. So a
//! customer with a fault does not hold up the others.

mod read;

use futures_util::StreamExt;
use prost::Message;
use ringpad_proto::v1::{
    CustomerFault, CustomerRecord, DeleteCustomerRequest, DeleteCustomerResponse, ListCustomersRequest,
    ListCustomersResponse, UpsertCustomersRequest, UpsertCustomersResponse,
    customer_service_server::CustomerService,
};
use ringpad_runtime::{CancellationToken, ErrorChain, grpc};
use tokio::{
    task::spawn_blocking,
    time::{Instant, timeout, timeout_at},
};
use tonic::{Request, Response, Status, Streaming, async_trait};

use self::read::{Ids, ParsedCustomer};
use super::{
    faults::{FaultBudget, number},
    parts::parts,
    status::{faulty, unavailable},
};
use crate::{
    capacity::{GrpcCapacity, ImportCapacity},
    customer::{CustomerChange, CustomerEntry, Deleted},
    log::{CustomerImport, Log},
};

/// The server of `CustomerService`.
pub(super) struct Customers {
    log: Log,
    capacity: GrpcCapacity,
    leaving: CancellationToken,
}

impl Customers {
    /// The service for the customers in a log. An import ends when the process is `leaving`.
    pub(super) fn new(log: Log, capacity: GrpcCapacity, leaving: CancellationToken) -> Self {
        Self { log, capacity, leaving }
    }
}

#[async_trait]
impl CustomerService for Customers {
    async fn upsert_customers(
        &self,
        request: Request<Streaming<UpsertCustomersRequest>>,
    ) -> Result<Response<UpsertCustomersResponse>, Status> {
        let mut upsert = Upsert::new(&self.log, self.capacity.import);
        let work = upsert.run(request.into_inner());
        match self.leaving.run_until_cancelled(work).await {
            Some(done) => done?,
            None => {
                let how_far = upsert.how_far();
                return Err(grpc::unavailable(format!("ingest-svc is shutting down; try again{how_far}")));
            }
        }
        Ok(Response::new(upsert.answer))
    }

    async fn list_customers(
        &self,
        request: Request<ListCustomersRequest>,
    ) -> Result<Response<ListCustomersResponse>, Status> {
        let ListCustomersRequest { store_id, page_size, page_token } = request.into_inner();
        let lists = self.capacity.lists;
        let size = lists.customers.limit(page_size);
        let found = self.log.reader().customers(store_id.clone(), page_token, size + 1).await;
        let found = found.map_err(unavailable)?.ok_or_else(|| no_store(&store_id))?;
        Ok(Response::new(page(found, size as usize, lists.customer_bytes)))
    }

    async fn delete_customer(
        &self,
        request: Request<DeleteCustomerRequest>,
    ) -> Result<Response<DeleteCustomerResponse>, Status> {
        let DeleteCustomerRequest { store_id, customer_id } = request.into_inner();
        let deleted = self.log.delete_customer(store_id.clone(), customer_id.clone()).await;
        match deleted.map_err(unavailable)? {
            Deleted::Done => Ok(Response::new(DeleteCustomerResponse {})),
            Deleted::NoSuchStore => Err(no_store(&store_id)),
            Deleted::NoSuchCustomer => {
                Err(Status::not_found(format!("store {store_id:?} has no customer {customer_id:?}")))
            }
        }
    }
}

fn no_store(id: &str) -> Status {
    Status::not_found(format!("there is no store {id:?}"))
}

/// As many customers as an answer may have, and about as many bytes. There is a next page if not all are in it.
fn page(found: Vec<CustomerEntry>, size: usize, most_bytes: usize) -> ListCustomersResponse {
    let (all, mut bytes) = (found.len(), 0);
    let mut customers: Vec<CustomerRecord> = Vec::new();
    for entry in found.into_iter().take(size) {
        let record = read::message(entry);
        bytes += record.encoded_len();
        if bytes > most_bytes && !customers.is_empty() {
            break;
        }
        customers.push(record);
    }
    let last = customers.last().and_then(|record| record.customer.as_ref()).filter(|_| customers.len() < all);
    let next_page_token = last.map(|customer| customer.id.clone()).unwrap_or_default();
    ListCustomersResponse { customers, next_page_token }
}

/// One stream of customers.
struct Upsert<'a> {
    log: &'a Log,
    capacity: ImportCapacity,
    /// `None` until the first message.
    store_id: Option<String>,
    validate_only: bool,
    ids: Ids,
    budget: FaultBudget,
    /// Customers so far.
    count: usize,
    answer: UpsertCustomersResponse,
}

impl<'a> Upsert<'a> {
    fn new(log: &'a Log, capacity: ImportCapacity) -> Self {
        Self {
            log,
            capacity,
            store_id: None,
            validate_only: false,
            ids: Ids::default(),
            budget: FaultBudget(capacity.fault_bytes),
            count: 0,
            answer: UpsertCustomersResponse::default(),
        }
    }

    /// Reads the stream to its end, and writes what it has.
    async fn run(&mut self, mut messages: Streaming<UpsertCustomersRequest>) -> Result<(), Status> {
        let ImportCapacity { next_message, all_messages, .. } = self.capacity;
        let end = Instant::now() + all_messages;
        loop {
            let next = timeout_at(end, timeout(next_message, messages.next())).await;
            let next = next.map_err(|_| self.late(format!("{} min", all_messages.as_secs() / 60)))?;
            let next =
                next.map_err(|_| self.late(format!("{} s without a message", next_message.as_secs())))?;
            let Some(message) = next else { break };
            self.take(message.map_err(grpc::unreadable)?).await?;
        }
        match self.store_id {
            Some(_) => Ok(()),
            None => Err(faulty("store_id", "a store's id is expected in the first message")),
        }
    }

    fn late(&self, after: String) -> Status {
        Status::deadline_exceeded(format!("the stream was not complete after {after}{}", self.how_far()))
    }

    /// What was done before an error, for its text.
    fn how_far(&self) -> String {
        if self.validate_only {
            return String::new();
        }
        let UpsertCustomersResponse { created, changed, unchanged, .. } = self.answer;
        format!("; {} customers are imported, running it again does no harm", created + changed + unchanged)
    }

    async fn take(&mut self, message: UpsertCustomersRequest) -> Result<(), Status> {
        let UpsertCustomersRequest { store_id, customers, validate_only } = message;
        let is_first = self.store_id.is_none();
        if is_first {
            self.validate_only = validate_only;
            self.store_id = Some(store_id);
        }
        let first = self.count;
        self.count += customers.len();
        if self.count > self.capacity.customers {
            let most = self.capacity.customers;
            return Err(Status::resource_exhausted(format!(
                "{most} customers at most are expected in one stream{}",
                self.how_far()
            )));
        }
        let parsed = self.parse(customers).await?;
        let entries = self.list_faults(first, parsed);
        // Also without a customer: it is found out whether there is such a store.
        let parts = if is_first && entries.is_empty() {
            vec![entries.as_slice()]
        } else {
            parts(&entries, self.capacity.commit_rows, CustomerEntry::weight)
        };
        for part in parts {
            self.write(part.to_vec()).await?;
        }
        Ok(())
    }

    /// Parses on another thread: it takes milliseconds.
    async fn parse(&mut self, customers: Vec<CustomerRecord>) -> Result<Vec<ParsedCustomer>, Status> {
        let (mut ids, mut budget) =
            (std::mem::take(&mut self.ids), std::mem::replace(&mut self.budget, FaultBudget(0)));
        let now = jiff::Timestamp::now();
        let work = spawn_blocking(move || {
            let parse = |customer| read::parse(customer, &mut ids, now, &mut budget);
            let parsed = customers.into_iter().map(parse).collect();
            (parsed, ids, budget)
        });
        let (parsed, ids, budget) =
            work.await.map_err(|_| Status::internal("parsing the customers panicked"))?;
        (self.ids, self.budget) = (ids, budget);
        Ok(parsed)
    }

    /// Takes the faults into the answer; returns the customers without one. `first`: the entry of the first customer.
    fn list_faults(&mut self, first: usize, parsed: Vec<ParsedCustomer>) -> Vec<CustomerEntry> {
        let mut entries = Vec::with_capacity(parsed.len());
        for (entry, customer) in (first..).zip(parsed) {
            match customer {
                ParsedCustomer::Valid(customer) => entries.push(customer),
                ParsedCustomer::Faulty { id, faults, left_out } => {
                    self.answer.failed += 1;
                    self.answer.faults_left_out += number(left_out);
                    self.answer.faults.extend(faults.into_iter().map(|fault| CustomerFault {
                        entry: number(entry),
                        customer_id: id.clone(),
                        field: fault.field,
                        description: fault.description,
                    }));
                }
            }
        }
        entries
    }

    /// Writes a part, or only looks what would change.
    async fn write(&mut self, entries: Vec<CustomerEntry>) -> Result<(), Status> {
        let store_id = self.store_id.clone().unwrap_or_default();
        let import = CustomerImport { store_id: store_id.clone(), entries };
        let changes = if self.validate_only {
            self.log.reader().plan_customers(import).await
        } else {
            self.log.import_customers(import).await
        };
        let changes = changes
            .map_err(|error| grpc::unavailable(format!("{}{}", ErrorChain(&error), self.how_far())))?
            .ok_or_else(|| no_store(&store_id))?;
        for change in changes {
            let count = match change {
                CustomerChange::Created => &mut self.answer.created,
                CustomerChange::Changed => &mut self.answer.changed,
                CustomerChange::Unchanged => &mut self.answer.unchanged,
            };
            *count += 1;
        }
        Ok(())
    }
}
