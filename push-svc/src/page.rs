//! The pad page, embedded: `../pad/dist`, whose `index.html` is told once where pads get their next token.
//!
//! What can be done once for all pads is done at the start: after a power cut thousands ask for the page within seconds.

use std::{
    collections::HashMap,
    fmt::Write as _,
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
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use rust_embed::RustEmbed;

use crate::settings::TokenUrl;

/// The page itself.
const INDEX: &str = "index.html";
/// Where the page looks for the token's URL.
const TOKEN_URL: &str = r#"<meta name="ringpad-token-url" content="">"#;

#[derive(RustEmbed)]
#[folder = "../pad/dist"]
struct Files;

/// What the page's routes need.
#[derive(Clone)]
struct Page {
    /// By their paths.
    files: Arc<HashMap<String, File>>,
    policy: HeaderValue,
}

struct File {
    bytes: Bytes,
    /// Compressed, if that is shorter.
    gzip: Option<Bytes>,
    kind: &'static str,
    tag: HeaderValue,
}

/// The page at `/`, and the files it needs, compressed with gzip for who takes that: load balancers do not do it for us. To be
/// merged last: it answers whatever nobody else does.
pub(crate) fn router(token_url: Option<&TokenUrl>) -> Router {
    let files = Files::iter().filter_map(|path| {
        let bytes = Files::get(&path)?.data;
        let bytes = match &*path {
            INDEX => fill(&String::from_utf8_lossy(&bytes), token_url).into_bytes().into(),
            _ => Bytes::from_owner(bytes),
        };
        Some((path.to_string(), File::new(&path, bytes)))
    });
    let page = Page { files: Arc::new(files.collect()), policy: policy(token_url) };
    Router::new().fallback(get(serve)).with_state(page)
}

async fn serve(State(page): State<Page>, uri: Uri, headers: HeaderMap) -> Response {
    let path = match uri.path().trim_start_matches('/') {
        "" => INDEX,
        path => path,
    };
    match page.files.get(path) {
        Some(file) => page.answer(file, &headers),
        None => (StatusCode::NOT_FOUND, "not found\n").into_response(),
    }
}

impl Page {
    fn answer(&self, file: &File, headers: &HeaderMap) -> Response {
        let known = headers.get_all(header::IF_NONE_MATCH).iter().any(|tags| names(tags, &file.tag));
        let gzip = file.gzip.as_ref().filter(|_| takes_gzip(headers));
        let (status, body) = if known {
            (StatusCode::NOT_MODIFIED, Body::empty())
        } else {
            (StatusCode::OK, gzip.unwrap_or(&file.bytes).clone().into())
        };
        let fixed = [
            (header::CONTENT_TYPE, HeaderValue::from_static(file.kind)),
            // Asked for again each time: a replica of the next version brings the next page.
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
        if gzip.is_some() && !known {
            answer.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        answer
    }
}

impl File {
    fn new(path: &str, bytes: Bytes) -> Self {
        let gzip = compressed(&bytes).ok().filter(|gzip| gzip.len() < bytes.len());
        Self { kind: kind(path), tag: tag(&bytes), gzip, bytes }
    }
}

fn compressed(bytes: &[u8]) -> io::Result<Bytes> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(bytes)?;
    gzip.finish().map(Bytes::from)
}

/// Whether an `Accept-Encoding` names gzip, and does not give it the weight of nothing (RFC 9110, section 12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
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

/// Nothing but the page's own files, and connections to this host and to where tokens come from.
fn policy(token_url: Option<&TokenUrl>) -> HeaderValue {
    let mut policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      media-src 'self' data:; font-src 'self'; manifest-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'; connect-src 'self'"
        .to_owned();
    if let Some(origin) = token_url.and_then(TokenUrl::origin) {
        policy.push(' ');
        policy.push_str(origin);
    }
    // An origin that cannot stand in a header cannot be asked for a token either.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// Is `tag` among the tags of an `If-None-Match`? A proxy that compresses makes them weak (`W/"…"`), and all are compared
/// as weak ones here (RFC 9110, section 13.1.2).
fn names(tags: &HeaderValue, tag: &HeaderValue) -> bool {
    let opaque = |tag: &[u8]| tag.strip_prefix(b"W/").unwrap_or(tag).to_vec();
    let tags = tags.as_bytes().split(|byte| *byte == b',').map(|tag| opaque(tag.trim_ascii()));
    let tag = opaque(tag.as_bytes());
    tags.into_iter().any(|known| known == tag || known == b"*")
}

/// Changes whenever the bytes do. Weak, since a compressed answer has the same one and other bytes.
fn tag(bytes: &[u8]) -> HeaderValue {
    // FNV-1a: no secret hangs on it.
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut tag = String::new();
    let written = write!(tag, "W/\"{hash:016x}\"");
    debug_assert!(written.is_ok(), "a String takes everything");
    HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("\"0\""))
}

fn kind(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
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
    fn the_embedded_page_can_be_told_where_tokens_come_from() {
        let index = String::from_utf8(Files::get(INDEX).unwrap().data.into_owned()).unwrap();
        let filled = fill(&index, Some(&token_url("https://shop.example/token?a=1&b=2")));
        assert!(filled.contains(r#"content="https://shop.example/token?a=1&amp;b=2""#), "{filled}");
    }

    #[test]
    fn who_names_gzip_takes_it_unless_its_weight_is_zero() {
        let takes = |value: &'static str| {
            takes_gzip(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))]))
        };
        let taken = ["gzip", "gzip, deflate, br, zstd", "br;q=1.0, GZIP;q=0.5", "identity,gzip; q=1"];
        assert!(taken.iter().all(|value| takes(value)));
        let left = ["", "identity", "br", "gzip;q=0", "gzip; q=0.000", "gzip;q=x", "xgzip"];
        assert!(left.iter().all(|value| !takes(value)) && !takes_gzip(&HeaderMap::new()));
    }

    #[test]
    fn nothing_breaks_out_of_the_attribute() {
        assert_eq!(escape(r#""><script>'&"#), "&quot;&gt;&lt;script&gt;&#39;&amp;");
    }

    #[test]
    fn the_policy_lets_the_page_reach_the_token() {
        let policy = policy(Some(&token_url("https://shop.example/token")));
        assert!(policy.to_str().unwrap().ends_with("connect-src 'self' https://shop.example"));
    }
}
