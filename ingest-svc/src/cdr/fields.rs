//! The fields of a record. The table at the end declares each of them once. From it follow the parameter's name on HTTP and in
//! `v1::Cdr`, the form in the log, the fingerprint, and how a later record of a call corrects an earlier one.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ringpad_proto::v1;
use serde::{Deserialize, Serialize};

use super::{
    RawFields, instant, other,
    value::{Digest, Fingerprint, Value},
};
use crate::{
    bounds::{MEMO, TEXT},
    phone::{Called, Caller},
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

        pub(super) const FIELDS: usize = [$(Field::$field,)* $(Field::$text,)*].len();

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
                    $(Self::$text => Some($limit),)*
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
                    $($text_name: self.$text_name.or(earlier.$text_name),)*
                    other: other::merged(self.other, earlier.other),
                }
            }

            /// 128 bits of SHA-256 over all fields as parsed: two records of a source have the same ones exactly if they are
            /// equal in every field. Numbers count in E.164, however they were written; the source does not count.
            pub fn fingerprint(&self) -> Fingerprint {
                let mut digest = Digest::default();
                $(self.$member.add_to(&mut digest);)*
                $(digest.add_field(Field::$text, self.$text_name.as_deref());)*
                digest.finish(&self.other)
            }
        }
    };
}

// New texts go to the end: fingerprints that logs hold depend on the order.
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
        Memo memo MEMO;
        /// Another text.
        Memo2 memo2 TEXT;
        /// Kept as received, like the next ones.
        Crid crid TEXT;
        /// Kept as received.
        Irid irid TEXT;
        /// Kept as received.
        Cause cause TEXT;
        /// Kept as received.
        ClosedFrom closed_from TEXT;
    }
}

impl Field {
    /// The last field of those that every record in a log was parsed with: later ones are added to the fingerprint with their names.
    pub(super) const LAST_ORIGINAL: Self = Self::ClosedFrom;

    /// The parameter of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }
}
