//! Unknown parameters. They are kept as received up to a limit, because a record may have thousands of them, and each record
//! of a call other ones.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use crate::{bounds::cut, capacity::RECORD};

/// The name of the entry which says that there were more.
const MORE: &str = "…";

/// The parameters that are kept: the first ones, and of a name the first one.
pub(super) fn kept(sent: impl IntoIterator<Item = (String, String)>) -> BTreeMap<String, String> {
    let mut kept = KeptParameters::default();
    sent.into_iter().for_each(|parameter| kept.add(parameter));
    kept.parameters
}

/// Whether there were more parameters than are kept.
pub(super) fn were_more(kept: &BTreeMap<String, String>) -> bool {
    kept.contains_key(MORE)
}

/// Reads parameters from the log. Records that were logged before there was a limit have all of them.
pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    BTreeMap::deserialize(deserializer).map(kept)
}

#[derive(Default)]
struct KeptParameters {
    parameters: BTreeMap<String, String>,
    /// How many of them a sender has sent, and their bytes.
    count: usize,
    bytes: usize,
}

impl KeptParameters {
    /// Keeps a parameter if there is room for it, and no other one of its name.
    fn add(&mut self, (mut name, mut value): (String, String)) {
        let is_cut = name.len() > RECORD.parameter_name;
        cut(&mut name, RECORD.parameter_name);
        cut(&mut value, RECORD.text);
        let bytes = name.len() + value.len();
        let is_known = self.parameters.contains_key(&name);
        if name == MORE && !is_known {
            self.parameters.insert(name, value);
        } else if !is_known && self.count < RECORD.parameters && self.bytes + bytes <= RECORD.parameter_bytes
        {
            self.count += 1;
            self.bytes += bytes;
            self.parameters.insert(name, value);
        } else if !is_known || is_cut {
            self.parameters.entry(MORE.to_owned()).or_insert_with(|| MORE.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::btree_map, prelude::*};

    use super::*;

    fn size(kept: &BTreeMap<String, String>) -> usize {
        kept.iter().map(|(name, value)| name.len() + value.len()).sum()
    }

    /// A few parameters, or more than there is room for.
    fn parameters() -> impl Strategy<Value = BTreeMap<String, String>> {
        prop_oneof![
            btree_map("[a-c가]{1,3}", "\\PC{0,8}", 0..8),
            btree_map("\\PC{0,80}", "\\PC{0,300}", 0..80),
            btree_map("[a-z]{1,4}", "[가-힣]{80,120}", 0..40),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_parameters_are_kept_up_to_the_limit(sent in parameters(), older in parameters()) {
            let (newer, older) = (kept(sent.clone()), kept(older));
            let both = kept(newer.clone().into_iter().chain(older.clone()));
            for kept in [&newer, &both] {
                // One more entry says that there were more. A sender may have sent one of that name.
                prop_assert!(kept.len() <= RECORD.parameters + 1 && size(kept) <= RECORD.parameter_bytes + RECORD.text + RECORD.parameter_name);
                prop_assert!(kept.iter().all(|(name, value)| name.len() <= RECORD.parameter_name && value.len() <= RECORD.text));
            }
            // Parameters that fit are all there, and nothing else.
            if !were_more(&newer) && sent.iter().all(|(name, value)| name.len() <= RECORD.parameter_name && value.len() <= RECORD.text) {
                prop_assert_eq!(&newer, &sent);
            }
            prop_assert!(newer.iter().all(|(name, value)| both.get(name) == Some(value)), "the later record counts");
            prop_assert!(were_more(&both) || older.keys().all(|name| both.contains_key(name)));
            prop_assert_eq!(kept(both.clone().into_iter().chain(older.clone())), both.clone(), "a repeat adds nothing");
            prop_assert_eq!(kept(both.clone()), both, "and the log's file holds what was kept");
        }
    }
}
