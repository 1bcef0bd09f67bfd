//! `ringpad ring`: acts as a number provider. Sends the CDR of a ring and, if asked, the final one later.

use std::time::Duration;

use bytes::Bytes;
use clap::{Arg, Args};
use http::{Response, StatusCode, Uri, header::RETRY_AFTER};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use ringpad_runtime::{Failure, settings};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    endpoint::Endpoint,
    http_client,
    secret::{Flag, Secret},
    terminal::{harmless, report},
};

/// The time zone of `sdt`, `edt` and `swidt`: that of every Korean number provider.
const PROVIDER_TIME_ZONE: &str = "Asia/Seoul";

/// Sends a ring to ingest-svc, as a number provider does.
#[derive(Debug, Args)]
pub(crate) struct RingArgs {
    /// The virtual number that was dialled, e.g. 0507-1234-5678.
    #[arg(long, value_name = "NUMBER")]
    vn: String,
    /// The caller's number, or a withheld form, e.g. anonymous.
    #[arg(long, value_name = "NUMBER")]
    from: String,
    /// Where ingest-svc takes CDRs; http only.
    #[arg(long, default_value = "http://127.0.0.1:8080", value_parser = Endpoint::parse)]
    url: Endpoint,
    /// The number provider to play: one of ingest-svc's sources.
    #[arg(long, default_value = "bizcall")]
    source: String,
    #[command(flatten)]
    secret: Secret<SourceSecret>,
    /// End the call after this time, e.g. 20s, with its final CDR; by default the call keeps ringing.
    #[arg(long, value_name = "TIME", value_parser = settings::duration)]
    end_after: Option<Duration>,
    /// Nobody answers the call; by default it is answered half-way to the end.
    #[arg(long, requires = "end_after")]
    missed: bool,
}

#[derive(Debug)]
struct SourceSecret;

impl Flag for SourceSecret {
    const LONG: &str = "secret";
    const ENV: &str = "SOURCE_SECRET";

    fn describe(argument: Arg) -> Arg {
        argument.help("The source's secret; none by default").value_name("SECRET")
    }
}

/// Rings, prints the answer, and ends the call if a flag asks for it.
///
/// # Errors
/// ingest-svc was not reached or did not accept a record, or no store owns the number.
pub(crate) async fn run(args: RingArgs) -> Result<(), Failure> {
    let uri = address(&args)?;
    let call = ProviderCall {
        seq: Uuid::new_v4().simple().to_string(),
        vn: args.vn,
        from: args.from,
        start: Timestamp::now(),
    };
    let mut routed = send(&args.url, &uri, &call.ring()?).await?;
    if let Some(length) = args.end_after {
        tokio::time::sleep(length).await;
        let end = Timestamp::now();
        let answered = (!args.missed).then(|| call.half_way(end));
        routed = send(&args.url, &uri, &call.end(answered, end)?).await?;
    }
    match routed {
        Routed::ToStore => Ok(()),
        Routed::Nowhere => Err(Failure::Other(
            "no store owns this virtual number, so no pad shows the call; `ringpad stores list` shows those that are owned".into(),
        )),
    }
}

/// Whether a record's call has a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Routed {
    ToStore,
    /// It is logged, and the store is looked up again at the call's next record.
    Nowhere,
}

fn address(args: &RingArgs) -> Result<Uri, Failure> {
    let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let mut path = format!("/v1/cdr/{}", encode(&args.source));
    if let Some(secret) = args.secret.given() {
        path = format!("{path}/{}", encode(secret.expose()));
    }
    // Without the reason, which may quote the address and with it the secret.
    args.url.join(&path).map_err(|_| Failure::setting("--source or --secret: too long for an address"))
}

/// A call as the number provider sees it.
struct ProviderCall {
    seq: String,
    vn: String,
    from: String,
    start: Timestamp,
}

impl ProviderCall {
    /// The record at ring time.
    fn ring(&self) -> Result<Value, Failure> {
        Ok(json!({ "seq": self.seq, "sdt": provider_time(self.start)?, "vn": self.vn, "fromn": self.from }))
    }

    /// The final record.
    fn end(&self, answered: Option<Timestamp>, end: Timestamp) -> Result<Value, Failure> {
        let mut record = self.ring()?;
        record["edt"] = provider_time(end)?.into();
        if let Some(answered) = answered {
            record["swidt"] = provider_time(answered)?.into();
        }
        Ok(record)
    }

    fn half_way(&self, end: Timestamp) -> Timestamp {
        let length: SignedDuration = end.duration_since(self.start);
        self.start.checked_add(length / 2).unwrap_or(end)
    }
}

/// `YYYYMMDDHH24MISS` in the provider's time zone.
fn provider_time(instant: Timestamp) -> Result<String, Failure> {
    let zone =
        TimeZone::get(PROVIDER_TIME_ZONE).map_err(|error| Failure::other(PROVIDER_TIME_ZONE, error))?;
    Ok(instant.to_zoned(zone).strftime("%Y%m%d%H%M%S").to_string())
}

async fn send(url: &Endpoint, uri: &Uri, record: &Value) -> Result<Routed, Failure> {
    let answer = http_client::post_json(uri.clone(), record).await;
    let answer =
        answer.map_err(|error| Failure::other(format!("cannot reach ingest-svc at {url}"), error))?;
    let (status, call_id) = accepted(&answer).map_err(|why| Failure::Other(why.into()))?;
    report(format!("{status} {call_id}"))?;
    Ok(if status == "unrouted" { Routed::Nowhere } else { Routed::ToStore })
}

/// The status and the call's id, or in one line why ingest-svc refused the record.
fn accepted(answer: &Response<Bytes>) -> Result<(String, String), String> {
    let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let text = |value: &Value| value.as_str().map(harmless);
    if answer.status() == StatusCode::OK {
        return match (text(&body["status"]), text(&body["call_id"])) {
            (Some(status), Some(call_id)) => Ok((status, call_id)),
            _ => {
                Err("the answer is not from ingest-svc; --url: the address of ingest-svc is expected"
                    .to_owned())
            }
        };
    }
    let faults: Vec<_> = body["errors"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|fault| Some(format!("{}: {}", text(&fault["field"])?, text(&fault["message"])?)))
        .collect();
    let why = match (&faults[..], text(&body["detail"]).or_else(|| text(&body["title"]))) {
        ([], Some(detail)) => detail,
        ([], None) => meaning(answer.status()).to_owned(),
        (faults, _) => faults.join("; "),
    };
    let again = answer.headers().get(RETRY_AFTER).and_then(|after| after.to_str().ok());
    let again = again.map(|seconds| format!("; try again in {} s", harmless(seconds))).unwrap_or_default();
    Err(format!("not accepted ({}): {why}{again}", answer.status()))
}

/// What a refusal without a body means.
fn meaning(status: StatusCode) -> &'static str {
    match status {
        StatusCode::FORBIDDEN => "the source does not accept requests from this address",
        StatusCode::NOT_FOUND => "there is no such source, or its secret is missing or wrong",
        StatusCode::TOO_MANY_REQUESTS => "there are more requests than the source's rate allows",
        StatusCode::SERVICE_UNAVAILABLE => "the log cannot be written",
        _ => "no reason given",
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use clap::{Command, FromArgMatches};

    use super::*;

    #[test]
    fn a_secret_from_a_file_is_in_the_address() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "s/3\r\n").unwrap();
        let line = ["ring", "--vn", "1", "--from", "2", "--token-file", file.path().to_str().unwrap()];
        let matches = RingArgs::augment_args(Command::new("ring")).try_get_matches_from(line).unwrap();
        let uri = address(&RingArgs::from_arg_matches(&matches).unwrap()).unwrap();
        assert_eq!(uri.path(), "/v1/cdr/bizcall/s%2F3");
    }

    fn call() -> ProviderCall {
        ProviderCall {
            seq: "s".to_owned(),
            vn: "0507-1234-5678".to_owned(),
            from: "010-1234-5678".to_owned(),
            start: "2025-03-01T15:00:01Z".parse().unwrap(),
        }
    }

    fn answer(status: u16, body: &str) -> Response<Bytes> {
        Response::builder()
            .status(status)
            .header(RETRY_AFTER, "2")
            .body(Bytes::from(body.to_owned()))
            .unwrap()
    }

    #[test]
    fn a_ring_has_seoul_time_and_no_end() {
        let expected = json!({
            "seq": "s", "sdt": "20250302000001", "vn": "0507-1234-5678", "fromn": "010-1234-5678",
        });
        assert_eq!(call().ring().unwrap(), expected);
    }

    #[test]
    fn the_final_record_belongs_to_the_ring_and_shows_whether_it_was_answered() {
        let call = call();
        let end = "2025-03-01T15:00:21Z".parse().unwrap();
        let missed = call.end(None, end).unwrap();
        assert_eq!((&missed["seq"], &missed["sdt"]), (&json!("s"), &json!("20250302000001")));
        assert_eq!((&missed["edt"], &missed["swidt"]), (&json!("20250302000021"), &Value::Null));
        let answered = call.end(Some(call.half_way(end)), end).unwrap();
        assert_eq!(answered["swidt"], json!("20250302000011"));
    }

    #[test]
    fn an_answer_is_printed_in_words() {
        let ok = answer(200, r#"{"call_id":"c","status":"unrouted"}"#);
        assert_eq!(accepted(&ok), Ok(("unrouted".to_owned(), "c".to_owned())));
        assert!(accepted(&answer(200, "<html>")).is_err());
        let faults = r#"{"title":"not a CDR","errors":[{"field":"vn","message":"missing"},{"field":"sdt","message":"no instant"}]}"#;
        assert_eq!(
            accepted(&answer(422, faults)).unwrap_err(),
            "not accepted (422 Unprocessable Entity): vn: missing; sdt: no instant; try again in 2 s"
        );
        assert!(accepted(&answer(404, "")).unwrap_err().contains("no such source"));
    }
}
