//! Counts the requests that are refused because a share is used up.

use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::shares::Share;

/// Cloneable handles on the counters of one run.
#[derive(Debug, Clone)]
pub(crate) struct AdmissionMetrics {
    turned_away: Family<[(&'static str, &'static str); 1], Counter>,
}

impl AdmissionMetrics {
    /// Counters that `registry` shows.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let turned_away = Family::default();
        registry.register(
            "requests_turned_away",
            "Single requests of pads beyond their share, by which one: of the pad at a time, of the pad, of its store",
            turned_away.clone(),
        );
        Self { turned_away }
    }

    pub(super) fn turned_away(&self, share: Share) {
        let share = match share {
            Share::PadConcurrency => "pad_at_once",
            Share::PadRate => "pad",
            Share::StoreRate => "store",
        };
        self.turned_away.get_or_create(&[("share", share)]).inc();
    }
}
