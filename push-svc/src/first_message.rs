//! The first message of a WebSocket pad: `{"token":…,"afterPosition":…,"epoch":…,"session":…}`, a `SubscribeRequest` in proto3
//! JSON with the token added. Unknown members are ignored, so that newer pads can connect to older replicas.

use ringpad_proto::v1::SubscribeRequest;
use serde_json::{Map, Value};

/// The token of a WebSocket pad and its request. Without `Debug`, because nothing may print the token.
pub struct FirstMessage {
    /// The JWT; empty if there is none.
    pub token: String,
    /// Where the stream is to begin.
    pub request: SubscribeRequest,
}

impl FirstMessage {
    /// Reads the message.
    ///
    /// # Errors
    /// Says what is wrong, without repeating any of the message.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut members: Map<String, Value> =
            serde_json::from_str(text).map_err(|_| "a JSON object is expected".to_owned())?;
        let token = match members.remove("token") {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(token)) => token,
            Some(_) => return Err("token: a string is expected".to_owned()),
        };
        // In proto3 JSON, null means absent.
        members.retain(|_, value| !value.is_null());
        let request = serde_json::from_value(Value::Object(members)).map_err(|_| {
            "afterPosition is a whole number, as a number or a string; epoch and session are strings"
                .to_owned()
        })?;
        Ok(Self { token, request })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn request(text: &str) -> SubscribeRequest {
        FirstMessage::parse(text).map_err(|wrong| panic!("{wrong}")).unwrap().request
    }

    #[test]
    fn positions_are_numbers_or_strings() {
        for text in [r#"{"token":"t","afterPosition":7}"#, r#"{"token":"t","afterPosition":"7"}"#] {
            assert_eq!(request(text).after_position, Some(7), "{text}");
        }
        assert_eq!(request(r#"{"token":"t","afterPosition":0}"#).after_position, Some(0));
        assert_eq!(
            request(r#"{"token":"t","afterPosition":"18446744073709551615"}"#).after_position,
            Some(u64::MAX)
        );
    }

    #[test]
    fn absent_null_and_unknown_members() {
        let text = r#"{"token":"t","afterPosition":null,"epoch":null,"session":"s","version":2}"#;
        let expected = SubscribeRequest { session: "s".to_owned(), ..SubscribeRequest::default() };
        assert_eq!(request(text), expected);
        assert_eq!(FirstMessage::parse("{}").map(|first| first.token), Ok(String::new()));
    }

    #[test]
    fn faults_are_named_without_repeating_the_message() {
        let wrong = [
            "hunter2",
            "[]",
            "",
            r#"{"token":7}"#,
            r#"{"token":"hunter2","afterPosition":-1}"#,
            r#"{"token":"hunter2","afterPosition":1.5}"#,
            r#"{"token":"hunter2","epoch":7}"#,
        ];
        for text in wrong {
            let said = FirstMessage::parse(text).map(|_| ()).unwrap_err();
            assert!(!said.contains("hunter2") && said.len() < 120, "{said}");
        }
    }
}
