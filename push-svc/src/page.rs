//! The pad page, embedded: `../pad/dist`, whose `index.html` is told once where pads get their next token.

use std::{fmt::Write as _, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use rust_embed::{EmbeddedFile, RustEmbed};
use tower_http::compression::CompressionLayer;

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
    index: Arc<File>,
    policy: HeaderValue,
}

struct File {
    bytes: Bytes,
    kind: &'static str,
    tag: HeaderValue,
}

/// The page at `/`, and the files it needs, compressed with gzip for who takes that: load balancers do not do it for us. To be
/// merged last: it answers whatever nobody else does.
pub(crate) fn router(token_url: Option<&TokenUrl>) -> Router {
    let index = Files::get(INDEX).map(|file| file.data.into_owned()).unwrap_or_default();
    let index = fill(&String::from_utf8_lossy(&index), token_url);
    let page =
        Page { index: Arc::new(File::new(INDEX, index.into_bytes().into())), policy: policy(token_url) };
    Router::new()
        .fallback(get(serve))
        .with_state(page)
        .layer(CompressionLayer::new().no_br().no_deflate().no_zstd())
}

async fn serve(State(page): State<Page>, uri: Uri, headers: HeaderMap) -> Response {
    match uri.path().trim_start_matches('/') {
        "" | INDEX => page.answer(&page.index, &headers),
        path => match Files::get(path) {
            Some(file) => page.answer(&File::embedded(path, file), &headers),
            None => (StatusCode::NOT_FOUND, "not found\n").into_response(),
        },
    }
}

impl Page {
    fn answer(&self, file: &File, headers: &HeaderMap) -> Response {
        let known = headers.get_all(header::IF_NONE_MATCH).iter().any(|tags| names(tags, &file.tag));
        let (status, body) = if known {
            (StatusCode::NOT_MODIFIED, Body::empty())
        } else {
            (StatusCode::OK, file.bytes.clone().into())
        };
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static(file.kind)),
            // Asked for again each time: a replica of the next version brings the next page.
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (header::ETAG, file.tag.clone()),
            (header::CONTENT_SECURITY_POLICY, self.policy.clone()),
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        ];
        (status, headers, body).into_response()
    }
}

impl File {
    fn new(path: &str, bytes: Bytes) -> Self {
        Self { kind: kind(path), tag: tag(&bytes), bytes }
    }

    fn embedded(path: &str, file: EmbeddedFile) -> Self {
        Self::new(path, Bytes::from_owner(file.data))
    }
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
    fn nothing_breaks_out_of_the_attribute() {
        assert_eq!(escape(r#""><script>'&"#), "&quot;&gt;&lt;script&gt;&#39;&amp;");
    }

    #[test]
    fn the_policy_lets_the_page_reach_the_token() {
        let policy = policy(Some(&token_url("https://shop.example/token")));
        assert!(policy.to_str().unwrap().ends_with("connect-src 'self' https://shop.example"));
    }
}
