//! Bearer tokens in an `authorization` header.

/// The token in the value of an `authorization` header; `None` if the scheme is another one, or there is no token.
/// The scheme's name may be in any case, with any number of blanks after it (RFC 9110, sections 11.1 and 11.4).
pub fn bearer(value: &[u8]) -> Option<&[u8]> {
    let value = value.trim_ascii();
    let (scheme, token) = value.split_at(value.iter().position(|byte| matches!(byte, b' ' | b'\t'))?);
    scheme.eq_ignore_ascii_case(b"bearer").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_is_bearer_in_any_case() {
        for value in ["Bearer abc", "bearer abc", "BEARER abc", "Bearer  abc", " bEaReR\t abc  "] {
            assert_eq!(bearer(value.as_bytes()), Some(&b"abc"[..]), "{value:?}");
        }
    }

    #[test]
    fn another_scheme_or_none() {
        for value in ["", " ", "Bearer", "Bearer ", "Basic abc", "Bearerabc", "abc", "bearer:abc"] {
            assert_eq!(bearer(value.as_bytes()), None, "{value:?}");
        }
    }
}
