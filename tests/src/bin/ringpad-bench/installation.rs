//! What is measured: the services and their log, on SQLite or on a PostgreSQL server that flushes each commit to the disk.

use ringpad_tests::{
    http::metric,
    postgres::PostgresServer,
    rabbit::RabbitNode,
    services::{IngestAddresses, Service, System},
    wait::must,
};
use tokio_postgres::Client;

use crate::SETTINGS;

/// As a server is by default, unlike those of the tests, which do not outlive the machine.
const DURABLE: &str = "
fsync = on
full_page_writes = on
shared_buffers = 128MB
";

/// Starts the server that all installations on PostgreSQL share, each with a database of its own.
pub(crate) async fn server() -> PostgresServer {
    PostgresServer::start_with(DURABLE).await
}

/// Some ingest-svc that share a log, and some replicas of push-svc.
pub(crate) struct Installation<'a> {
    pub(crate) name: &'static str,
    /// With the first ingest-svc.
    pub(crate) system: System,
    /// The other ingest-svc.
    pub(crate) others: Vec<(Service, IngestAddresses)>,
    /// Of the log, unless it is a SQLite file.
    pub(crate) server: Option<&'a PostgresServer>,
    database: Option<Client>,
}

impl<'a> Installation<'a> {
    /// With the log in a SQLite file.
    pub(crate) async fn on_sqlite(node: &RabbitNode, replicas: usize) -> Self {
        let system = System::start_with(&node.url(), replicas, &SETTINGS).await;
        Self { name: "SQLite", system, others: Vec::new(), server: None, database: None }
    }

    /// With the log in PostgreSQL, which `count` ingest-svc share.
    pub(crate) async fn on_postgres(
        node: &RabbitNode,
        server: &'a PostgresServer,
        count: usize,
        replicas: usize,
    ) -> Self {
        let database = server.create_database().await;
        let mut system = System::prepare(&node.url(), replicas, &SETTINGS);
        system.ingest.set("DATABASE_URL", &server.url(&database));
        let mut others: Vec<_> = (1..count).map(|_| system.another_ingest()).collect();
        let urls: Vec<_> =
            addresses(&system, &others).iter().map(|at| format!("http://{}", at.grpc)).collect();
        for replica in &mut system.push {
            replica.set("INGEST_URL", &urls.join(","));
        }
        system.ingest.start().await;
        for (service, _) in &mut others {
            service.start().await;
        }
        for replica in &mut system.push {
            replica.start().await;
        }
        let name = if count == 1 { "PostgreSQL, one ingest-svc" } else { "PostgreSQL, two ingest-svc" };
        let database = Some(server.connect(&database).await);
        Self { name, system, others, server: Some(server), database }
    }

    /// Where its ingest-svc are.
    pub(crate) fn ingest_at(&self) -> Vec<IngestAddresses> {
        addresses(&self.system, &self.others)
    }

    /// Bytes of write-ahead log that PostgreSQL has written so far, full pages included; 0 with SQLite.
    pub(crate) async fn wal(&self) -> f64 {
        let Some(database) = &self.database else { return 0.0 };
        let bytes = "SELECT (pg_current_wal_insert_lsn() - '0/0')::float8";
        must("the position of the write-ahead log", database.query_one(bytes, &[]).await).get(0)
    }

    /// Commits of all ingest-svc so far.
    pub(crate) async fn commits(&self) -> f64 {
        let mut commits = 0.0;
        for at in self.ingest_at() {
            commits += metric(at.admin, "ringpad_log_commit_seconds_count").await;
        }
        commits
    }

    /// Prints what each table takes, and how its rows were written; nothing with SQLite.
    pub(crate) async fn print_tables(&self) {
        let Some(database) = &self.database else { return };
        // What the sessions have counted is there after a second at most.
        let tables = "
            SELECT relname, n_tup_ins, n_tup_upd, n_tup_hot_upd, n_live_tup, n_dead_tup, autovacuum_count,
              pg_table_size(relid), pg_indexes_size(relid)
            FROM pg_stat_user_tables WHERE n_tup_ins > 0 ORDER BY pg_total_relation_size(relid) DESC";
        let rows = must("the tables", database.query(tables, &[]).await);
        println!("{}, its tables:", self.name);
        for row in rows {
            let table: &str = row.get(0);
            let [inserted, updated, hot, live, dead, vacuums, heap, indexes]: [i64; 8] =
                std::array::from_fn(|column| row.get(column + 1));
            println!(
                "  {table}: {inserted} rows inserted, {updated} updated ({hot} in place), {live} live and {dead} dead, {vacuums} vacuums, {} KiB and {} KiB of indexes",
                heap / 1024,
                indexes / 1024
            );
        }
    }
}

fn addresses(system: &System, others: &[(Service, IngestAddresses)]) -> Vec<IngestAddresses> {
    [system.ingest_at].into_iter().chain(others.iter().map(|(_, at)| *at)).collect()
}
