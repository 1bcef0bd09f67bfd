//! Sources: the configured number providers, who may send in their name and how they write.

mod config;
mod guard;

use std::{borrow::Borrow, collections::HashMap, net::IpAddr, path::Path, sync::Arc};

use ipnet::IpNet;
use jiff::tz::TimeZone;

use guard::Guard;
pub use guard::Refusal;

/// The one source there is without `INGEST_CONFIG`.
const DEFAULT_SOURCE: &str = "bizcall";
/// The time zone of a source that names none.
const DEFAULT_TIMEZONE: &str = "Asia/Seoul";
/// The parameter that makes a call answered, for a source that names none.
const DEFAULT_ANSWERED_BY: &str = "swidt";

/// One configured number provider, e.g. `bizcall`.
#[derive(Debug)]
pub struct Source {
    name: Arc<str>,
    timezone: TimeZone,
    answered_by: String,
    decode_twice: Vec<String>,
    guard: Guard,
}

/// All sources, by name.
#[derive(Debug)]
pub struct Sources {
    by_name: HashMap<Name, Source>,
}

/// A source's name, which is what it is found by.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Name(Arc<str>);

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Source {
    /// Its name, as in `/v1/cdr/<name>`.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The time zone in which it writes instants.
    pub fn timezone(&self) -> &TimeZone {
        &self.timezone
    }

    /// The parameter by which it tells answered calls from missed ones: a final record with it was answered.
    pub fn answered_by(&self) -> &str {
        &self.answered_by
    }

    /// Whether it percent-encodes this parameter twice.
    pub fn encodes_twice(&self, parameter: &str) -> bool {
        self.decode_twice.iter().any(|name| name == parameter)
    }

    /// Whether an address is one of our own proxies, whose word about the address before it counts.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.guard.trusts(address)
    }

    /// Lets a request in. `client` is absent if it cannot be told who sent it.
    ///
    /// # Errors
    /// Why not; asked in this order: secret, address, rate. What is refused for the first two costs the source none of
    /// its rate.
    pub fn admit(&self, secret: Option<&str>, client: Option<IpAddr>) -> Result<(), Refusal> {
        self.guard.admit(secret, client)
    }
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
        Self::of(config::sources(toml)?)
    }

    /// One source, `bizcall`, to which anyone may send.
    pub fn open() -> Self {
        let source = Source {
            name: Arc::from(DEFAULT_SOURCE),
            // Bundled, so it is there; UTC is what is left to do if it were not.
            timezone: TimeZone::get(DEFAULT_TIMEZONE).unwrap_or(TimeZone::UTC),
            answered_by: DEFAULT_ANSWERED_BY.to_owned(),
            decode_twice: Vec::new(),
            guard: Guard::default(),
        };
        Self { by_name: HashMap::from([(Name(source.name.clone()), source)]) }
    }

    /// The proxies of ours before any of the sources.
    pub fn proxies(&self) -> Arc<[IpNet]> {
        self.by_name.values().flat_map(|source| source.guard.trusted_proxies()).copied().collect()
    }

    /// The source of that name.
    pub fn get(&self, name: &str) -> Option<&Source> {
        self.by_name.get(name)
    }

    fn of(sources: Vec<Source>) -> Result<Self, String> {
        let mut by_name = HashMap::new();
        for source in sources {
            let name = source.name.clone();
            if by_name.insert(Name(name.clone()), source).is_some() {
                return Err(format!(
                    "name: {name:?} is given to more than one [[source]]; each needs its own"
                ));
            }
        }
        if by_name.is_empty() {
            return Err("source: there is none; at least one [[source]] is expected".to_owned());
        }
        Ok(Self { by_name })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
