//! The words that people search for among calls.

use prost::Message;
use ringpad_proto::v1;
use unicode_normalization::UnicodeNormalization;

/// Characters of what is typed at most.
const LONGEST: usize = 100;

/// What is searched for: a call matches if it has each of the words. Empty: every call does. Without the words in `Debug`: one may
/// be a phone number.
#[derive(Clone, Default)]
pub struct SearchWords(Vec<String>);

impl std::fmt::Debug for SearchWords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SearchWords({})", self.0.len())
    }
}

impl SearchWords {
    /// Reads what was typed; `None`: it is too long.
    pub fn parse(typed: &str) -> Option<Self> {
        if typed.chars().count() > LONGEST {
            return None;
        }
        Some(Self(typed.split_whitespace().map(squash).filter(|word| !word.is_empty()).collect()))
    }

    /// Whether there is no word.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an encoded call has each of the words. One that cannot be read has none.
    pub(crate) fn match_encoded(&self, call: &[u8]) -> bool {
        self.is_empty() || v1::Call::decode(call).is_ok_and(|call| self.match_call(&call))
    }

    fn match_call(&self, call: &v1::Call) -> bool {
        let mut texts = vec![&*call.note, &*call.memo];
        // Not what was noted at the caller's earlier calls: those are found themselves.
        if let Some(reservation) = &call.reservation {
            texts.extend([&*reservation.customer_name, &*reservation.car_number, &*reservation.service]);
        }
        for customer in &call.customers {
            texts.extend([&*customer.name, &*customer.car_number, &*customer.note]);
        }
        // A number is found in each of its forms.
        let caller = call.caller.as_ref();
        texts.extend(caller.into_iter().flat_map(|caller| [&*caller.number, &*caller.display]));
        let texts: Vec<_> = texts.into_iter().map(squash).collect();
        self.0.iter().all(|word| texts.iter().any(|text| text.contains(word)))
    }
}

/// A text without what people write in different ways: widths of characters, capitals, spaces, and what stands between digits.
fn squash(text: &str) -> String {
    let is_kept = |c: &char| {
        !c.is_whitespace() && !matches!(c, '-' | '‐'..='―' | '.' | '·' | '(' | ')' | '/' | '+' | '~')
    };
    text.nfkc().filter(is_kept).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn call() -> v1::Call {
        let text = |text: &str| text.to_owned();
        v1::Call {
            caller: Some(v1::Caller {
                number: text("+821012345678"),
                display: text("010-1234-5678"),
                kind: 1,
            }),
            note: text("하부 세차 원함"),
            memo: text("VIP"),
            reservation: Some(v1::Reservation {
                service: text("실내 세차"), ..v1::Reservation::default()
            }),
            customers: vec![v1::Customer {
                name: text("김민수"),
                car_number: text("12가 3456"),
                note: text("흰색 SUV"),
                ..v1::Customer::default()
            }],
            history: Some(v1::CallerHistory {
                last_note: text("키 맡김"), ..v1::CallerHistory::default()
            }),
            ..v1::Call::default()
        }
    }

    #[test]
    fn a_call_is_found_in_every_form_that_people_type() {
        let encoded = call().encode_to_vec();
        for typed in [
            "5678",
            "1234-5678",
            "010 1234 5678",
            "01012345678",
            "010.1234.5678",
            "+82 10-1234-5678",
            "821012345678",
            "０１０-１２３４",
            "김민수",
            "민수",
            "12가 3456",
            "12가3456",
            "３４５６",
            "suv 김",
            "하부세차",
            "실내 vip",
            "",
            "  ",
            // As a Mac writes it: letters apart.
            "\u{1100}\u{1175}\u{11b7}민수",
        ] {
            assert!(SearchWords::parse(typed).unwrap().match_encoded(&encoded), "{typed:?}");
        }
        for typed in ["5679", "010-5678", "이민수", "김민수 9999", "34가"] {
            assert!(!SearchWords::parse(typed).unwrap().match_encoded(&encoded), "{typed:?}");
        }
        assert!(SearchWords::parse(&"가".repeat(101)).is_none());
        assert!(!SearchWords::parse("가").unwrap().match_encoded(b"\xff"));
        assert_eq!(format!("{:?}", SearchWords::parse("010 1234 5678").unwrap()), "SearchWords(3)");
    }

    proptest! {
        #[test]
        fn a_call_is_found_by_each_of_its_own_texts(text in "\\PC{0,30}", other in "\\PC{0,30}") {
            let call = v1::Call { note: format!("{other} {text}"), ..v1::Call::default() };
            let words = SearchWords::parse(&text).unwrap();
            prop_assert!(words.match_encoded(&call.encode_to_vec()));
            // Nothing is found by a word that no text has.
            let words = SearchWords::parse(&format!("{text} \u{10fffd}")).unwrap();
            let note = text.replace('\u{10fffd}', "");
            let call = v1::Call { note, ..v1::Call::default() };
            prop_assert!(!words.match_call(&call));
        }
    }
}
