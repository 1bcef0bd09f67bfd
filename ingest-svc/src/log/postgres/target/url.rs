//! The form of `DATABASE_URL=postgres://…`: as libpq has it. What nobody here would follow is refused; times of connections are
//! accepted, and ingest-svc uses its own.

use percent_encoding::percent_decode_str;
use tokio_postgres::{Config, config::Host};

use super::tls::{Roots, TlsMode, Trust};

const EXPECTED: &str =
    "postgres://user:password@host:5432/database is expected, or several hosts with commas between them";

/// The parameters that the client knows, and what each may be.
const PARAMETERS: [(&str, &str); 17] = [
    ("user", "a name"),
    ("password", "a text"),
    ("dbname", "a name"),
    ("host", "a name, an address or a directory"),
    ("hostaddr", "an IP address"),
    ("port", "a number from 1 to 65535"),
    ("options", "a text"),
    ("application_name", "a text"),
    ("channel_binding", "disable, prefer or require"),
    ("connect_timeout", "a number of seconds"),
    ("tcp_user_timeout", "a number of seconds"),
    ("keepalives", "0 or 1"),
    ("keepalives_idle", "a number of seconds"),
    ("keepalives_interval", "a number of seconds"),
    ("keepalives_retries", "a number"),
    ("load_balance_hosts", "disable or random"),
    ("target_session_attrs", "read-write"),
];

/// Parameters of libpq that are often used, and what to do instead.
const UNSUPPORTED: [(&str, &str); 7] = [
    ("passfile", "write the password into the URL"),
    ("service", "write its values into the URL"),
    ("sslcert", "certificates of clients are not supported; use a password"),
    ("sslkey", "certificates of clients are not supported; use a password"),
    ("sslcrl", "lists of revoked certificates are not supported"),
    ("sslnegotiation", "leave it out"),
    ("gssencmode", "leave it out"),
];

/// Reads a URL. Its faults are named all at once; no part that may be a password is quoted.
pub(super) fn parse(text: &str) -> Result<(Config, Trust), String> {
    let (scheme, rest) = text.split_once("://").ok_or(EXPECTED)?;
    check_credentials(rest)?;
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut parameters = Parameters::default();
    query
        .split('&')
        .filter(|parameter| !parameter.is_empty())
        .for_each(|parameter| parameters.read(parameter));
    let Parameters { kept, mode, roots, mut faults } = parameters;
    let trust = Trust::new(mode, roots).map_err(|fault| faults.push(fault)).ok();
    // The client's message names the parameter and never its value; its cause may quote the value.
    let config: Option<Config> = format!("{scheme}://{place}?{}", kept.join("&"))
        .parse()
        .map_err(|error| faults.push(format!("{EXPECTED} ({error})")))
        .ok();
    if let Some(config) = &config {
        faults.extend(check_hosts(config));
    }
    match (config, trust) {
        (Some(config), Some(trust)) if faults.is_empty() => Ok((config, trust)),
        _ => Err(faults.join("; ")),
    }
}

/// An `@` that is not encoded would make a part of the password a host, which is shown in log lines.
fn check_credentials(rest: &str) -> Result<(), String> {
    let (authority, behind) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let found = authority.matches('@').count();
    if found > 1 || (found == 0 && behind.contains('@')) {
        return Err(format!(
            "a character is not percent-encoded: in the user and the password, write @ as %40, / as %2F, ? as %3F and % as %25; \
             {EXPECTED}"
        ));
    }
    Ok(())
}

/// An `@` that is encoded, too, although a host follows it, would make the password a part of the host.
fn has_credentials(host: &Host) -> bool {
    matches!(host, Host::Tcp(name) if name.contains('@'))
}

fn check_hosts(config: &Config) -> Option<String> {
    let hosts = config.get_hosts().len().max(config.get_hostaddrs().len());
    if hosts == 0 {
        return Some(format!("it names no host; {EXPECTED}"));
    }
    if config.get_hosts().iter().any(has_credentials) {
        return Some(format!("the @ before the host must not be percent-encoded; {EXPECTED}"));
    }
    let ports = config.get_ports().len();
    (ports > 1 && ports != hosts)
        .then(|| format!("{hosts} hosts and {ports} ports: give each host its port, or all one port"))
}

#[derive(Default)]
struct Parameters<'a> {
    /// Those for the client.
    kept: Vec<&'a str>,
    mode: Option<TlsMode>,
    roots: Option<Roots>,
    faults: Vec<String>,
}

impl<'a> Parameters<'a> {
    fn read(&mut self, parameter: &'a str) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = percent_decode_str(value).decode_utf8_lossy();
        match (name, &*value) {
            ("sslmode", value) => match value.parse() {
                Ok(mode) => self.mode = Some(mode),
                Err(expected) => self.fault(name, value, expected),
            },
            ("sslrootcert", value) => match value.parse() {
                Ok(roots) => self.roots = Some(roots),
                Err(fault) => self.faults.push(fault),
            },
            // A primary, and a server that takes writes, are the same to ingest-svc, which always looks for one.
            ("target_session_attrs", "any" | "primary" | "read-write") => {}
            ("target_session_attrs", value) => self.fault(name, value, "read-write"),
            _ => self.read_known(parameter, name, &value),
        }
    }

    fn read_known(&mut self, parameter: &'a str, name: &str, value: &str) {
        if let Some((_, expected)) = PARAMETERS.iter().find(|(known, _)| *known == name) {
            match format!("postgres:///?{parameter}").parse::<Config>() {
                Ok(_) => self.kept.push(parameter),
                Err(_) if name == "password" => self.faults.push("password: a text is expected".to_owned()),
                Err(_) => self.fault(name, value, expected),
            }
        } else if let Some((_, instead)) = UNSUPPORTED.iter().find(|(known, _)| *known == name) {
            self.faults.push(format!("{name} is not supported: {instead}"));
        } else {
            let known: Vec<_> = PARAMETERS.iter().map(|(known, _)| *known).collect();
            // Its value may be a password.
            self.faults.push(format!(
                "there is no parameter {name:?}; sslmode, sslrootcert, {} are known",
                known.join(", ")
            ));
        }
    }

    fn fault(&mut self, name: &str, value: &str, expected: &str) {
        self.faults.push(format!("{name}={value}: {expected} is expected"));
    }
}
