//! A number within an address: `tel:`, `sip:`, `"Name" <…>`, quotes around it.

/// Parts of an address, as they stand in the text.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Address<'a> {
    /// What should be the number; the whole text if it is not an address. May begin with a blank.
    pub(super) user: &'a str,
    /// What follows the `@`.
    pub(super) host: &'a str,
    /// The `ext` of RFC 3966.
    pub(super) extension: Option<&'a str>,
    /// The `phone-context` of RFC 3966, if it is the beginning of a number: `+82`.
    pub(super) context: Option<&'a str>,
}

/// Pairs of signs that may enclose a whole number.
const ENCLOSING: [(&str, &str); 9] = [
    ("=\"", "\""), // So that a spreadsheet does not take it for a quantity.
    ("\"", "\""),
    ("'", "'"),
    ("\u{201c}", "\u{201d}"),
    ("\u{2018}", "\u{2019}"),
    ("[", "]"),
    ("{", "}"),
    ("<", ">"),
    ("(", ")"),
];

impl<'a> Address<'a> {
    /// Takes an address apart.
    pub(super) fn of(normal: &'a str) -> Self {
        if normal.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b' ' | b'+' | b'-' | b'.')) {
            return Self { user: normal, ..Self::default() };
        }
        let text = bare(normal);
        let (scheme, rest) = match text.split_once(':') {
            Some((scheme, rest)) => (scheme.trim(), rest),
            None => ("", text),
        };
        if ["tel", "callto"].iter().any(|name| scheme.eq_ignore_ascii_case(name)) {
            return Self::default().with_user(rest.strip_prefix("//").unwrap_or(rest));
        }
        let has_scheme = ["sip", "sips"].iter().any(|name| scheme.eq_ignore_ascii_case(name));
        let rest = if has_scheme { rest } else { text };
        let address = rest
            .split_once('@')
            .map(|(user, rest)| (user, rest.split([';', '?', ':', '>', ' ']).next().unwrap_or_default()));
        match address {
            // Without a host it is not an address, and the text before the `@` may be anything.
            Some((_, host)) if !host.chars().all(may_be_in_a_host) => Self { user: text, ..Self::default() },
            Some((user, host)) => {
                // After a colon there is a password.
                let user = user.split(':').next().unwrap_or_default();
                Self { host, ..Self::default() }.with_user(user)
            }
            // There is a host without a user.
            None if has_scheme => {
                Self { host: rest.split([';', '?', ':']).next().unwrap_or_default(), ..Self::default() }
            }
            None => Self { user: text, ..Self::default() },
        }
    }

    /// Takes over the user, and the parameters after it.
    fn with_user(mut self, text: &'a str) -> Self {
        let mut parts = text.split(';');
        self.user = parts.next().unwrap_or_default();
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let name = name.trim();
            if name.eq_ignore_ascii_case("ext") {
                self.extension = Some(value.trim());
            } else if name.eq_ignore_ascii_case("phone-context") && value.starts_with('+') {
                self.context = Some(value.trim());
            }
        }
        self
    }
}

/// Hosts are names, with letters of any script, or addresses of IPv4 or IPv6.
fn may_be_in_a_host(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '.' | '-' | '_' | '[' | ']')
}

/// A text without the name before it and without the signs that enclose it.
fn bare(text: &str) -> &str {
    let inside = text.rsplit_once('<').and_then(|(_, rest)| rest.split_once('>'));
    let text = match inside {
        Some((inside, after)) if after.is_empty() || after.trim_start().starts_with(';') => inside,
        _ => text,
    };
    ENCLOSING.iter().find_map(|pair| within(text, pair)).unwrap_or_else(|| {
        // In a spreadsheet a quote mark says that a text follows.
        text.trim_start().strip_prefix('\'').unwrap_or(text)
    })
}

/// The text that a pair of signs encloses, unless it has such signs itself: `(02) 555-0111 (101)`.
fn within<'a>(text: &'a str, (open, close): &(&str, &str)) -> Option<&'a str> {
    let inside = text.trim_start().strip_prefix(open)?.strip_suffix(close)?;
    (!inside.contains(['(', ')', '[', ']', '"'])).then_some(inside)
}
