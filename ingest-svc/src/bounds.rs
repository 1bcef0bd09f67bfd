//! How much of a text is kept. A text that people read is never refused because of its length: it is cut, and the cut is marked.

/// Bytes of UTF-8 that are kept of a `memo`.
pub(crate) const MEMO: usize = 2 * 1024;

/// Bytes of UTF-8 that are kept of any other text of a record, and of a pad's name.
pub(crate) const TEXT: usize = 256;

/// Bytes of UTF-8 that are kept of the name of a parameter without a field.
pub(crate) const NAME: usize = 64;

/// Such parameters of a record. A call has as many of its ring records, and of its final records.
pub(crate) const OTHERS: usize = 32;

/// Bytes of UTF-8 of their names and values.
pub(crate) const OTHERS_BYTES: usize = 4 * 1024;

/// The end of a text that was cut.
const MARK: &str = "…";

/// Cuts a text to `most` bytes, the mark among them, between two characters.
pub(crate) fn cut(text: &mut String, most: usize) {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most - MARK.len()));
        text.push_str(MARK);
    }
}

/// The same for a borrowed text.
pub(crate) fn shortened(text: &str, most: usize) -> Box<str> {
    if text.len() <= most {
        return text.into();
    }
    let kept = &text[..text.floor_char_boundary(most - MARK.len())];
    [kept, MARK].concat().into_boxed_str()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_text_that_is_too_long_is_cut_between_characters_and_marked(text in "\\PC{0,40}", most in 3_usize..60) {
            let mut kept = text.clone();
            cut(&mut kept, most);
            prop_assert!(kept.len() <= most);
            prop_assert_eq!(&*shortened(&text, most), kept.as_str());
            if text.len() <= most {
                prop_assert_eq!(kept, text);
            } else {
                let before = kept.strip_suffix(MARK).unwrap_or_default();
                prop_assert!(kept.ends_with(MARK) && text.starts_with(before));
                // There was no room for one more character.
                let next = text[before.len()..].chars().next().map_or(0, char::len_utf8);
                prop_assert!(before.len() + next + MARK.len() > most);
            }
        }
    }
}
