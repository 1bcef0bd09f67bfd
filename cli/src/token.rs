//! `ringpad token`: mints a pad's token, as an adopter's back end does.

use std::time::{Duration, SystemTime};

use clap::Args;
use push_svc::auth::{Pad, PadTokens};
use ringpad_runtime::{Failure, settings};
use secrecy::SecretString;

use crate::terminal::print;

/// Mints a pad's token, and prints nothing else.
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// The id of the only store that the token opens.
    #[arg(long, value_name = "ID", value_parser = id)]
    store: String,
    /// The pad's id, unique within its store.
    #[arg(long, value_name = "ID", value_parser = id)]
    pad: String,
    /// What people call the pad; by default its id.
    #[arg(long)]
    name: Option<String>,
    /// How long the token opens the store.
    #[arg(long, value_name = "TIME", default_value = "12h", value_parser = settings::duration)]
    expires_in: Duration,
    /// The HS256 key of pad tokens, push-svc's own: 32 bytes or more.
    #[arg(long = "pad-token-secret", env = "PAD_TOKEN_SECRET", hide_env_values = true, value_parser = key, value_name = "SECRET")]
    tokens: PadTokens,
}

/// Mints the token.
///
/// # Errors
/// It expires later than time can tell, or cannot be signed.
pub(crate) fn run(args: &TokenArgs) -> Result<(), Failure> {
    print(mint(args, SystemTime::now())?)
}

fn mint(args: &TokenArgs, now: SystemTime) -> Result<String, Failure> {
    let expires = now.checked_add(args.expires_in);
    let expires = expires.ok_or_else(|| Failure::Setting("--expires-in: too long".to_owned()))?;
    let pad = Pad {
        id: args.pad.as_str().into(),
        name: args.name.as_ref().unwrap_or(&args.pad).as_str().into(),
        store: args.store.as_str().into(),
        expires,
    };
    args.tokens.mint(&pad).map_err(|fault| Failure::other("no token", fault))
}

fn id(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("an id is expected".to_owned()) } else { Ok(text.to_owned()) }
}

fn key(text: &str) -> Result<PadTokens, String> {
    PadTokens::new(&SecretString::from(text)).map_err(|fault| fault.to_string())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    fn args(name: Option<&str>) -> TokenArgs {
        TokenArgs {
            store: "gangnam".to_owned(),
            pad: "counter".to_owned(),
            name: name.map(str::to_owned),
            expires_in: Duration::from_secs(60),
            tokens: key(KEY).unwrap(),
        }
    }

    #[test]
    fn push_svc_knows_the_pad_again() {
        let now = SystemTime::now();
        for (name, called) in [(Some("카운터"), "카운터"), (None, "counter")] {
            let pad = key(KEY).unwrap().admit(Ok(&mint(&args(name), now).unwrap())).unwrap();
            assert_eq!((&*pad.store, &*pad.id, &*pad.name), ("gangnam", "counter", called));
            let left = pad.expires.duration_since(now).unwrap_or_default();
            assert!(left <= Duration::from_secs(60) && left > Duration::from_secs(58), "{left:?}");
        }
    }

    #[test]
    fn a_short_key_is_refused_before_anything_else() {
        assert!(key("short").is_err());
    }
}
