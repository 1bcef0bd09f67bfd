//! Cuts texts. A text that people read is never refused because of its length: it is cut, and the cut is marked.

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
