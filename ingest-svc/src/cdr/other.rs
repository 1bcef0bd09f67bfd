//! The parameters that the contract does not name. They are kept as they came, as far as there is room: a sender may have
//! thousands, and other ones in each of a call's records.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use crate::bounds::{NAME, OTHERS, OTHERS_BYTES, TEXT, cut};

/// The name under which it is noted that there were more.
const MORE: &str = "…";

/// What is kept of a record's parameters: the first ones by their names.
pub(super) fn kept(sent: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut kept = Kept::default();
    sent.into_iter().for_each(|parameter| kept.add(parameter));
    kept.parameters
}

/// What is kept of two records: all of the newer one, and what the older one has beside it.
pub(super) fn over(
    newer: BTreeMap<String, String>,
    older: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut kept = Kept::default();
    newer.into_iter().chain(older).for_each(|parameter| kept.add(parameter));
    kept.parameters
}

/// Whether there were more than are kept.
pub(super) fn were_more(kept: &BTreeMap<String, String>) -> bool {
    kept.contains_key(MORE)
}

/// Reads what is kept of them. Before there was a bound, all of them were.
pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    BTreeMap::deserialize(deserializer).map(kept)
}

#[derive(Default)]
struct Kept {
    parameters: BTreeMap<String, String>,
    /// Those among them that a sender has named, and their bytes.
    count: usize,
    bytes: usize,
}

impl Kept {
    /// Keeps a parameter if there is room, and none of its name.
    fn add(&mut self, (mut name, mut value): (String, String)) {
        let is_cut = name.len() > NAME;
        cut(&mut name, NAME);
        cut(&mut value, TEXT);
        let bytes = name.len() + value.len();
        let is_known = self.parameters.contains_key(&name);
        if name == MORE && !is_known {
            self.parameters.insert(name, value);
        } else if !is_known && self.count < OTHERS && self.bytes + bytes <= OTHERS_BYTES {
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

    /// Some parameters, or more than there is room for.
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
        fn what_is_kept_of_any_parameters_is_bounded(sent in parameters(), older in parameters()) {
            let (newer, older) = (kept(sent.clone()), kept(older));
            let both = over(newer.clone(), older.clone());
            for kept in [&newer, &both] {
                // One more says that there were more; a sender may have used its name.
                prop_assert!(kept.len() <= OTHERS + 1 && size(kept) <= OTHERS_BYTES + TEXT + NAME);
                prop_assert!(kept.iter().all(|(name, value)| name.len() <= NAME && value.len() <= TEXT));
            }
            // Whatever fits is there, and nothing else.
            if !were_more(&newer) && sent.iter().all(|(name, value)| name.len() <= NAME && value.len() <= TEXT) {
                prop_assert_eq!(&newer, &sent);
            }
            prop_assert!(newer.iter().all(|(name, value)| both.get(name) == Some(value)), "the newer record stands");
            prop_assert!(were_more(&both) || older.keys().all(|name| both.contains_key(name)));
            prop_assert_eq!(over(both.clone(), older.clone()), both.clone(), "a repeat adds nothing");
            prop_assert_eq!(kept(both.clone()), both, "and the log's file holds what was kept");
        }
    }
}
