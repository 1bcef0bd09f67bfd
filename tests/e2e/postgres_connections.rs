//! How ingest-svc connects to PostgreSQL: TLS with a private authority, passwords, a plain role, PgBouncer.

use std::{collections::BTreeSet, fs, path::Path};

use ringpad_proto::v1::{ClaimCallRequest, pad_service_client::PadServiceClient};
use ringpad_tests::{
    certificates::{authority, certificate},
    http::channel,
    postgres::{Pooler, PostgresServer},
    provider::Provider,
    rabbit::RabbitNode,
    services::System,
    token::{Claims, with_token},
    wait::{SOON, must},
};

use crate::postgres::system;

/// It has each character that means something in a URL.
const PASSWORD: &str = "p@ss:w/o?r#d%41&=' 한";

/// A server whose role `ringpad` needs TLS and a password, and its database, in which that role has only a schema of its own.
async fn strict(directory: &Path) -> (PostgresServer, String) {
    authority(directory, "ca").await;
    authority(directory, "other").await;
    certificate(directory, "ca", "server", "DNS:db.example").await;
    // As providers' bundles are: several authorities in one file.
    let bundle = ["other.pem", "ca.pem"].map(|file| must(file, fs::read_to_string(directory.join(file))));
    must("a bundle", fs::write(directory.join("bundle.pem"), bundle.concat()));
    let access = "host all postgres 127.0.0.1/32 trust\nhostssl all ringpad 127.0.0.1/32 scram-sha-256\n";
    must("pg_hba.conf", fs::write(directory.join("pg_hba.conf"), access));
    PostgresServer::give(directory).await;
    let at = directory.display();
    let server = PostgresServer::start_with(&format!(
        "hba_file = '{at}/pg_hba.conf'\nssl = on\nssl_cert_file = '{at}/server.pem'\nssl_key_file = '{at}/server.key'\n\
         password_encryption = 'scram-sha-256'"
    ))
    .await;
    let database = server.create_database().await;
    let admin = server.connect(&database).await;
    let password = PASSWORD.replace('\'', "''");
    let statements = format!(
        "CREATE ROLE ringpad LOGIN NOSUPERUSER NOCREATEDB PASSWORD '{password}'; \
         REVOKE ALL ON SCHEMA public FROM PUBLIC; CREATE SCHEMA ringpad AUTHORIZATION ringpad"
    );
    must("a role", admin.batch_execute(&statements).await);
    (server, database)
}

/// The URL of the role `ringpad`.
fn url(server: &PostgresServer, database: &str, host: &str, parameters: &str) -> String {
    let password: String = PASSWORD.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let port = server.address().port();
    format!("postgres://ringpad:{password}@{host}:{port}/{database}?hostaddr=127.0.0.1&{parameters}")
}

/// Why ingest-svc does not start with that URL.
async fn refusal(url: &str) -> String {
    let mut system = System::prepare(&RabbitNode::shared().await.url(), 0, &[]);
    system.ingest.set("DATABASE_URL", url);
    system.ingest.spawn();
    assert_eq!(system.ingest.exit().await, 1);
    system.ingest.logged()
}

#[tokio::test]
async fn a_plain_role_with_a_password_makes_its_tables_over_tls() {
    let directory = must("a directory", tempfile::tempdir());
    let (server, database) = strict(directory.path()).await;
    let bundle = directory.path().join("bundle.pem").display().to_string();
    let admin = server.connect(&database).await;
    for (host, parameters) in [
        ("db.example", format!("sslmode=verify-full&sslrootcert={bundle}")),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={bundle}")),
        ("127.0.0.1", "sslmode=require&channel_binding=require".to_owned()),
        ("127.0.0.1", String::new()),
    ] {
        let mut system = system(&url(&server, &database, host, &parameters)).await;
        let store = system.store("gangnam").await;
        system.ring(&store).await;
        let encrypted = "SELECT count(*) > 0 AND bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
             WHERE usename = 'ringpad'";
        let encrypted = must("pg_stat_ssl", admin.query_one(encrypted, &[]).await);
        assert!(encrypted.get::<_, bool>(0), "{parameters}");
        system.ingest.stop().await;
        assert!(!system.ingest.logged().contains("p@ss"), "the password is in the log");
    }
}

#[tokio::test]
async fn a_server_that_is_not_the_right_one_is_refused_in_words() {
    let directory = must("a directory", tempfile::tempdir());
    let (server, database) = strict(directory.path()).await;
    let at = |file: &str| directory.path().join(file).display().to_string();
    for (host, parameters, why) in [
        (
            "db.example",
            format!("sslmode=verify-full&sslrootcert={}", at("other.pem")),
            "no authority that is trusted has issued it; sslrootcert=FILE",
        ),
        (
            "db.example",
            format!("sslmode=verify-ca&sslrootcert={}", at("other.pem")),
            "no authority that is trusted has issued it",
        ),
        ("db.example", "sslmode=verify-full".to_owned(), "no authority that is trusted has issued it"),
        (
            "127.0.0.1",
            format!("sslmode=verify-full&sslrootcert={}", at("ca.pem")),
            "it is not for this host name",
        ),
        ("127.0.0.1", "sslmode=disable".to_owned(), "no encryption"),
    ] {
        let said = refusal(&url(&server, &database, host, &parameters)).await;
        assert!(said.contains(why), "{parameters}: {said}");
    }
    let wrong = url(&server, &database, "127.0.0.1", "").replacen("%70%40", "%71%40", 1);
    assert!(refusal(&wrong).await.contains("password authentication failed"));

    let plain = PostgresServer::shared().await;
    let url = format!("{}?sslmode=require", plain.url(&plain.create_database().await));
    assert!(refusal(&url).await.contains("server does not support TLS"));
}

#[tokio::test]
async fn two_ingest_svc_share_a_log_behind_pgbouncer_which_is_killed() {
    let server = PostgresServer::shared().await;
    let mut pooler = Pooler::start(server).await;
    let system = system(&server.url_at(pooler.address(), &server.create_database().await)).await;
    let (mut other, at) = system.another_ingest();
    other.start().await;
    let store = system.store("gangnam").await;
    let mut pads = system.pads(&store.id).await;
    let mut providers = [system.provider(), Provider::new(at.http, system.secrets.clone())];
    let mut calls = BTreeSet::new();
    for _ in 0..3 {
        for _ in 0..5 {
            for provider in &mut providers {
                calls.insert(provider.deliver_with_retries(&store.ring()).await.call_id);
            }
        }
        pooler.kill().await;
        let refused = must("an answer", providers[0].post(&store.ring()).await);
        assert_eq!(refused.status, 503, "{}", refused.text());
        pooler.resume().await;
    }
    let accepted = providers[0].deliver_with_retries(&store.ring()).await.call_id;
    calls.insert(accepted.clone());
    let request =
        ClaimCallRequest { call_id: accepted.clone(), request_id: uuid::Uuid::new_v4().to_string() };
    let mut tablet = PadServiceClient::new(channel(system.push_at[0].pads).await);
    let token = Claims::new(&store.id, "counter").token();
    must("ClaimCall", tablet.claim_call(with_token(&token, request)).await);
    for pad in &mut pads {
        pad.until_position_within(calls.len() as u64 + 1, 2 * SOON).await;
        assert!(pad.calls.keys().eq(&calls), "{:?}", pad.transport);
        assert!(pad.calls[&accepted].claim.is_some(), "{:?}", pad.transport);
    }
}
