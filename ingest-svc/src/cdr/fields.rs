//! The fields of a record. The table at the end declares each of them once. From it follow the parameter's name on HTTP and in
//! `v1::Cdr`, the form in the log, the fingerprint, and how a later record of a call corrects an earlier one.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    mem::take,
};

use jiff::Timestamp;
use ringpad_proto::v1;
use serde::{Deserialize, Serialize};

use super::{
    fault::Fault,
    instant, other,
    value::{Digest, Fingerprint, Value},
};
use crate::{
    bounds::cut,
    capacity::RECORD,
    phone::{Called, Caller, mask_digits},
};

/// `fields` have rules of their own, which `parse` knows: variant of [`Field`], parameter, member of [`Cdr`] with its type, and
/// how serde treats it. `texts` are optional, and cut to a limit: variant, parameter, limit in bytes.
macro_rules! record {
    (
        fields { $($(#[$doc:meta])* $field:ident $name:ident => $member:ident: $type:ty, [$($serde:tt)*];)* }
        texts { $($(#[$text_doc:meta])* $text:ident $text_name:ident $limit:ident;)* }
    ) => {
        /// A known parameter of a call record.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Field {
            $($(#[$doc])* $field,)*
            $($(#[$text_doc])* $text,)*
        }

        const FIELDS: usize = [$(Field::$field,)* $(Field::$text,)*].len();

        impl Field {
            /// All of them, in the contract's order.
            pub const ALL: [Self; FIELDS] = [$(Self::$field,)* $(Self::$text,)*];

            /// The parameter's name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$field => stringify!($name),)*
                    $(Self::$text => stringify!($text_name),)*
                }
            }

            /// How many bytes of it are kept, if it is a text.
            pub fn limit(self) -> Option<usize> {
                match self {
                    $(Self::$field)|* => None,
                    $(Self::$text => Some(RECORD.$limit),)*
                }
            }
        }

        /// A call detail record: what a number provider sends at ring time, and again when the call is over.
        #[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Cdr {
            $(#[serde($($serde)*)] pub(super) $member: $type,)*
            $(#[serde(default, skip_serializing_if = "Option::is_none")] $text_name: Option<Box<str>>,)*
            #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "other::read")]
            pub(super) other: BTreeMap<String, String>,
        }

        /// The fields with rules of their own, parsed.
        pub(super) struct Parsed {
            $(pub(super) $member: $type,)*
        }

        impl Parsed {
            /// The record: these fields, and what is left in `fields`.
            pub(super) fn with_texts(self, mut fields: RawFields) -> Cdr {
                Cdr {
                    $($member: self.$member,)*
                    $($text_name: fields.take_text(Field::$text),)*
                    other: other::kept(fields.other),
                }
            }
        }

        impl From<v1::Cdr> for RawFields {
            fn from(cdr: v1::Cdr) -> Self {
                let v1::Cdr { $($name,)* $($text_name,)* other } = cdr;
                Self::of([$($name,)* $($text_name,)*], other)
            }
        }

        impl Cdr {
            /// A text as it is kept; `None` if there is none, or if the field is not a text.
            pub fn text(&self, field: Field) -> Option<&str> {
                match field {
                    $(Field::$field)|* => None,
                    $(Field::$text => self.$text_name.as_deref(),)*
                }
            }

            /// This record, completed by an earlier one of its kind: its own values count, and what it leaves out is kept.
            pub(crate) fn completed_by(self, earlier: Self) -> Self {
                Self {
                    $($member: self.$member.or_earlier(earlier.$member),)*
                    $($text_name: self.$text_name.or_earlier(earlier.$text_name),)*
                    other: other::kept(self.other.into_iter().chain(earlier.other)),
                }
            }

            /// 128 bits of SHA-256 over all fields as parsed: two records of a source have the same ones exactly if they are
            /// equal in every field. Numbers count in E.164, however they were written; the source does not count.
            pub fn fingerprint(&self) -> Fingerprint {
                let mut digest = Digest::default();
                $(Field::$field.add_to(&mut digest, &self.$member);)*
                $(Field::$text.add_to(&mut digest, &self.$text_name);)*
                digest.finish(&self.other)
            }
        }
    };
}

// New ones go to the end, and into `Field::LATER`: fingerprints that logs hold depend on the others and their order.
record! {
    fields {
        /// The provider's name for the call.
        Seq seq => seq: Box<str>, [];
        /// When the call began.
        Sdt sdt => sdt: Timestamp, [with = "instant::seconds"];
        /// When it was over.
        Edt edt => edt: Option<Timestamp>,
            [with = "instant::optional_seconds", default, skip_serializing_if = "Option::is_none"];
        /// When it was connected.
        Swidt swidt => swidt: Option<Timestamp>,
            [with = "instant::optional_seconds", default, skip_serializing_if = "Option::is_none"];
        /// The caller.
        Fromn fromn => caller: Caller, [];
        /// The virtual number that was dialled.
        Vn vn => vn: Option<Called>, [default, skip_serializing_if = "Option::is_none"];
        /// The line to which the provider forwards.
        Ton ton => ton: Option<Called>, [default, skip_serializing_if = "Option::is_none"];
    }
    texts {
        /// The provider's text, which pads show.
        Memo memo memo;
        /// Another text.
        Memo2 memo2 text;
        /// Kept as received, like the next ones.
        Crid crid text;
        /// Kept as received.
        Irid irid text;
        /// Kept as received.
        Cause cause text;
        /// Kept as received.
        ClosedFrom closed_from text;
    }
}

impl Field {
    /// Fields that were declared when there were logs already. They are optional, and in the fingerprint only of a record that has
    /// them, so that a repeat of a record from before that is recognised.
    pub(super) const LATER: &[Self] = &[];

    fn add_to(self, digest: &mut Digest, value: &impl Value) {
        if Self::LATER.contains(&self) {
            digest.add_later(self.name(), value);
        } else {
            value.add_to(digest);
        }
    }

    /// The parameter of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }
}

/// Faults of how parameters were sent that are kept; those of the record are added.
const MAX_FAULTS: usize = 20;

/// The parameters of one record as received, decoded to text. `Debug` shows no values, and names masked.
#[derive(Clone, Default)]
pub struct RawFields {
    named: [String; FIELDS],
    other: BTreeMap<String, String>,
    pub(super) faults: Vec<Fault>,
}

impl RawFields {
    /// No parameters.
    pub fn new() -> Self {
        Self::default()
    }

    /// Known parameters in the order of [`Field`], and unknown ones.
    fn of(named: [String; FIELDS], other: HashMap<String, String>) -> Self {
        let mut fields = Self { named, ..Self::default() };
        other.into_iter().for_each(|(name, value)| fields.insert(&name, value));
        fields
    }

    /// Adds a parameter, unless it is empty. A known parameter with two different values is a fault of the record, because
    /// nobody can know which one is meant. Of an unknown parameter all values are kept, joined like a list in HTTP.
    pub fn insert(&mut self, name: &str, value: String) {
        if value.is_empty() {
            return;
        }
        let named = Field::named(name);
        let slot = match named {
            Some(field) => &mut self.named[field as usize],
            None => self.other.entry(name.to_owned()).or_default(),
        };
        if slot.is_empty() {
            *slot = value;
        } else if *slot == value {
            // The same value again.
        } else if named.is_some() {
            self.fault(name, "is given more than once, with different values; one is expected".to_owned());
        } else {
            slot.push_str(", ");
            slot.push_str(&value);
        }
    }

    /// Adds a fault of a parameter, which the record will have too. Only the first 20 are kept, because a request may have
    /// thousands.
    pub fn fault(&mut self, name: &str, message: String) {
        if self.faults.len() < MAX_FAULTS {
            // The sender chooses the name, which may contain a number.
            self.faults.push(Fault { field: mask_digits(name), message });
        }
    }

    /// The value of a known or unknown parameter, if there is one.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = match Field::named(name) {
            Some(field) => &self.named[field as usize],
            None => self.other.get(name)?,
        };
        (!value.is_empty()).then_some(value.as_str())
    }

    /// Removes a parameter, and returns its value; empty if it is absent.
    pub(super) fn take(&mut self, field: Field) -> String {
        take(&mut self.named[field as usize])
    }

    /// Removes a text, and returns it, cut to its limit.
    fn take_text(&mut self, field: Field) -> Option<Box<str>> {
        let mut text = self.take(field);
        cut(&mut text, field.limit()?);
        (!text.is_empty()).then(|| text.into_boxed_str())
    }
}

impl fmt::Debug for RawFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named =
            Field::ALL.into_iter().filter(|field| !self.named[*field as usize].is_empty()).map(Field::name);
        // The sender chooses the name, which may contain a number.
        let other = self.other.keys().map(|name| mask_digits(name));
        f.debug_set().entries(named).entries(other).finish()
    }
}
