//! Two writers on one database give what one gives: the transactions of both, done one after the other in SQLite, have the same answers,
//! events and calls.
//!
//! In which order they were done, the database says: each takes a number at its end, when it holds all its locks.

use std::collections::{BTreeMap, HashMap};

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use prost::Message;
use ringpad_proto::v1;
use tokio_postgres::Client;

use super::*;
use crate::{
    cdr::Record,
    log::{
        job::{Answered, Job, Work},
        tests::batches::Direct,
    },
    store::{StoreEntry, Upserted},
};

const NUMBER_TRANSACTIONS: &str = "
    CREATE TABLE transactions (
        number BIGSERIAL, session INTEGER DEFAULT pg_backend_pid(), id XID8 DEFAULT pg_current_xact_id());
    CREATE FUNCTION number_transaction() RETURNS TRIGGER LANGUAGE plpgsql AS
        'BEGIN INSERT INTO transactions DEFAULT VALUES; RETURN NULL; END';
    CREATE CONSTRAINT TRIGGER numbered AFTER UPDATE ON owners
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION number_transaction();
    CREATE CONSTRAINT TRIGGER numbered AFTER INSERT OR UPDATE OR DELETE ON stores
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION number_transaction();
    CREATE CONSTRAINT TRIGGER numbered AFTER INSERT OR UPDATE OR DELETE ON numbers
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION number_transaction();
";

const EMPTY: &str = "TRUNCATE stores, numbers, calls, events, callers, transactions";

const STORES: [&str; 2] = ["gangnam", "busan"];
/// Each store's, and nobody's.
const VIRTUAL_NUMBERS: [&str; 3] = ["050712345678", "050799999999", "050711111111"];
const LINES: [&str; 3] = ["025550001", "0515550001", "025559999"];
const CALLERS: [&str; 3] = ["", "01012345678", "01055556666"];
const BEGINNINGS: [&str; 3] = ["20261123142500", "20261123142600", "20261123180000"];
const ENDS: [&str; 4] = ["", "", "20261123142700", "20261123180100"];

/// What a writer does in one batch.
#[derive(Debug, Clone)]
enum Step {
    Live(Vec<Live>),
    /// The store gets this virtual number and line; of another store, too.
    Upsert(usize, usize, usize),
    Delete(usize),
}

#[derive(Debug, Clone)]
enum Live {
    /// Indexes: of its `seq`, virtual number and line (with 3 it has none), caller, beginning, end, and memo.
    Record(usize, usize, usize, usize, usize, usize, usize),
    /// Of one of the calls of the writer's earlier answers: the store that asks, and what is done.
    Act(prop::sample::Index, usize, usize),
}

fn live() -> impl Strategy<Value = Live> {
    let record = (0..3_usize, 0..4_usize, 0..4_usize, 0..3_usize, 0..3_usize, 0..4_usize, 0..2_usize);
    prop_oneof![
        4 => record.prop_map(|(seq, vn, ton, caller, begin, end, memo)| {
            // A record has one of the two.
            Live::Record(seq, if ton == 3 { vn.min(2) } else { vn }, ton, caller, begin, end, memo)
        }),
        1 => (any::<prop::sample::Index>(), 0..2_usize, 0..3_usize)
            .prop_map(|(call, store, action)| Live::Act(call, store, action)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => prop::collection::vec(live(), 1..4).prop_map(Step::Live),
        2 => (0..2_usize, 0..3_usize, 0..3_usize).prop_map(|(store, vn, ton)| Step::Upsert(store, vn, ton)),
        1 => (0..2_usize).prop_map(Step::Delete),
    ]
}

/// What a step hands over, with the ids of calls.
#[derive(Debug, Clone)]
enum Input {
    Record(Box<Record>),
    Act(ActionRequest),
    Upsert(StoreEntry),
    Delete(String),
}

#[derive(Debug, Clone, PartialEq)]
enum Outcome {
    Logged(Ingested),
    Acted(ActionOutcome),
    Stored(Upserted),
    Deleted(bool),
}

enum Expected {
    Logged(Answered<Ingested>),
    Acted(Answered<ActionOutcome>),
    Stored(Answered<Upserted>),
    Deleted(Answered<bool>),
}

impl Input {
    fn job(self) -> (Job, Expected) {
        match self {
            Self::Record(record) => {
                let (work, answered) = Work::new(*record);
                (Job::Ingest(work), Expected::Logged(answered))
            }
            Self::Act(request) => {
                let (work, answered) = Work::new(request);
                (Job::Act(work), Expected::Acted(answered))
            }
            Self::Upsert(entry) => {
                let (work, answered) = Work::new((entry, Moving::Allowed));
                (Job::Upsert(work), Expected::Stored(answered))
            }
            Self::Delete(id) => {
                let (work, answered) = Work::new(id);
                (Job::Delete(work), Expected::Deleted(answered))
            }
        }
    }
}

impl Expected {
    async fn outcome(self) -> Outcome {
        match self {
            Self::Logged(answered) => Outcome::Logged(answered.await.unwrap().unwrap()),
            Self::Acted(answered) => Outcome::Acted(answered.await.unwrap().unwrap()),
            Self::Stored(answered) => Outcome::Stored(answered.await.unwrap().unwrap()),
            Self::Deleted(answered) => Outcome::Deleted(answered.await.unwrap().unwrap()),
        }
    }
}

async fn done(log: &mut Direct, inputs: &[Input]) -> Vec<Outcome> {
    let (jobs, expected): (Vec<_>, Vec<_>) = inputs.iter().cloned().map(Input::job).unzip();
    log.commit(jobs).await;
    let mut outcomes = Vec::new();
    for expected in expected {
        outcomes.push(expected.outcome().await);
    }
    outcomes
}

fn entry(id: usize, vn: usize, ton: usize) -> Input {
    let international = |number: &str| format!("+82{}", &number[1..]);
    Input::Upsert(store(STORES[id], &international(VIRTUAL_NUMBERS[vn]), &international(LINES[ton])))
}

impl Live {
    /// `known`: the calls that pads may know by then.
    fn input(&self, known: &[Uuid], number: u128) -> Input {
        match self {
            Self::Record(seq, vn, ton, caller, begin, end, memo) => {
                // A call does not end before it begins.
                let end = ENDS[if *end > 1 { (*end).max(begin + 1) } else { *end }];
                let memo = ["", "세차"][*memo];
                let mut parameters = vec![
                    ("seq", ["a", "b", "c"][*seq]),
                    ("sdt", BEGINNINGS[*begin]),
                    ("fromn", CALLERS[*caller]),
                    ("edt", end),
                    ("memo", memo),
                ];
                parameters.extend(VIRTUAL_NUMBERS.get(*vn).map(|number| ("vn", *number)));
                parameters.extend(LINES.get(*ton).map(|number| ("ton", *number)));
                Input::Record(Box::new(record(&parameters)))
            }
            Self::Act(call, store, action) => Input::Act(ActionRequest {
                store_id: STORES[*store].to_owned(),
                call_id: if known.is_empty() { Uuid::nil() } else { *call.get(known) },
                pad: ActingPad { id: format!("pad-{number}"), name: String::new() },
                action: [Action::Claim, Action::Close, Action::Note(number.to_string(), None)][*action]
                    .clone(),
                request_id: Uuid::from_u128(number),
                received_at: jiff::Timestamp::UNIX_EPOCH,
            }),
        }
    }
}

/// A transaction with its number.
type Numbered = (i64, Vec<(Input, Outcome)>);

/// One of the two writers.
struct Writer {
    log: Direct,
    /// Reads the numbers of its transactions.
    client: Client,
    session: i32,
}

impl Writer {
    /// The numbers of the transactions after this one.
    async fn numbers_after(&self, last: &mut i64) -> Vec<i64> {
        let select = "SELECT min(number), max(number) FROM transactions WHERE session = $1 AND number > $2
                      GROUP BY id ORDER BY 1";
        let rows = self.client.query(select, &[&self.session, last]).await.unwrap();
        *last = rows.last().map_or(*last, |row| row.get(1));
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Does the steps, and returns its transactions.
    async fn run(&mut self, which: u128, steps: &[Step]) -> Vec<Numbered> {
        let (mut last, mut known, mut transactions) = (0, Vec::new(), Vec::new());
        self.numbers_after(&mut last).await;
        for (index, step) in steps.iter().enumerate() {
            let number = |job: usize| which * 10_000 + index as u128 * 100 + job as u128 + 1;
            let inputs: Vec<_> = match step {
                Step::Live(live) => {
                    live.iter().enumerate().map(|(job, live)| live.input(&known, number(job))).collect()
                }
                Step::Upsert(id, vn, ton) => vec![entry(*id, *vn, *ton)],
                Step::Delete(id) => vec![Input::Delete(STORES[*id].to_owned())],
            };
            let outcomes = done(&mut self.log, &inputs).await;
            known.extend(outcomes.iter().filter_map(|outcome| match outcome {
                Outcome::Logged(ingested) => Some(ingested.call_id),
                _ => None,
            }));
            let jobs: Vec<_> = inputs.into_iter().zip(outcomes).collect();
            match &*self.numbers_after(&mut last).await {
                // A change of a store that changes nothing writes nothing.
                [] => {}
                [number] => transactions.push((*number, jobs)),
                numbers => {
                    assert_eq!(numbers.len(), jobs.len(), "one transaction, or one for each job");
                    transactions.extend(numbers.iter().copied().zip(jobs.into_iter().map(|job| vec![job])));
                }
            }
        }
        transactions
    }
}

/// Which call of SQLite is which of PostgreSQL.
#[derive(Default)]
struct SameCalls(HashMap<Uuid, Uuid>);

impl SameCalls {
    fn of(&self, id: Uuid) -> Uuid {
        self.0.get(&id).copied().unwrap_or(id)
    }

    fn call(&self, bytes: &[u8]) -> v1::Call {
        self.known(v1::Call::decode(bytes).unwrap())
    }

    fn known(&self, mut call: v1::Call) -> v1::Call {
        call.id = self.of(call.id.parse().unwrap()).to_string();
        call
    }

    fn update(&self, bytes: &[u8]) -> v1::Update {
        let update = update(bytes);
        v1::Update { call: update.call.map(|call| self.known(call)), ..update }
    }

    /// Whether SQLite's outcome is PostgreSQL's. A record's call has to be the same from then on.
    fn are_equal(&mut self, ours: &Outcome, theirs: &Outcome) -> bool {
        match (ours, theirs) {
            (Outcome::Logged(ours), Outcome::Logged(theirs)) => {
                let is_taken = self.0.values().any(|taken| *taken == theirs.call_id);
                if !is_taken && !self.0.contains_key(&ours.call_id) {
                    self.0.insert(ours.call_id, theirs.call_id);
                }
                Ingested { call_id: self.of(ours.call_id), ..*ours } == *theirs
            }
            (Outcome::Acted(ActionOutcome::Done(ours)), Outcome::Acted(ActionOutcome::Done(theirs))) => {
                self.call(ours) == v1::Call::decode(theirs.as_slice()).unwrap()
            }
            _ => ours == theirs,
        }
    }
}

type Events = BTreeMap<(String, u64), v1::Update>;

/// What was handed to the relay. Each store's position once.
fn handed_over<'a>(logs: impl IntoIterator<Item = &'a mut Direct>, same: &SameCalls) -> Events {
    let mut events = Events::new();
    for event in logs.into_iter().flat_map(|log| std::mem::take(&mut log.events)) {
        let update = same.update(&event.bytes);
        let twice = events.insert((event.store_id.clone(), event.position), update);
        assert!(twice.is_none(), "{} {} twice", event.store_id, event.position);
    }
    events
}

/// What the log answers about a store: its position, events and calls.
async fn kept(log: &Direct, store: &str, same: &SameCalls) -> (Option<u64>, Vec<v1::Update>, Vec<v1::Call>) {
    let cursor = Cursor { store_id: store.to_owned(), after: 0 };
    let missed = log.reader.missed(vec![cursor], 1_000, None).await.unwrap().stores.remove(0);
    let events = missed.events.iter().map(|(_, bytes)| same.update(bytes)).collect();
    let query = CallQuery { store_id: store.to_owned(), ..any_call() };
    let page = log.reader.calls(query).await.unwrap();
    let calls = page.iter().flat_map(|page| &page.calls);
    let mut calls: Vec<_> = calls.map(|call| same.call(call)).collect();
    calls.sort_by(|one, other| one.id.cmp(&other.id));
    (missed.position, events, calls)
}

/// Does the transactions in SQLite, with the same outcomes.
async fn replay(model: &mut Direct, transactions: &[Numbered]) -> Result<SameCalls, TestCaseError> {
    let mut same = SameCalls::default();
    for (_, jobs) in transactions {
        let ours = |id: Uuid| same.0.iter().find(|(_, theirs)| **theirs == id).map_or(id, |(ours, _)| *ours);
        let own_ids = |input: &Input| match input {
            Input::Act(request) => {
                Input::Act(ActionRequest { call_id: ours(request.call_id), ..request.clone() })
            }
            input => input.clone(),
        };
        let inputs: Vec<_> = jobs.iter().map(|(input, _)| own_ids(input)).collect();
        for (ours, (_, theirs)) in done(model, &inputs).await.iter().zip(jobs) {
            prop_assert!(same.are_equal(ours, theirs), "{ours:?} and {theirs:?} in {transactions:?}");
        }
    }
    Ok(same)
}

/// Both writers do their steps at once; then SQLite does their transactions one after the other.
async fn check(writers: &mut [Writer; 2], steps: &[Vec<Step>; 2]) -> Result<(), TestCaseError> {
    let [one, other] = writers;
    one.client.batch_execute(EMPTY).await.unwrap();
    // Of a case that failed.
    one.log.events.clear();
    other.log.events.clear();
    let begin = [Step::Upsert(0, 0, 0), Step::Upsert(1, 1, 1)];
    let mut transactions = one.run(9, &begin).await;
    let (first, second) = tokio::join!(one.run(1, &steps[0]), other.run(2, &steps[1]));
    transactions.extend(first.into_iter().chain(second));
    transactions.sort_by_key(|(number, _)| *number);

    let place = Place::new(Backend::Sqlite).await;
    let mut model = Direct::open(&place.database()).await;
    let same = replay(&mut model, &transactions).await?;
    let events = handed_over([&mut one.log, &mut other.log], &SameCalls::default());
    let expected = handed_over([&mut model], &same);
    prop_assert_eq!(&events, &expected);
    for store in STORES {
        let expected = kept(&model, store, &same).await;
        prop_assert_eq!(kept(&other.log, store, &SameCalls::default()).await, expected);
    }
    let gapless = "SELECT count(*)::bigint, coalesce(bool_and(gapless), true) FROM events, LATERAL (
        SELECT count(*) = max(sequence) - min(sequence) + 1 AS gapless FROM events AS own WHERE own.owner = events.owner) AS own";
    let row = one.client.query_one(gapless, &[]).await.unwrap();
    prop_assert_eq!((row.get(0), row.get(1)), (events.len() as i64, true));
    model.writer.close().await;
    Ok(())
}

async fn writer(server: &PostgresServer, name: &str) -> Writer {
    let mut log = Direct::open(&Database::Postgres(server.url(name).parse().unwrap())).await;
    let client = server.connect(name).await;
    // Its first batch enters it among the owners.
    log.batch(Job::Probe, vec![()]).await;
    Writer { log, client, session: 0 }
}

#[test]
fn any_interleaving_of_two_writers_gives_what_one_gives() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut writers = runtime.block_on(async {
        let server = PostgresServer::shared().await;
        let name = server.create_database().await;
        let mut writers = [writer(server, &name).await, writer(server, &name).await];
        writers[0].client.batch_execute(NUMBER_TRANSACTIONS).await.unwrap();
        for writer in &mut writers {
            writer.log.batch(Job::Probe, vec![()]).await;
            let select = "SELECT session FROM transactions ORDER BY number DESC LIMIT 1";
            writer.session = writer.client.query_one(select, &[]).await.unwrap().get(0);
        }
        writers
    });
    let configuration =
        Config { cases: 32, failure_persistence: None, max_shrink_iters: 64, ..Config::default() };
    let steps = || prop::collection::vec(step(), 1..6);
    let writers = std::cell::RefCell::new(&mut writers);
    TestRunner::new(configuration)
        .run(&[steps(), steps()], |steps| runtime.block_on(check(&mut writers.borrow_mut(), &steps)))
        .unwrap();
}
