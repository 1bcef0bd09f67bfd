use proptest::{prelude::*, test_runner::TestCaseResult};
use ringpad_tests::postgres::PostgresServer;

use super::*;

fn refused(text: &str) -> String {
    text.parse::<Servers>().unwrap_err()
}

#[test]
fn each_host_has_its_port_and_no_password_is_shown() {
    let text = "postgres://ringpad:s3cret@db1:5433,db2:5434/ringpad?target_session_attrs=read-write";
    let servers: Servers = text.parse().unwrap();
    assert_eq!(servers.to_string(), "ringpad on db1:5433, db2:5434");
    assert!(!format!("{servers:?}").contains("s3cret"));
    let longer = Duration::from_secs(300);
    let hosts = servers.with_stalls(longer).hosts();
    assert!(hosts.iter().all(|host| host.get_tcp_user_timeout() == Some(&longer)));
    let one: Servers = "postgresql://u@[::1]/x".parse().unwrap();
    assert_eq!(one.to_string(), "x on ::1:5432");
}

#[test]
fn a_faulty_url_is_refused_without_quoting_it() {
    for text in [
        "postgres:///x",
        "postgres://u:s3cret@h/d?nonsense=1",
        "postgres://u:s3cret@a:1,b:2,c:x/d",
        "postgres://u:s3cret@h:99999999/d",
        "postgres://u:p@s3cret@h/d",
        "postgres://u:p/s3cret@h/d",
        "postgres://u:p?s3cret@h/d",
        "postgres://u@h/d?pasword=s3cret",
        "postgres://s3cret%40h/d",
        "postgres://u:s3cret%40h/d",
        "postgres://u@h/d?host=s3cret%40h",
    ] {
        let error = refused(text);
        assert!(!error.contains("s3cret"), "{error}");
        assert!(error.contains("expected") || error.contains("are known"), "{error}");
    }
}

#[test]
fn every_faulty_parameter_is_named_with_its_value_and_with_what_would_be_right() {
    let error = refused(
        "postgres://h/d?sslmode=on&connect_timeout=soon&passfile=/f&target_session_attrs=standby&sslrootcert=/none",
    );
    for part in [
        "sslmode=on: disable, prefer, require, verify-ca or verify-full is expected",
        "connect_timeout=soon: a number of seconds is expected",
        "passfile is not supported: write the password into the URL",
        "target_session_attrs=standby: read-write is expected",
        "sslrootcert=/none: a file with certificates in PEM form is expected",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn what_would_check_nothing_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    std::fs::write(&file, "no certificate").unwrap();
    let file = file.display();
    assert!(
        refused(&format!("postgres://h/d?sslmode=verify-full&sslrootcert={file}")).contains("it has none")
    );
    assert!(refused("postgres://h/d?sslmode=verify-ca").contains("needs sslrootcert=FILE"));
    assert!(refused("postgres://h/d?sslmode=require&sslrootcert=system").contains("sslmode=verify-full"));
    for accepted in ["", "sslmode=disable", "sslmode=require", "sslmode=verify-full", "sslrootcert=system"] {
        assert!(format!("postgres://h/d?{accepted}").parse::<Servers>().is_ok(), "{accepted}");
    }
}

/// The servers of a new database, with these functions in place of the server's own.
async fn with_functions(functions: &str) -> Servers {
    let server = PostgresServer::shared().await;
    let database = server.create_database().await;
    let statements = format!(
        "CREATE SCHEMA fake; ALTER DATABASE \"{database}\" SET search_path = fake, public, pg_catalog; {functions}"
    );
    server.connect(&database).await.batch_execute(&statements).await.unwrap();
    server.url(&database).parse().unwrap()
}

/// As Aurora does without logical replication.
const WITHOUT_LOG: &str = "CREATE FUNCTION fake.pg_current_wal_lsn() RETURNS pg_lsn LANGUAGE plpgsql AS \
    $$BEGIN RAISE 'wal_level must be set to logical' USING ERRCODE = '55000'; END$$;";

#[tokio::test]
async fn aurora_has_no_timeline_and_another_server_without_one_is_refused_in_words() {
    let aurora = "CREATE FUNCTION fake.aurora_version() RETURNS text LANGUAGE sql AS $$SELECT '17.4.0'$$;";
    let servers = with_functions(&format!("{WITHOUT_LOG}{aurora}")).await;
    let session = servers.connect().await.unwrap();
    let now = session.timeline.now(&session.client).await.unwrap();
    assert_eq!((session.timeline.number, now), (0, 0));

    let servers = with_functions(WITHOUT_LOG).await;
    let error = servers.connect().await.err().unwrap().to_string();
    for part in ["must be allowed to execute pg_current_wal_lsn()", "wal_level must be set"] {
        assert!(error.contains(part), "{error}");
    }
}

/// Any password, percent-encoded.
fn password_arrives(password: &str) -> TestCaseResult {
    let encoded: String = password.bytes().map(|byte| format!("%{byte:02X}")).collect();
    for text in [format!("postgres://u:{encoded}@h/d"), format!("postgres://u@h/d?password={encoded}")] {
        let servers: Servers = text.parse().map_err(TestCaseError::fail)?;
        prop_assert_eq!(servers.config.get_password(), Some(password.as_bytes()));
        prop_assert_eq!(servers.to_string(), "d on h:5432");
    }
    Ok(())
}

proptest! {
    #[test]
    fn every_encoded_password_arrives(password in ".{1,20}") {
        password_arrives(&password)?;
    }

    #[test]
    fn no_text_makes_the_parser_panic_and_no_host_has_a_part_of_the_password(
        text in "[a-z:@/?&=%,\\[\\].0-9]{0,40}",
    ) {
        if let Ok(servers) = format!("postgres://{text}").parse::<Servers>() {
            let hosts = servers.hosts();
            // A directory may have any name.
            let mut names = hosts.iter().map(name).filter(|name| !name.starts_with('/'));
            prop_assert!(names.all(|name| !name.contains('@')), "{servers}");
        }
    }
}
