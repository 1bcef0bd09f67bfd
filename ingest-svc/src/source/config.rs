//! `INGEST_CONFIG`: from TOML to sources, or to one line that names the key, the value and what would be right.

use std::{num::NonZeroU32, path::Path, sync::Arc};

use ipnet::IpNet;
use jiff::tz::TimeZone;
use ringpad_runtime::forwarded::network;
use secrecy::SecretString;
use serde::Deserialize;
use toml::Value;

use super::{DEFAULT_ANSWERED_BY, DEFAULT_TIMEZONE, Guard, Source, Sources};

/// Characters of a source's name at most.
const MAX_NAME: usize = 64;

/// Values are not deserialised to their types: so every error can say what would be right, and none shows a secret.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    #[serde(default)]
    source: Vec<SourceTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceTable {
    name: Option<Value>,
    timezone: Option<Value>,
    allow: Option<Value>,
    trusted_proxies: Option<Value>,
    secret: Option<Value>,
    open: Option<Value>,
    rate: Option<Value>,
    answered_by: Option<Value>,
    decode_twice: Option<Value>,
}

impl Sources {
    /// Reads the sources of `INGEST_CONFIG`; without it, the open default.
    ///
    /// # Errors
    /// One line that names the file, the key, the value and what would be right.
    pub fn read(file: Option<&Path>) -> Result<Self, String> {
        let Some(file) = file else { return Ok(Self::open()) };
        let wrong = |why: String| format!("INGEST_CONFIG (or --ingest-config): {}: {why}", file.display());
        let text =
            std::fs::read_to_string(file).map_err(|error| wrong(format!("cannot be read: {error}")))?;
        Self::parse(&text).map_err(wrong)
    }

    /// Reads the sources from TOML.
    ///
    /// # Errors
    /// One line that names the key, the value and what would be right.
    pub fn parse(toml: &str) -> Result<Self, String> {
        Self::of(sources(toml)?)
    }
}

/// Reads every `[[source]]`.
fn sources(toml: &str) -> Result<Vec<Source>, String> {
    let file: ConfigFile = toml::from_str(toml).map_err(|error| {
        let line = error
            .span()
            .and_then(|span| toml.get(..span.start))
            .map(|before| before.matches('\n').count() + 1);
        let message = error.message().replace('\n', " ");
        line.map_or_else(|| message.clone(), |line| format!("line {line}: {message}"))
    })?;
    let numbered = file.source.into_iter().enumerate();
    numbered
        .map(|(index, table)| source(table).map_err(|why| format!("[[source]] {}: {why}", index + 1)))
        .collect()
}

fn source(table: SourceTable) -> Result<Source, String> {
    let name = read("name", table.name, name)?
        .ok_or_else(|| format!("name: is required: {EXPECTED_NAME}"))
        .map(Arc::<str>::from)?;
    let of_source = |why: String| format!("({name}) {why}");
    let settings = || -> Result<Source, String> {
        let timezone =
            read("timezone", Some(table.timezone.unwrap_or_else(|| DEFAULT_TIMEZONE.into())), timezone)?;
        let allow = read("allow", table.allow, nets)?;
        let trusted_proxies = read("trusted_proxies", table.trusted_proxies, nets)?.unwrap_or_default();
        let secret = table.secret.map(secret).transpose()?;
        let open = read("open", table.open, |value| value.as_bool().ok_or("true or false is expected"))?;
        let rate = read("rate", table.rate, rate)?;
        match (&allow, &secret, open.unwrap_or_default()) {
            (None, None, false) => {
                return Err("one of allow, secret and open is required, to say who may send".to_owned());
            }
            (Some(_), _, true) => {
                return Err(
                    "open: true is wrong together with allow: either everybody may send, or those addresses"
                        .to_owned(),
                );
            }
            _ => {}
        }
        Ok(Source {
            name: name.clone(),
            timezone: timezone.unwrap_or(TimeZone::UTC),
            answered_by: read("answered_by", table.answered_by, parameter)?
                .unwrap_or_else(|| DEFAULT_ANSWERED_BY.to_owned()),
            decode_twice: read("decode_twice", table.decode_twice, parameters)?.unwrap_or_default(),
            guard: Guard::new(allow, trusted_proxies, secret, rate),
        })
    };
    settings().map_err(of_source)
}

/// Reads a key's value, if it is there.
fn read<T>(
    key: &str,
    value: Option<Value>,
    parse: impl FnOnce(&Value) -> Result<T, &'static str>,
) -> Result<Option<T>, String> {
    let Some(value) = value else { return Ok(None) };
    // A value may be an array over several lines; the error message is one line.
    let shown = || value.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    parse(&value).map(Some).map_err(|right| format!("{key}: {} is wrong: {right}", shown()))
}

const EXPECTED_NAME: &str = "1 to 64 of A-Z, a-z, 0-9, '-', '_' and '.' are expected, e.g. \"bizcall\"";

fn name(value: &Value) -> Result<String, &'static str> {
    let plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
    match value.as_str() {
        // Clients rewrite the paths `.` and `..`.
        Some(name)
            if (1..=MAX_NAME).contains(&name.len()) && name.chars().all(plain) && !name.starts_with('.') =>
        {
            Ok(name.to_owned())
        }
        _ => Err(EXPECTED_NAME),
    }
}

fn timezone(value: &Value) -> Result<TimeZone, &'static str> {
    let found = value.as_str().and_then(|name| TimeZone::get(name).ok());
    found.ok_or("an IANA time zone is expected, e.g. \"Asia/Seoul\"")
}

fn nets(value: &Value) -> Result<Vec<IpNet>, &'static str> {
    let nets: Option<Vec<_>> =
        value.as_array().and_then(|nets| nets.iter().map(|net| net.as_str().and_then(network)).collect());
    match nets {
        Some(nets) if !nets.is_empty() => Ok(nets),
        _ => Err(
            "a list of one or more networks or addresses is expected, e.g. [\"210.109.108.0/24\", \"2001:db8::7\"]",
        ),
    }
}

fn secret(value: Value) -> Result<SecretString, String> {
    match value {
        Value::String(secret) if !secret.is_empty() => Ok(SecretString::from(secret)),
        _ => Err("secret: its value, not shown here, is wrong: a text of one character or more is expected"
            .to_owned()),
    }
}

fn rate(value: &Value) -> Result<NonZeroU32, &'static str> {
    let rate = value.as_integer().and_then(|rate| u32::try_from(rate).ok()).and_then(NonZeroU32::new);
    rate.ok_or("a whole number of requests a second, 1 or more, is expected, e.g. 200")
}

fn parameter(value: &Value) -> Result<String, &'static str> {
    let name = value.as_str().filter(|name| !name.is_empty());
    name.map(str::to_owned).ok_or("a parameter's name is expected, e.g. \"swidt\"")
}

fn parameters(value: &Value) -> Result<Vec<String>, &'static str> {
    let names: Option<Vec<_>> =
        value.as_array().and_then(|names| names.iter().map(|name| parameter(name).ok()).collect());
    names.ok_or("a list of parameters' names is expected, e.g. [\"memo\", \"memo2\"]")
}
