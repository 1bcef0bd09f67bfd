//! A request as operators see it in the quarantine.

use std::borrow::Cow;

use super::{
    BODY, RawBody, RawRequest, charset, json,
    parameters::{form, scalar, urlencoded},
};
use crate::{
    cdr::Field,
    phone::{mask_digits, mask_text},
    source::Source,
};

/// Parameters of a request that are shown.
const SHOWN: usize = 40;

impl RawRequest {
    /// The first parameters in their order, with long values cut, and with everything masked that may be a phone number.
    pub(crate) fn masked(&self, source: &Source) -> String {
        let query = urlencoded(source, self.query.as_bytes(), self.charset);
        let query = query.map(|(name, value)| shown(&name, &value)).take(SHOWN);
        let mut members: Vec<_> = query.collect();
        match &self.body {
            RawBody::None => {}
            RawBody::Form(bytes) => {
                let (bytes, charset) = form(bytes, self.charset);
                let pairs = urlencoded(source, &bytes, charset);
                members.extend(pairs.map(|(name, value)| shown(&name, &value)).take(SHOWN));
            }
            RawBody::Json(bytes) => {
                let text = json::text(bytes, self.charset);
                match serde_json::from_str::<json::Object<'_>>(&text) {
                    Ok(object) => members.extend(object.0.into_iter().take(SHOWN).map(|(name, value)| {
                        match json::is_compound(value.get()) {
                            true => format!("{}={}", mask_digits(&name), mask_text(value.get())),
                            false => shown(&name, &scalar(value.get())),
                        }
                    })),
                    Err(_) => members.push(format!("{BODY}={}", mask_text(&text))),
                }
            }
            RawBody::Unread(bytes) => {
                let text = charset::text(Cow::Borrowed(bytes), self.charset);
                members.push(format!("{BODY}={}", mask_text(&text)));
            }
        }
        members.truncate(SHOWN);
        members.join(" ")
    }
}

fn shown(name: &str, value: &str) -> String {
    // A value that should be a number is masked in every form.
    let masked = match Field::named(name) {
        Some(Field::Fromn | Field::Vn | Field::Ton) => mask_text(value),
        _ => mask_digits(value),
    };
    format!("{}={masked}", mask_digits(name))
}
