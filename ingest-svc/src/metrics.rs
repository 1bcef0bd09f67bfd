//! How a metric is made and registered. Names and units follow Prometheus. A registry belongs to one run, so that several runs
//! fit into one process of tests.

use prometheus_client::registry::{Metric, Registry, Unit};

/// Makes a metric that `registry` shows.
pub(crate) fn metric<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

/// Registers a metric in a unit, which becomes the end of its name.
pub(crate) fn metric_in<M: Metric + Clone>(
    registry: &mut Registry,
    unit: Unit,
    name: &str,
    help: &str,
    metric: M,
) -> M {
    registry.register_with_unit(name, help, unit, metric.clone());
    metric
}
