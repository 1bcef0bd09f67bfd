//! The Compose files and the files that they use, read strictly and compared with the real programs. No container engine is
//! needed, and none is tested.

mod compose;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::Ipv4Addr,
    os::unix::fs::PermissionsExt,
    path::Path,
};

use ringpad_tests::{
    cdr::urlencoded,
    http::Client,
    nginx::{Nginx, shipped, shipped_text},
    pads::{Pad, Transport},
    port::free_port,
    provider::{FORM, cdr_answer},
    rabbit::RabbitNode,
    services::System,
    wait::{SOON, must, until},
};
use tokio::process::Command;

use compose::{Compose, FILES, all};
pub(crate) use compose::{compose, run, settings};

#[tokio::test]
async fn every_variable_of_a_service_is_a_setting_of_its_program() {
    for compose in all() {
        each_variable_is_a_setting(&compose).await;
    }
}

async fn each_variable_is_a_setting(compose: &Compose) {
    let mut programs = BTreeSet::new();
    for (name, service, program) in compose.programs() {
        assert_eq!(service.restart.as_deref(), Some("unless-stopped"), "{name} is started again");
        let known = settings(program).await;
        for variable in service.environment.keys() {
            assert!(known.contains_key(variable), "{name}: {program} has no setting {variable}");
        }
        assert!(shipped_text("Dockerfile").contains(&format!("/src/target/release/{program} ")), "{program}");
        assert_eq!(service.build.as_deref(), Some("."), "{name}: its image is built here, not fetched");
        programs.insert(program);
    }
    assert_eq!(programs, BTreeSet::from(["ingest-svc", "push-svc"]));
    for (name, service) in &compose.services {
        for (other, dependency) in &service.depends_on {
            assert!(compose.services.contains_key(other), "{name} waits for {other}, which is not there");
            // Each of them can run without the others, but ingest-svc needs its database to start.
            let expected = if other == "postgres" { "service_healthy" } else { "service_started" };
            assert_eq!(dependency.condition, expected, "{name} and {other}");
        }
    }
    let mut urls = Vec::new();
    for (name, instance) in compose.instances() {
        urls.push(format!("http://{name}:{}", compose.port(name, "INGEST_GRPC_ADDR").await));
        let url = &instance.environment["DATABASE_URL"];
        let log = url.split(['@', ':', '/']).find(|host| compose.services.contains_key(*host));
        match log {
            Some(database) => assert!(instance.depends_on.contains_key(database), "{name} needs {database}"),
            None => assert!(url.starts_with("sqlite://") && compose.instance.is_none(), "{name}: {url}"),
        }
    }
    assert_eq!(compose.replica.environment["INGEST_URL"], urls.join(","));
}

#[test]
fn the_default_has_two_ingest_svc_and_a_database_whose_name_and_role_they_use() {
    let compose = compose();
    assert_eq!(compose.instances().count(), 2);
    let database = &compose.services["postgres"].environment;
    let role = &database["POSTGRES_USER"];
    for (name, instance) in compose.instances() {
        let expected = format!(
            "postgres://{role}:{}@postgres:5432/{}?sslmode=disable",
            database["POSTGRES_PASSWORD"], database["POSTGRES_DB"]
        );
        assert_eq!(instance.environment["DATABASE_URL"], expected, "{name}");
    }
}

#[tokio::test]
async fn make_env_writes_every_variable_that_is_asked_for_and_keeps_what_is_there() {
    let directory = tempfile::tempdir().expect("a directory");
    let written = async |file: &Path| {
        let file = file.display();
        let root = shipped("").display().to_string();
        let done = run(Command::new("make").args(["-C", &root, "env", &format!("ENV_FILE={file}")])).await;
        assert!(done.status.success(), "{done:?}");
        must("the file", fs::read_to_string(file.to_string()))
    };
    let (first, second) = (directory.path().join("first"), directory.path().join("second"));
    let text = written(&first).await;
    assert_eq!(must("its mode", fs::metadata(&first)).permissions().mode() & 0o777, 0o600);
    assert_eq!(written(&first).await, text, "a file that is there is kept");
    let variables = |text: &str| -> BTreeMap<String, String> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    };
    let (text, other) = (variables(&text), variables(&written(&second).await));
    // Values that only the operator knows are in the file, and empty.
    let known_to_the_operator = "PAD_TOKEN_URL";
    assert_eq!(text.get(known_to_the_operator).map(String::as_str), Some(""));
    for (name, value) in text.iter().filter(|(name, _)| *name != known_to_the_operator) {
        assert!(value.len() >= 32 && value.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
        assert_ne!(other.get(name), Some(value), "{name} is generated each time");
    }

    // One that was made before there was PostgreSQL gets what is new, and keeps the rest.
    let older = directory.path().join("older");
    must("an older file", fs::write(&older, "RABBITMQ_PASSWORD=kept\n"));
    let older = variables(&written(&older).await);
    assert_eq!(older.get("RABBITMQ_PASSWORD").map(String::as_str), Some("kept"));
    assert!(older["POSTGRES_PASSWORD"].len() >= 32);

    let compose = FILES.map(shipped_text).concat();
    assert_eq!(compose.matches('$').count(), compose.matches("${").count(), "every variable is in braces");
    let asked = compose.split("${").skip(1).map(|rest| {
        let (name, rest) = rest.split_once(':').expect("a variable says what to do if it is not set");
        let unless_set = if name == known_to_the_operator { "-}" } else { "?run `make env`}" };
        assert!(rest.starts_with(unless_set), "{name}");
        name.to_owned()
    });
    assert_eq!(asked.collect::<BTreeSet<_>>(), text.into_keys().collect());
}

#[test]
fn mounted_files_exist_and_ports_are_published_only_on_loopback() {
    for compose in all() {
        each_mount_is_there(&compose);
    }
}

fn each_mount_is_there(compose: &Compose) {
    for (name, service) in &compose.services {
        for port in &service.ports {
            assert!(port.starts_with("127.0.0.1:"), "{name}: {port} is open to everybody, without TLS");
        }
        for mount in &service.volumes {
            let (source, target) = mount.split_once(':').expect("a source and a target");
            match source.strip_prefix("./") {
                Some(file) => {
                    assert!(shipped(file).exists(), "{name} mounts {file}, which is not there");
                    assert!(target.ends_with(":ro"), "{name} may write {file}");
                }
                None => assert!(compose.volumes.contains_key(source), "{name}: there is no volume {source}"),
            }
        }
    }
    for file in ["nginx.conf", "upstreams.conf"] {
        for line in shipped_text(&format!("deploy/nginx/{file}")).lines() {
            if let Some(included) = line.trim().strip_prefix("include ") {
                compose.mounted_in_nginx(included.trim_end_matches(';'));
            }
        }
    }
    for (name, instance) in compose.instances() {
        let mount = format!("./deploy/ingest.toml:{}:ro", instance.environment["INGEST_CONFIG"]);
        assert!(instance.volumes.contains(&mount), "{name} needs {mount}");
    }
}

#[tokio::test]
async fn nginx_finds_the_services_at_fixed_addresses_and_is_the_proxy_that_ingest_trusts() {
    for compose in all() {
        nginx_finds_the_services(&compose).await;
    }
}

async fn nginx_finds_the_services(compose: &Compose) {
    let mut expected = BTreeSet::new();
    for (name, _, program) in compose.programs() {
        let setting = if program == "ingest-svc" { "INGEST_HTTP_ADDR" } else { "PUSH_ADDR" };
        expected.insert(format!("{name}:{}", compose.port(name, setting).await));
    }
    let upstreams = ["upstreams.conf", "ingest.conf"].map(|file| compose.mounted_in_nginx(file)).concat();
    let servers = upstreams.lines().filter_map(|line| line.trim().strip_prefix("server "));
    let servers = servers.map(|line| line.split([' ', ';']).next().unwrap_or_default().to_owned());
    let back_end = BTreeSet::from(["127.0.0.1:9".to_owned()]);
    assert_eq!(servers.collect::<BTreeSet<_>>(), expected.union(&back_end).cloned().collect());

    let [subnet] = &compose.networks["default"].ipam.config[..] else { panic!("one subnet") };
    let network = subnet.subnet.strip_suffix(".0/24").expect("a /24");
    assert_eq!(
        subnet.ip_range,
        format!("{network}.128/25"),
        "addresses that are given out are not fixed ones"
    );
    let mut addresses = BTreeSet::new();
    for name in expected.iter().filter_map(|server| server.split(':').next()).chain(["nginx"]) {
        let address = compose.services[name].networks["default"].ipv4_address;
        assert!(
            address.to_string().starts_with(&format!("{network}.")) && address.octets()[3] < 128,
            "{name}"
        );
        assert!(addresses.insert(address), "{address} is given twice");
        assert!(
            compose.services["nginx"].depends_on.contains_key(name) || name == "nginx",
            "{name} must resolve"
        );
    }
    let nginx = compose.services["nginx"].networks["default"].ipv4_address;
    let trusted = format!("\ntrusted_proxies = [\"{nginx}/32\"]\n");
    assert!(shipped_text("deploy/ingest.toml").contains(&trusted), "nginx alone is trusted: {trusted}");
    assert_eq!(compose.replica.environment["PUSH_TRUSTED_PROXIES"], nginx.to_string());
}

#[tokio::test]
async fn ingest_accepts_the_shipped_sources() {
    let file = shipped("deploy/ingest.toml").display().to_string();
    let system =
        System::start_with(&RabbitNode::shared().await.url(), 0, &[("INGEST_CONFIG", file.as_str())]).await;
    let store = system.store("gangnam").await;
    let record = system.noted_ring(&store);
    // In the container. A header of an address that is not a trusted proxy is not used.
    let headers = [("content-type", FORM), ("x-forwarded-for", "198.51.100.1")];
    let mut client = Client::new(system.ingest_at.http);
    let answer = client.send("POST", "/v1/cdr/bizcall", &headers, urlencoded(&record)).await;
    cdr_answer(&must("an answer", answer));
}

#[tokio::test]
async fn the_health_check_of_the_image_agrees_with_readyz() {
    for compose in all() {
        for (name, service, program) in compose.programs() {
            let setting = if program == "ingest-svc" { "INGEST_HTTP_ADDR" } else { "PUSH_ADDR" };
            let port = compose.port(name, setting).await.to_string();
            assert_eq!(service.healthcheck.test, ["CMD", "ready", &port], "{name}");
        }
    }
    assert!(shipped_text("Dockerfile").contains("deploy/ready.sh /usr/local/bin/ready\n"));
    let ready = async |port: u16| {
        let output = run(Command::new(shipped("deploy/ready.sh")).arg(port.to_string())).await;
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };

    let system = System::start_with(&RabbitNode::shared().await.url(), 1, &[("DRAIN_WINDOW", "8s")]).await;
    let store = system.store("gangnam").await;
    assert_eq!(ready(system.ingest_at.http.port()).await, (true, "ready\n".to_owned()));
    assert_eq!(ready(system.push_at[0].pads.port()).await, (true, "ready\n".to_owned()));
    assert!(!ready(free_port()).await.0, "nothing listens there");
    // Pads keep a draining replica running for a while.
    let mut pads = Vec::new();
    for _ in 0..4 {
        pads.push(system.pad(Transport::GrpcWeb, 0, &store.id).await);
    }
    system.push[0].terminate();
    let said = until("the health check fails", SOON, async || {
        let (ready, said) = ready(system.push_at[0].pads.port()).await;
        (!ready).then_some(said)
    })
    .await;
    assert!(said.starts_with("not ready: "), "{said}");
}

/// The blocks of a section of docs/operate.md in this language, together.
pub(crate) fn blocks(section: &str, language: &str) -> String {
    let document = shipped_text("docs/operate.md");
    let (_, text) = document.split_once(&format!("\n## {section}\n")).expect("the section is there");
    let text = text.split("\n## ").next().unwrap_or_default();
    let opening = format!("```{language}\n");
    let blocks = text.split(&opening).skip(1).filter_map(|block| block.split_once("```"));
    blocks.map(|(block, _)| block).collect()
}

#[tokio::test]
async fn the_set_up_for_one_host_serves_providers_and_pads_through_nginx() {
    const ONE_HOST: &str = "On one host, behind nginx";
    let mut system = System::prepare(&RabbitNode::shared().await.url(), 2, &[]);
    // Its addresses may be in use on this machine, so they are replaced.
    let addresses = [
        ("127.0.0.1:8080", system.ingest_at.http),
        ("127.0.0.1:8081", system.push_at[0].pads),
        ("127.0.0.1:8082", system.push_at[1].pads),
        ("127.0.0.1:9465", system.push_at[0].admin),
        ("127.0.0.1:9466", system.push_at[1].admin),
    ];
    let here = |text: String| {
        addresses.iter().fold(text, |text, (documented, own)| text.replace(documented, &own.to_string()))
    };
    let documented = here(blocks(ONE_HOST, "sh"));
    let services: Vec<_> = documented.split("# push-svc").collect();
    let [ingest, first, second] = services.as_slice() else { panic!("three services: {documented}") };
    let sources = system.directory.path().join("ingest.toml");
    let [first_replica, second_replica] = &mut system.push[..] else { panic!("two replicas") };
    for (program, service, texts) in [
        ("ingest-svc", &mut system.ingest, vec![*ingest]),
        ("push-svc", first_replica, vec![*first]),
        ("push-svc", second_replica, vec![*first, *second]),
    ] {
        let known = settings(program).await;
        let lines = texts.iter().flat_map(|text| text.lines());
        for (name, value) in lines.filter_map(|line| line.split_once('=')) {
            assert!(known.contains_key(name), "{program} has no setting {name}");
            match name {
                "INGEST_CONFIG" => service.set(name, &sources.display().to_string()),
                // The test's own address.
                "DATABASE_URL" | "AMQP_URL" | "PAD_TOKEN_SECRET" => {}
                _ => service.set(name, value),
            }
        }
    }
    let proxies = "trusted_proxies = [\"127.0.0.1/32\"]";
    assert!(shipped_text("docs/operate.md").contains(proxies));
    let allowed = format!("[[source]]\nname = \"bizcall\"\nallow = [\"127.0.0.7/32\"]\n{proxies}\n");
    must("sources", fs::write(&sources, allowed));
    system.ingest.start().await;
    for replica in &mut system.push {
        replica.start().await;
    }
    let nginx = Nginx::start_with(&here(blocks(ONE_HOST, "nginx")), system.directory.path()).await;

    let store = system.store("gangnam").await;
    let mut pads = Vec::new();
    for transport in [Transport::GrpcWeb, Transport::WebSocket] {
        pads.push(Pad::open(transport, nginx.at, &system.subscription(&store.id)).await);
    }
    let record = system.noted_ring(&store);
    for (own, status) in [(8, 403), (7, 200)] {
        let mut provider = Client::new(nginx.at).own(Ipv4Addr::new(127, 0, 0, own));
        let sent =
            provider.send("POST", "/v1/cdr/bizcall", &[("content-type", FORM)], urlencoded(&record)).await;
        assert_eq!(must("an answer", sent).status.as_u16(), status, "from 127.0.0.{own}");
    }
    for pad in &mut pads {
        pad.until_position(1).await;
    }
}

#[test]
fn the_image_is_built_from_every_member_of_the_workspace() {
    let manifest = shipped_text("Cargo.toml");
    let (_, members) = manifest.split_once("\nmembers = [").expect("a workspace");
    let (members, _) = members.split_once(']').expect("a list");
    let ignored = shipped_text(".dockerignore");
    let kept: BTreeSet<_> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    for member in members.split(',').map(|member| member.trim().trim_matches('"')) {
        assert!(kept.contains(member), ".dockerignore keeps {member} from the image's build");
    }
    for kept in kept {
        assert!(shipped(kept).exists(), "{kept}");
    }
    assert!(ignored.contains("\n*\n"), "only what is named is copied, and above all not .env");
}
