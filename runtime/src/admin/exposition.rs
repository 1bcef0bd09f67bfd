//! The text formats of metrics: OpenMetrics if the request names it, else the older format 0.0.4, which every scraper reads.
//! The older text is made from OpenMetrics; a few lines differ.

use std::{borrow::Cow, collections::HashMap};

use axum::http::{HeaderMap, header::ACCEPT};

/// A text format of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exposition {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus's text format 0.0.4.
    Text,
}

impl Exposition {
    /// The format for a request's `Accept`.
    pub(super) fn wanted(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let (mut open_metrics, mut text) = (0.0_f32, 0.0_f32);
        for range in accepted.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            let weight = weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0));
            match kind.as_str() {
                "application/openmetrics-text" => open_metrics = open_metrics.max(weight),
                "text/plain" => text = text.max(weight),
                _ => {}
            }
        }
        if open_metrics > 0.0 && open_metrics >= text { Self::OpenMetrics } else { Self::Text }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// Converts a text in OpenMetrics to this format.
    pub(super) fn of(self, open_metrics: String) -> String {
        match self {
            Self::OpenMetrics => open_metrics,
            Self::Text => older(&open_metrics),
        }
    }
}

/// The older format has no units, no end and no infos, and names a counter like its samples.
fn older(open_metrics: &str) -> String {
    let described = |line: &'_ str, what| -> Option<(String, String)> {
        let (name, rest) = str::strip_prefix(line, what)?.split_once(' ')?;
        Some((name.to_owned(), rest.to_owned()))
    };
    let kinds: HashMap<String, String> =
        open_metrics.lines().filter_map(|line| described(line, "# TYPE ")).collect();
    let full = |name: String| match kinds.get(&name).map(String::as_str) {
        Some("counter") => format!("{name}_total"),
        Some("info") => format!("{name}_info"),
        _ => name,
    };
    let mut text = String::with_capacity(open_metrics.len());
    for line in open_metrics.lines() {
        let line = if let Some((name, help)) = described(line, "# HELP ") {
            Cow::Owned(format!("# HELP {} {help}", full(name)))
        } else if let Some((name, kind)) = described(line, "# TYPE ") {
            let kind = match kind.as_str() {
                "info" => "gauge",
                "unknown" => "untyped",
                kind => kind,
            };
            Cow::Owned(format!("# TYPE {} {kind}", full(name)))
        } else if line.starts_with('#') {
            continue;
        } else {
            Cow::Borrowed(line)
        };
        text.push_str(&line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn wanted(accept: &[&'static str]) -> Exposition {
        let accept = accept.iter().map(|value| (ACCEPT, HeaderValue::from_static(value)));
        Exposition::wanted(&accept.collect())
    }

    #[test]
    fn open_metrics_is_sent_only_if_accept_names_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for accept in [prometheus, "Application/OpenMetrics-Text", "text/plain, application/openmetrics-text"]
        {
            assert_eq!(wanted(&[accept]), Exposition::OpenMetrics, "{accept}");
        }
        assert_eq!(wanted(&["text/plain;q=0.1", "application/openmetrics-text"]), Exposition::OpenMetrics);
        for accept in [
            "*/*",
            "",
            "text/plain;version=0.0.4;q=1,*/*;q=0.1",
            "application/openmetrics-text; q=0",
            "application/openmetrics-text;q=0.1,text/plain",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
        ] {
            assert_eq!(wanted(&[accept]), Exposition::Text, "{accept}");
        }
        assert_eq!(wanted(&[]), Exposition::Text);
    }

    #[test]
    fn the_older_format_names_counters_and_infos_as_their_samples() {
        let open_metrics = "# HELP a_seconds How long.\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\n\
            a_seconds_total{b=\"# EOF\"} 1.5\n# HELP c What.\n# TYPE c info\nc_info{version=\"1\"} 1\n\
            # HELP d D.\n# TYPE d histogram\nd_sum 1.0\nd_count 1\nd_bucket{le=\"+Inf\"} 1\n\
            # HELP e E.\n# TYPE e unknown\ne 1\n# EOF\n";
        let text = "# HELP a_seconds_total How long.\n# TYPE a_seconds_total counter\n\
            a_seconds_total{b=\"# EOF\"} 1.5\n# HELP c_info What.\n# TYPE c_info gauge\nc_info{version=\"1\"} 1\n\
            # HELP d D.\n# TYPE d histogram\nd_sum 1.0\nd_count 1\nd_bucket{le=\"+Inf\"} 1\n\
            # HELP e E.\n# TYPE e untyped\ne 1\n";
        assert_eq!(Exposition::Text.of(open_metrics.to_owned()), text);
    }
}
