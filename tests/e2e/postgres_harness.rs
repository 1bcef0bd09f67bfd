//! The harness's PostgreSQL servers do what the other tests need of them.

use ringpad_tests::postgres::{PostgresServer, Replication};
use ringpad_tests::wait::{SOON, must, until, within};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio_postgres::Client;

async fn execute(client: &Client, statement: &str) {
    must(statement, client.batch_execute(statement).await);
}

async fn rows(client: &Client) -> i64 {
    must("the rows", client.query_one("SELECT count(*) FROM kept", &[]).await).get(0)
}

#[tokio::test]
async fn a_server_is_stopped_killed_and_started_again_with_its_data() {
    let mut server = PostgresServer::start().await;
    let database = server.create_database().await;
    let client = server.connect(&database).await;
    execute(&client, "CREATE TABLE kept (row INTEGER); INSERT INTO kept VALUES (1)").await;
    server.stop().await;
    server.resume().await;

    let client = server.connect(&database).await;
    execute(&client, "INSERT INTO kept VALUES (2)").await;
    server.kill().await;
    assert!(client.query_one("SELECT 1", &[]).await.is_err(), "all processes are killed");
    server.resume().await;

    let client = server.connect(&database).await;
    assert_eq!(rows(&client).await, 2);
    server.freeze();
    let frozen = tokio::time::timeout(Duration::from_millis(300), rows(&client)).await;
    assert!(frozen.is_err(), "a frozen server does not answer");
    server.thaw();
    assert_eq!(within("an answer after a thaw", SOON, rows(&client)).await, 2);
}

#[tokio::test]
async fn a_promoted_synchronous_standby_has_every_commit() {
    let mut primary = PostgresServer::start().await;
    let database = primary.create_database().await;
    let standby = primary.standby(Replication::Synchronous).await;
    let client = primary.connect(&database).await;
    execute(&client, "CREATE TABLE kept (row INTEGER)").await;
    execute(&client, "INSERT INTO kept SELECT generate_series(1, 1000)").await;
    primary.kill().await;
    standby.promote().await;
    let client = standby.connect(&database).await;
    assert_eq!(rows(&client).await, 1_000);
    execute(&client, "INSERT INTO kept VALUES (0)").await;
}

#[tokio::test]
async fn an_asynchronous_standby_follows_and_does_not_hold_a_commit_up() {
    let primary = PostgresServer::shared().await;
    let database = primary.create_database().await;
    let standby = primary.standby(Replication::Asynchronous).await;
    standby.freeze();
    let client = primary.connect(&database).await;
    within(
        "a commit",
        SOON,
        execute(&client, "CREATE TABLE kept (row INTEGER); INSERT INTO kept VALUES (1)"),
    )
    .await;
    standby.thaw();
    let copy = standby.connect(&database).await;
    until("the row on the standby", SOON, async || {
        let row = copy.query_opt("SELECT row FROM kept", &[]).await.ok()??;
        (row.get::<_, i32>(0) == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_servers_clock_is_put_ahead_and_right_again() {
    let server = PostgresServer::start_on_machine().await;
    let client = server.connect("postgres").await;
    let ahead = async || {
        let now = "SELECT extract(epoch FROM clock_timestamp())::bigint";
        let theirs: i64 = must(now, client.query_one(now, &[]).await).get(0);
        let ours = must("a time", SystemTime::now().duration_since(UNIX_EPOCH)).as_secs();
        theirs - ours.cast_signed()
    };
    server.machine().set_clock(7_200_000);
    assert!((7_199..7_260).contains(&ahead().await));
    server.machine().set_clock(0);
    assert!((-1..60).contains(&ahead().await));
}
