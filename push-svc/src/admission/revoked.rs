//! The pads that are revoked: their tokens are refused although they have not expired.

use std::{
    collections::HashSet,
    sync::{PoisonError, RwLock},
};

/// Their ids, as the log last said; none until it has answered.
#[derive(Default)]
pub(super) struct RevokedPads(RwLock<HashSet<Box<str>>>);

impl RevokedPads {
    /// Whether a pad is one of them.
    pub(super) fn has(&self, pad: &str) -> bool {
        // No panic can leave the set half changed.
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(pad)
    }

    /// Takes others in their place. Returns those that are new.
    pub(super) fn replace(&self, pads: Vec<String>) -> Vec<Box<str>> {
        let pads: HashSet<Box<str>> = pads.into_iter().map(String::into_boxed_str).collect();
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let new = pads.difference(&known).cloned().collect();
        *known = pads;
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pads_that_were_not_known_are_new() {
        let (revoked, of) =
            (RevokedPads::default(), |pads: &[&str]| pads.iter().map(|pad| (*pad).to_owned()).collect());
        assert_eq!(revoked.replace(of(&["a"])), ["a".into()]);
        assert_eq!(revoked.replace(of(&["a", "b"])), ["b".into()]);
        assert!(revoked.has("a") && revoked.has("b") && !revoked.has("c"));
        assert!(revoked.replace(of(&["b"])).is_empty() && !revoked.has("a"));
    }
}
