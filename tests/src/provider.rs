//! A number provider: sends records over HTTP and reads the answers.

use std::{net::SocketAddr, time::Duration};

use http::StatusCode;
use ringpad_proto::v1::Cdr;
use tokio::time::sleep;

use crate::{
    cdr::urlencoded,
    http::{Answer, Client, NoAnswer},
    secrets::Secrets,
    wait::{SOON, within},
};

/// The media type of a form.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// How long a provider waits before it sends an unanswered record again.
const RETRY: Duration = Duration::from_millis(20);

/// The answer to an accepted record.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CdrAnswer {
    /// The call that the record belongs to.
    pub call_id: String,
    /// `accepted`, `duplicate` or `unrouted`.
    pub status: String,
}

/// A number provider with one connection to one ingest-svc.
#[derive(Debug)]
pub struct Provider {
    client: Client,
    secrets: Secrets,
}

impl Provider {
    /// A provider of the source `bizcall`; the numbers it sends are noted in `secrets`.
    pub fn new(ingest: SocketAddr, secrets: Secrets) -> Self {
        Self { client: Client::new(ingest), secrets }
    }

    /// Sends a record as a form.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn post(&mut self, cdr: &Cdr) -> Result<Answer, NoAnswer> {
        self.secrets.note(cdr);
        self.client.send("POST", "/v1/cdr/bizcall", &[("content-type", FORM)], urlencoded(cdr)).await
    }

    /// Sends a record that must be accepted.
    ///
    /// # Panics
    /// It is not.
    pub async fn deliver(&mut self, cdr: &Cdr) -> CdrAnswer {
        let answer = self.post(cdr).await.unwrap_or_else(|error| panic!("{error}"));
        cdr_answer(&answer)
    }

    /// Sends a record again and again until it is accepted, over crashes and 503s, as a provider that loses nothing does.
    ///
    /// # Panics
    /// It is not accepted within a bound, or the answer is neither 200 nor 503.
    pub async fn deliver_with_retries(&mut self, cdr: &Cdr) -> CdrAnswer {
        within("the record is accepted", 3 * SOON, async {
            loop {
                match self.post(cdr).await {
                    Ok(answer) if answer.status != StatusCode::SERVICE_UNAVAILABLE => {
                        return cdr_answer(&answer);
                    }
                    Ok(_) | Err(_) => sleep(RETRY).await,
                }
            }
        })
        .await
    }
}

/// Reads the answer to a record that must have been accepted.
///
/// # Panics
/// It was not, or the answer has another form.
pub fn cdr_answer(answer: &Answer) -> CdrAnswer {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(
        answer.headers.get("content-type").map(http::HeaderValue::as_bytes),
        Some(&b"application/json"[..])
    );
    serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.text()))
}
