//! Asks the log which pads were revoked: from then on their tokens are refused, and their streams end.
//!
//! A revocation reaches every replica within the interval and the time of one answer, together less than 5 s. While the log does not
//! answer, the pads that are known to be revoked stay so; a token that was issued before is valid for an hour at most.

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
    registry::{Registry, Unit},
};
use ringpad_runtime::CancellationToken;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{admission::Admission, hub::Hub, log_client::LogClient};

/// How often the log is asked, also while it does not answer.
const INTERVAL: Duration = Duration::from_secs(2);

/// The task that asks.
pub(crate) struct Revocations {
    pub hub: Hub,
    pub log: LogClient,
    pub admission: Arc<Admission>,
    pub answered: Answered,
}

impl Revocations {
    /// Asks until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut tick = interval(INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut fails, mut before) = (false, Vec::new());
        loop {
            let answer = async {
                tick.tick().await;
                self.log.revocations().await
            };
            let Some(answer) = stop.run_until_cancelled(answer).await else { return };
            match answer {
                Ok(pads) => {
                    if std::mem::take(&mut fails) {
                        tracing::info!("it is known again which pads were revoked");
                    }
                    self.revoke(pads, &mut before);
                }
                Err(status) if !fails => {
                    fails = true;
                    tracing::warn!(code = %status.code(), why = status.message(), "cannot ask which pads were revoked; trying again every 2 s");
                }
                Err(_) => {}
            }
        }
    }

    /// Takes an answer. `before`: what was new in the answer before this one; then what is new in this one.
    fn revoke(&self, pads: Vec<String>, before: &mut Vec<Box<str>>) {
        let new = self.admission.revoke(pads);
        if !new.is_empty() {
            tracing::info!(pads = new.len(), "pads were revoked");
        }
        // Pads that come from now on are refused. One that was admitted just before the last answer may have its stream only now.
        let ended: HashSet<_> = new.iter().chain(&*before).map(AsRef::as_ref).collect();
        if !ended.is_empty() {
            self.hub.end_revoked(&ended);
        }
        *before = new;
        self.answered.now();
    }
}

/// When the log last answered, or the replica was started. A cloneable handle, which also measures the age of the answer.
#[derive(Debug, Clone)]
pub(crate) struct Answered(Arc<Mutex<Instant>>);

impl Answered {
    /// Now; `registry` shows the age.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let answered = Self(Arc::new(Mutex::new(Instant::now())));
        registry.register_collector(Box::new(answered.clone()));
        answered
    }

    fn now(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

impl Collector for Answered {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let age = self.0.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
        let metric = encoder.encode_descriptor(
            "ringpad_push_revocations_age",
            "Time since the log last said which pads were revoked; it is asked every 2 s",
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?;
        ConstGauge::new(age.as_secs_f64()).encode(metric)
    }
}
