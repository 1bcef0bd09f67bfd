//! The pad page, embedded: `../pad/dist`, with the URL of the next token written into `index.html`.
//!
//! All work that is the same for all pads is done at the start: after a power cut thousands load the page within seconds.

use std::{
    collections::HashMap,
    io::{self, Write as _},
    sync::Arc,
};

use axum::{
    Router,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use ring::digest;
use rust_embed::RustEmbed;

use crate::settings::TokenUrl;

/// The page itself.
const INDEX: &str = "index.html";
/// Where the page reads the token's URL.
const TOKEN_URL: &str = r#"<meta name="ringpad-token-url" content="">"#;

#[derive(RustEmbed)]
#[folder = "../pad/dist"]
struct Files;

/// What the page's routes use.
#[derive(Clone)]
struct PadPage {
    /// By path.
    files: Arc<HashMap<String, File>>,
    policy: HeaderValue,
}

struct File {
    bytes: Bytes,
    /// Compressed, if that is shorter.
    gzip: Option<Bytes>,
    content_type: HeaderValue,
    tag: HeaderValue,
}

/// The page at `/`, and its files, compressed with gzip for clients that accept it, since load balancers do not do that for
/// us. To be merged last: it answers all requests that no other route takes.
pub(crate) fn router(token_url: Option<&TokenUrl>) -> Router {
    let files = Files::iter().filter_map(|path| {
        let file = Files::get(&path)?;
        let bytes = match &*path {
            INDEX => fill(&String::from_utf8_lossy(&file.data), token_url).into_bytes().into(),
            _ => Bytes::from_owner(file.data),
        };
        Some((path.to_string(), File::new(file.metadata.mimetype(), bytes)))
    });
    let page = PadPage { files: Arc::new(files.collect()), policy: policy(token_url) };
    Router::new().fallback(get(serve)).with_state(page)
}

async fn serve(State(page): State<PadPage>, uri: Uri, headers: HeaderMap) -> Response {
    let path = match uri.path().trim_start_matches('/') {
        "" => INDEX,
        path => path,
    };
    match page.files.get(path) {
        Some(file) => page.answer(file, &headers),
        None => (StatusCode::NOT_FOUND, "not found\n").into_response(),
    }
}

impl PadPage {
    fn answer(&self, file: &File, headers: &HeaderMap) -> Response {
        let is_current = lists(headers, &file.tag);
        let gzip = file.gzip.as_ref().filter(|_| accepts_gzip(headers));
        let (status, body) = if is_current {
            (StatusCode::NOT_MODIFIED, Body::empty())
        } else {
            (StatusCode::OK, gzip.unwrap_or(&file.bytes).clone().into())
        };
        let fixed = [
            (header::CONTENT_TYPE, file.content_type.clone()),
            // Validated each time, because a replica of the next version has the next page.
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (header::ETAG, file.tag.clone()),
            (header::CONTENT_SECURITY_POLICY, self.policy.clone()),
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        ];
        let mut answer = (status, fixed, body).into_response();
        if file.gzip.is_some() {
            answer.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        if gzip.is_some() && !is_current {
            answer.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        answer
    }
}

impl File {
    fn new(mime: &str, bytes: Bytes) -> Self {
        let gzip = compressed(&bytes).ok().filter(|gzip| gzip.len() < bytes.len());
        let charset = if mime.starts_with("text/") { "; charset=utf-8" } else { "" };
        // Neither text can have a character that a header cannot have.
        let header = |text: String| HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
        // Weak, because the compressed answer has the same tag and other bytes.
        let digest = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, &bytes));
        let tag = header(format!("W/\"{digest}\""));
        Self { content_type: header(format!("{mime}{charset}")), tag, gzip, bytes }
    }
}

fn compressed(bytes: &[u8]) -> io::Result<Bytes> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(bytes)?;
    gzip.finish().map(Bytes::from)
}

/// Whether an `Accept-Encoding` names gzip with a weight above zero (RFC 9110, section 12.5.3).
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").unwrap_or("1");
        name.trim().eq_ignore_ascii_case("gzip") && weight.parse().is_ok_and(|weight: f32| weight > 0.0)
    })
}

/// The page with the token's URL in it.
fn fill(index: &str, token_url: Option<&TokenUrl>) -> String {
    let url = token_url.map_or("", TokenUrl::as_str);
    index.replacen(TOKEN_URL, &format!(r#"<meta name="ringpad-token-url" content="{}">"#, escape(url)), 1)
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Allows the page's own files, and connections to this host and to the host of the token URL.
fn policy(token_url: Option<&TokenUrl>) -> HeaderValue {
    let mut policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      media-src 'self' data:; font-src 'self'; manifest-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'; connect-src 'self'"
        .to_owned();
    if let Some(origin) = token_url.and_then(TokenUrl::origin) {
        policy.push(' ');
        policy.push_str(origin);
    }
    // An origin that is not valid in a header cannot be used for a request either.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// Whether `tag` is among the tags of `If-None-Match`. A proxy that compresses makes them weak (`W/"…"`), and all are
/// compared as weak tags here (RFC 9110, section 13.1.2).
fn lists(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let opaque = |tag: &[u8]| tag.strip_prefix(b"W/").unwrap_or(tag).to_vec();
    let values = headers.get_all(header::IF_NONE_MATCH).iter();
    let tags = values.flat_map(|tags| tags.as_bytes().split(|byte| *byte == b','));
    let tag = opaque(tag.as_bytes());
    tags.map(|known| opaque(known.trim_ascii())).any(|known| known == tag || known == b"*")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn token_url(text: &str) -> TokenUrl {
        use clap::Parser;
        let settings = crate::settings::Settings::try_parse_from([
            "push-svc",
            "--pad-token-secret=0123456789abcdef0123456789abcdef",
            &format!("--pad-token-url={text}"),
        ]);
        settings.unwrap().pad_token_url.unwrap()
    }

    #[test]
    fn every_file_has_its_type_and_a_tag_that_follows_its_content() {
        for (path, expected) in [
            ("index.html", "text/html; charset=utf-8"),
            ("pad.js", "text/javascript; charset=utf-8"),
            ("sw.js", "text/javascript; charset=utf-8"),
            ("pad.css", "text/css; charset=utf-8"),
            ("manifest.webmanifest", "application/manifest+json"),
            ("icon.svg", "image/svg+xml"),
            ("icon-192.png", "image/png"),
        ] {
            let file = Files::get(path).unwrap();
            assert_eq!(File::new(file.metadata.mimetype(), Bytes::new()).content_type, expected, "{path}");
        }
        let tag = |text: &'static str| File::new("text/plain", text.into()).tag;
        assert!(tag("a") == tag("a") && tag("a") != tag("b"), "{:?}", tag("a"));
    }

    #[test]
    fn the_token_url_is_written_into_the_page() {
        let index = String::from_utf8(Files::get(INDEX).unwrap().data.into_owned()).unwrap();
        let filled = fill(&index, Some(&token_url("https://shop.example/token?a=1&b=2")));
        assert!(filled.contains(r#"content="https://shop.example/token?a=1&amp;b=2""#), "{filled}");
    }

    #[test]
    fn gzip_is_used_if_it_is_named_with_a_weight_above_zero() {
        let accepts = |value: &'static str| {
            accepts_gzip(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))]))
        };
        let accepted = ["gzip", "gzip, deflate, br, zstd", "br;q=1.0, GZIP;q=0.5", "identity,gzip; q=1"];
        assert!(accepted.iter().all(|value| accepts(value)));
        let refused = ["", "identity", "br", "gzip;q=0", "gzip; q=0.000", "gzip;q=x", "xgzip"];
        assert!(refused.iter().all(|value| !accepts(value)) && !accepts_gzip(&HeaderMap::new()));
    }

    #[test]
    fn the_token_url_cannot_end_its_attribute() {
        assert_eq!(escape(r#""><script>'&"#), "&quot;&gt;&lt;script&gt;&#39;&amp;");
    }

    #[test]
    fn the_policy_allows_the_host_of_the_token_url() {
        let policy = policy(Some(&token_url("https://shop.example/token")));
        assert!(policy.to_str().unwrap().ends_with("connect-src 'self' https://shop.example"));
    }
}
