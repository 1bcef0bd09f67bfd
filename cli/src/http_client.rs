//! One HTTP/1.1 request and its answer: all that `ring` and `dev` need.

use std::{error::Error, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, Uri, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use ringpad_runtime::Cause;
use tokio::time::timeout;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer; RingPad's are far smaller.
const LARGEST_ANSWER: usize = 256 * 1024;

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// The request could not be built.
    #[error("is not a valid request")]
    Request(#[source] http::Error),
    /// The server was not reached, or the connection broke.
    #[error("{}", root(&**_0))]
    Connection(Cause),
    /// The server did not answer in time.
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Silent,
}

/// Sends `GET uri`.
pub(crate) async fn get(uri: Uri) -> Result<Response<Bytes>, NoAnswer> {
    let request = Request::builder().uri(uri).body(Full::default()).map_err(NoAnswer::Request)?;
    send(request).await
}

/// Posts `value` to `uri` as JSON.
pub(crate) async fn post_json(uri: Uri, value: &serde_json::Value) -> Result<Response<Bytes>, NoAnswer> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(uri)
        .header(CONTENT_TYPE, "application/json")
        .body(Full::from(value.to_string()))
        .map_err(NoAnswer::Request)?;
    send(request).await
}

async fn send(request: Request<Full<Bytes>>) -> Result<Response<Bytes>, NoAnswer> {
    let exchange = async {
        let client: Client<HttpConnector, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let answer = client.request(request).await.map_err(|error| NoAnswer::Connection(error.into()))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, LARGEST_ANSWER).collect().await;
        let body = body.map_err(NoAnswer::Connection)?.to_bytes();
        Ok(Response::from_parts(head, body))
    };
    timeout(PATIENCE, exchange).await.unwrap_or(Err(NoAnswer::Silent))
}

/// The innermost cause, e.g. "connection refused" instead of "client error (Connect)".
pub(crate) fn root(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
