//! A number within an address: `tel:`, `sip:`, `"Name" <…>`, quotes around it.

/// Parts of an address, as they stand in the text.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Address<'a> {
    /// What ought to be the number; the whole text, if it is no address. May begin with a blank.
    pub(super) user: &'a str,
    /// Behind the `@`.
    pub(super) host: &'a str,
    /// The `ext` of RFC 3966.
    pub(super) extension: Option<&'a str>,
    /// The `phone-context` of RFC 3966, if it is the beginning of a number: `+82`.
    pub(super) context: Option<&'a str>,
}

/// What may stand around a whole number.
const AROUND: [(&str, &str); 9] = [
    ("=\"", "\""), // How spreadsheets are kept from making a number of it.
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
            // What has no host is no address, and what stands before it may be anything.
            Some((_, host)) if !host.chars().all(may_be_in_a_host) => Self { user: text, ..Self::default() },
            Some((user, host)) => {
                // What is behind a colon is a password.
                let user = user.split(':').next().unwrap_or_default();
                Self { host, ..Self::default() }.with_user(user)
            }
            // Without a user there is a host alone.
            None if has_scheme => {
                Self { host: rest.split([';', '?', ':']).next().unwrap_or_default(), ..Self::default() }
            }
            None => Self { user: text, ..Self::default() },
        }
    }

    /// The user, and the parameters that stand behind it.
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

/// In a name, with letters of any script, or in an address of IPv4 or IPv6.
fn may_be_in_a_host(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '.' | '-' | '_' | '[' | ']')
}

/// A text without the name before it and what stands around it.
fn bare(text: &str) -> &str {
    let inside = text.rsplit_once('<').and_then(|(_, rest)| rest.split_once('>'));
    let text = match inside {
        Some((inside, behind)) if behind.is_empty() || behind.trim_start().starts_with(';') => inside,
        _ => text,
    };
    AROUND.iter().find_map(|around| within(text, around)).unwrap_or_else(|| {
        // A spreadsheet's sign that a text follows.
        text.trim_start().strip_prefix('\'').unwrap_or(text)
    })
}

/// What stands within a pair, unless that has one of the pair's signs itself: `(02) 555-0111 (101)`.
fn within<'a>(text: &'a str, (open, close): &(&str, &str)) -> Option<&'a str> {
    let inside = text.trim_start().strip_prefix(open)?.strip_suffix(close)?;
    (!inside.contains(['(', ')', '[', ']', '"'])).then_some(inside)
}
