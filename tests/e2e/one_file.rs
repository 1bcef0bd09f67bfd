//! One log, one ingest-svc: a second process notices the first by any name of the file.

use std::{fs, net::SocketAddr, os::unix::fs::symlink, path::Path};

use ringpad_tests::{
    cdr::{self, ring},
    guard::Program,
    port::free_address,
    provider::Provider,
    rabbit::NO_BROKER,
    secrets::Secrets,
    services::{Service, binary},
    wait::{SOON, must, until},
};

const HELD: &str = "another ingest-svc has this file locked";

/// An ingest-svc that needs no other process, and its address for providers. It accepts records that no store owns.
fn ingest(directory: &Path, database: &str) -> (Program, SocketAddr) {
    let http = free_address();
    let program = Program::new(binary("ingest-svc"), directory.join(format!("ingest-{}.log", http.port())))
        .set("AMQP_URL", NO_BROKER)
        .set("INGEST_HTTP_ADDR", http.to_string())
        .set("INGEST_GRPC_ADDR", free_address().to_string())
        .set("INGEST_ADMIN_ADDR", free_address().to_string())
        .set("DATABASE_URL", format!("sqlite://{database}"));
    (program, http)
}

/// Runs `program` in this script, as its `$@`.
fn through_shell(script: &str, program: Program) -> Program {
    let service = program.file.display().to_string();
    let arguments = ["-c", script, "sh"].map(str::to_owned);
    Program { file: "sh".into(), arguments: [arguments.as_slice(), &[service]].concat(), ..program }
}

/// The same, with mounts that no other process sees.
fn with_own_mounts(script: &str, program: Program) -> Program {
    let mut program = through_shell(script, program);
    let before = ["--map-root-user", "--mount", "sh"].map(str::to_owned);
    program.arguments.splice(0..0, before);
    Program { file: "unshare".into(), ..program }
}

#[tokio::test]
async fn a_second_process_notices_the_first_by_any_name_of_the_file() {
    let directory = must("a directory", tempfile::tempdir());
    let own = directory.path().join("ringpad.db");
    let (program, http) = ingest(directory.path(), &own.display().to_string());
    let mut first = Service::new(program, http);
    first.start().await;

    let path = |name: &str| directory.path().join(name);
    let (soft, hard, mounted) = (path("soft.db"), path("hard.db"), path("mounted.db"));
    must("a symbolic link", symlink("ringpad.db", &soft));
    must("a hard link", fs::hard_link(&own, &hard));
    must("a mount point", fs::write(&mounted, ""));
    must("a directory", fs::create_dir(path("below")));
    let of = |database: &Path| ingest(directory.path(), &database.display().to_string()).0;
    let cd = format!("cd {} && exec \"$@\"", directory.path().display());
    let bind = format!("mount --bind {} {} && exec \"$@\"", own.display(), mounted.display());
    let others = [
        ("the same name", of(&own)),
        ("a symbolic link", of(&soft)),
        ("a hard link", of(&hard)),
        ("a relative name", through_shell(&cd, ingest(directory.path(), "ringpad.db").0)),
        ("a name with dots", of(&path("below/../ringpad.db"))),
        ("a bind mount", with_own_mounts(&bind, of(&mounted))),
    ];
    for (what, other) in others {
        let log = other.log.clone();
        let code = other.spawn().exit(SOON).await;
        let said = must("its output", fs::read_to_string(log));
        assert!(code == 1 && said.contains(HELD), "{what}: {code}, {said}");
    }
    // The first one has noticed nothing.
    Provider::new(http, Secrets::default()).deliver(&ring(&cdr::virtual_number(), &cdr::caller())).await;
}

#[tokio::test]
async fn of_two_that_create_the_file_at_the_same_time_one_gets_it() {
    for _ in 0..5 {
        let directory = must("a directory", tempfile::tempdir());
        let (own, link) = (directory.path().join("ringpad.db"), directory.path().join("link.db"));
        must("a link to nothing yet", symlink("ringpad.db", &link));
        let mut both = [own, link].map(|name| {
            let (program, http) = ingest(directory.path(), &name.display().to_string());
            let mut service = Service::new(program, http);
            service.spawn();
            (service, http)
        });
        let loser = until("one of them has ended", SOON, async || {
            both.iter_mut().position(|(service, _)| service.has_ended())
        })
        .await;
        let [(first, _), (second, _)] = &mut both;
        let (loser, winner) = if loser == 0 { (first, second) } else { (second, first) };
        assert_eq!(loser.exit().await, 1);
        assert!(loser.logged().contains(HELD), "{}", loser.logged());
        winner.ready().await;
    }
}

#[tokio::test]
async fn records_in_the_wal_of_a_crash_are_found_by_another_name_of_the_file() {
    let directory = must("a directory", tempfile::tempdir());
    let (own, hard) = (directory.path().join("ringpad.db"), directory.path().join("hard.db"));
    let (program, http) = ingest(directory.path(), &own.display().to_string());
    let mut first = Service::new(program, http);
    first.start().await;
    must("a hard link", fs::hard_link(&own, &hard));
    let record = ring(&cdr::virtual_number(), &cdr::caller());
    let taken = Provider::new(http, Secrets::default()).deliver(&record).await;
    first.kill().await;

    let (program, http) = ingest(directory.path(), &hard.display().to_string());
    let mut second = Service::new(program, http);
    second.start().await;
    let again = Provider::new(http, Secrets::default()).deliver(&record).await;
    assert_eq!((again.call_id, again.status.as_str()), (taken.call_id, "duplicate"));
}
