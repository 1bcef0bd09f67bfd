//! The Compose files, read strictly, and the programs that they run.

use std::{collections::BTreeMap, net::Ipv4Addr, process::Output};

use ringpad_tests::{
    nginx::shipped_text,
    services::binary,
    wait::{SOON, must, within},
};
use serde::Deserialize;
use tokio::process::Command;

/// All of the file: an unknown key anywhere is refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Compose {
    /// Only where there are several.
    #[serde(rename = "x-ingest")]
    pub(super) instance: Option<Service>,
    #[serde(rename = "x-push")]
    pub(super) replica: Service,
    pub(super) services: BTreeMap<String, Service>,
    pub(super) networks: BTreeMap<String, Network>,
    pub(super) volumes: BTreeMap<String, ()>,
}

/// A key that is not here is misspelled, or new: then this test must learn it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "some keys are only here so that others are refused")]
pub(super) struct Service {
    pub(super) image: String,
    pub(super) build: Option<String>,
    #[serde(default)]
    pub(super) command: Vec<String>,
    pub(super) hostname: Option<String>,
    #[serde(default)]
    pub(super) profiles: Vec<String>,
    #[serde(default)]
    pub(super) ports: Vec<String>,
    #[serde(default)]
    pub(super) environment: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) volumes: Vec<String>,
    #[serde(default)]
    pub(super) depends_on: BTreeMap<String, Dependency>,
    /// Not optional: each service has one.
    pub(super) healthcheck: Health,
    #[serde(default)]
    pub(super) networks: BTreeMap<String, Attached>,
    pub(super) stop_grace_period: Option<String>,
    pub(super) restart: Option<String>,
    #[serde(default)]
    pub(super) read_only: bool,
    #[serde(default)]
    pub(super) tmpfs: Vec<String>,
    #[serde(default)]
    pub(super) cap_drop: Vec<String>,
    #[serde(default)]
    pub(super) security_opt: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dependency {
    pub(super) condition: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "not part of the contract")]
pub(super) struct Health {
    pub(super) test: Vec<String>,
    pub(super) interval: String,
    pub(super) timeout: String,
    pub(super) retries: u32,
    pub(super) start_period: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Attached {
    pub(super) ipv4_address: Ipv4Addr,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Network {
    pub(super) ipam: Ipam,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ipam {
    pub(super) config: Vec<Subnet>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Subnet {
    pub(super) subnet: String,
    pub(super) ip_range: String,
}

/// The files. Each is a whole installation.
pub(super) const FILES: [&str; 2] = ["docker-compose.yml", "docker-compose.sqlite.yml"];

/// docker-compose.yml: the log is in PostgreSQL.
pub(crate) fn compose() -> Compose {
    read(FILES[0])
}

/// All of [`FILES`].
pub(super) fn all() -> [Compose; 2] {
    FILES.map(read)
}

fn read(file: &str) -> Compose {
    must(file, serde_saphyr::from_str(&shipped_text(file)))
}

impl Compose {
    /// The services that run a program of the project, each with its name.
    pub(super) fn programs(&self) -> impl Iterator<Item = (&str, &Service, &str)> {
        self.services.iter().filter(|(_, service)| service.image == self.replica.image).map(
            |(name, service)| {
                let [program] = &service.command[..] else {
                    panic!("{name}: one program: {:?}", service.command)
                };
                (name.as_str(), service, program.as_str())
            },
        )
    }

    /// The services that run ingest-svc, each with its name.
    pub(super) fn instances(&self) -> impl Iterator<Item = (&str, &Service)> {
        self.programs()
            .filter(|(_, _, program)| *program == "ingest-svc")
            .map(|(name, service, _)| (name, service))
    }

    /// The names of the services that run a program of the project, each with that program's name.
    pub(crate) fn running(&self) -> impl Iterator<Item = (&str, &str)> {
        self.programs().map(|(name, _, program)| (name, program))
    }

    /// The text of the project's file that nginx has as `/etc/nginx/<file>`.
    pub(super) fn mounted_in_nginx(&self, file: &str) -> String {
        let target = format!(":/etc/nginx/{file}:ro");
        let mounted = self.services["nginx"].volumes.iter().find_map(|mount| mount.strip_suffix(&target));
        shipped_text(mounted.unwrap_or_else(|| panic!("nginx includes {file}, which is not mounted")))
    }

    /// The port that a service's program listens on, by the name of the setting.
    pub(crate) async fn port(&self, service: &str, setting: &str) -> u16 {
        let service = &self.services[service];
        let address = match service.environment.get(setting) {
            Some(address) => address.clone(),
            None => settings(&service.command[0]).await.remove(setting).expect(setting),
        };
        address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("an address with a port")
    }
}

/// The settings that a program's `--help` names, with their defaults.
pub(crate) async fn settings(program: &str) -> BTreeMap<String, String> {
    let help = run(Command::new(binary(program)).arg("--help")).await;
    assert!(help.status.success(), "{program} --help: {help:?}");
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let named = help.split("[env: ").skip(1).map(|rest| {
        let name = rest.chars().take_while(|letter| letter.is_ascii_uppercase() || *letter == '_');
        let default = rest.split_once("[default: ").and_then(|(_, rest)| rest.split_once(']'));
        (name.collect(), default.map_or(String::new(), |(default, _)| default.to_owned()))
    });
    named.collect()
}

pub(crate) async fn run(command: &mut Command) -> Output {
    // Variables that `make test` sets are not meant for these.
    let command = command.env_remove("MAKEFLAGS").env_remove("MAKELEVEL").kill_on_drop(true);
    must("a command", within("a command ends", SOON, command.output()).await)
}
