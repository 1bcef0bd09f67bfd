//! Every error of the edge, as a problem document of RFC 9457.

use std::{borrow::Cow, time::Duration};

use axum::{
    http::{
        HeaderName, HeaderValue, StatusCode,
        header::{ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
use ringpad_runtime::serve::lenient::HeadFault;
use serde::Serialize;

use crate::{
    cdr::{Fault, Faults},
    request::BODY,
};

/// The fields of faults of the head and of the method.
const HEAD: &str = "head";
const METHOD: &str = "method";

/// Seconds after which a sender may try again if the log cannot be written.
const LOG_RETRY: u64 = 2;

/// Why a request was refused.
#[derive(Debug)]
pub(super) enum Problem {
    /// No such source, or a wrong or missing secret: the sender must not learn which.
    NotFound,
    /// The client's address is not allowed.
    Forbidden,
    /// Neither GET nor POST.
    Method,
    /// Over the limit.
    TooLarge,
    /// A body of this type, which is neither a form nor JSON.
    MediaType(String),
    /// A body in this `Content-Encoding`.
    Encoding(String),
    /// The body took too long.
    Slow,
    /// The body ended early.
    Broken,
    /// A head that cannot be read as HTTP.
    Unreadable(HeadFault),
    /// Above the source's rate, for this time.
    TooMany(Duration),
    /// Not a call record.
    NotACdr(Faults),
    /// The log cannot be written.
    Unavailable,
}

#[derive(Serialize)]
struct Document<'a> {
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError<'a>>,
}

#[derive(Serialize)]
struct FieldError<'a> {
    field: &'a str,
    message: &'a str,
}

impl Problem {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType(_) | Self::Encoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::Unreadable(HeadFault::TargetTooLong) => StatusCode::URI_TOO_LONG,
            Self::Unreadable(HeadFault::HeadTooLong) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Unreadable(_) => StatusCode::BAD_REQUEST,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::NotACdr(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn detail(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::MediaType(named) if named.is_empty() => {
                "a body needs a Content-Type: application/x-www-form-urlencoded or application/json"
            }
            Self::MediaType(named) => {
                return Cow::Owned(format!(
                    "a body of type {named:?} is not read; parameters are read from the query, as \
                     application/x-www-form-urlencoded or as application/json"
                ));
            }
            Self::Encoding(named) => {
                return Cow::Owned(format!(
                    "the Content-Encoding {named:?} is not read; gzip and deflate are, at most four in a row"
                ));
            }
            Self::NotFound => "nothing is served at this path",
            Self::Forbidden => "requests from this client address are not allowed for this source",
            Self::Method => "call records are sent with GET or POST",
            Self::TooLarge => "a body may have 64 KiB, decoded; this one has more",
            Self::Slow => "the body took too long to arrive",
            Self::Broken => "the body ended early",
            Self::Unreadable(fault) => match fault {
                HeadFault::RequestLine => {
                    "the request does not begin with a method, a blank and a target, as HTTP/1.1 requires"
                }
                HeadFault::Version => "the request line does not end with HTTP/1.1 or HTTP/1.0",
                HeadFault::Target => "the request line's target is neither a path nor an address",
                HeadFault::Header => {
                    "a line of the request's head is not a header: a name, a colon directly after it, and a value without \
                     control characters are expected"
                }
                HeadFault::Length => {
                    "the body's length is not clear: one Content-Length, or only Transfer-Encoding: chunked, is expected"
                }
                HeadFault::Incomplete => "the request's head ended early: an empty line is expected after it",
                HeadFault::TargetTooLong => "a target may have 64 KiB, percent-encoded; this one has more",
                HeadFault::HeadTooLong => {
                    "a request's head may have 80 KiB and 100 headers; this one has more"
                }
            },
            Self::TooMany(_) => {
                "this source has sent more requests a second than it may; send this one again"
            }
            Self::NotACdr(_) => "this is not a call record; errors lists everything that is wrong with it",
            Self::Unavailable => "the log cannot be written now; send this again, a repeat is recognised",
        })
    }

    /// The faults of the request, as they are kept in the quarantine.
    pub(super) fn faults(&self) -> Vec<Fault> {
        let field = match self {
            Self::NotACdr(Faults(faults)) => return faults.clone(),
            Self::Unreadable(_) => HEAD,
            Self::Method => METHOD,
            _ => BODY,
        };
        vec![Fault::of(field, self.detail().into_owned())]
    }

    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::Method => Some((ALLOW, HeaderValue::from_static("GET, POST"))),
            // Rounded up to whole seconds: an earlier request would be refused again.
            Self::TooMany(wait) => {
                Some((RETRY_AFTER, HeaderValue::from(wait.as_millis().div_ceil(1_000).max(1) as u64)))
            }
            Self::Unavailable => Some((RETRY_AFTER, HeaderValue::from(LOG_RETRY))),
            // RFC 9110, 15.5.16: it distinguishes this 415 from that for a type.
            Self::Encoding(_) => Some((ACCEPT_ENCODING, HeaderValue::from_static("gzip, deflate"))),
            _ => None,
        }
    }

    fn errors(&self) -> Vec<FieldError<'_>> {
        match self {
            Self::NotACdr(Faults(faults)) => {
                faults.iter().map(|Fault { field, message }| FieldError { field, message }).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let document = Document {
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: &self.detail(),
            errors: self.errors(),
        };
        // It has only texts and numbers, which can always be serialised.
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.extend(self.header());
        response
    }
}
