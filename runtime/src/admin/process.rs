//! Metrics of the process, with the names that all Prometheus clients use: `process_…`.

use std::fmt;

use procfs::{
    ProcResult, WithCurrentSystemInfo,
    process::{LimitValue, Process},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};

/// Reads `/proc/self` at each scrape.
#[derive(Debug)]
pub(super) struct ProcessMetrics;

/// Values from `/proc/self`.
struct Usage {
    cpu_seconds: f64,
    start_seconds: f64,
    virtual_bytes: i64,
    resident_bytes: i64,
    threads: i64,
    open_files: i64,
    /// None: as many as there is room for.
    most_files: Option<i64>,
}

impl Usage {
    fn read() -> ProcResult<Self> {
        let process = Process::myself()?;
        let stat = process.stat()?;
        let ticks = procfs::ticks_per_second() as f64;
        let most_files = match process.limits()?.max_open_files.soft_limit {
            LimitValue::Unlimited => None,
            LimitValue::Value(most) => Some(signed(most)),
        };
        Ok(Self {
            cpu_seconds: (stat.utime + stat.stime) as f64 / ticks,
            start_seconds: procfs::boot_time_secs()? as f64 + stat.starttime as f64 / ticks,
            virtual_bytes: signed(stat.vsize),
            resident_bytes: signed(stat.rss_bytes().get()),
            threads: stat.num_threads,
            open_files: signed(process.fd_count()? as u64),
            most_files,
        })
    }
}

impl Collector for ProcessMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let usage = match Usage::read() {
            Ok(usage) => usage,
            Err(error) => {
                // The other metrics are still useful.
                tracing::debug!(%error, "cannot read /proc/self");
                return Ok(());
            }
        };
        let mut write = |name, help, unit: Option<&Unit>, metric: &dyn EncodeMetric| {
            metric.encode(encoder.encode_descriptor(name, help, unit, metric.metric_type())?)
        };
        let (seconds, bytes) = (Some(&Unit::Seconds), Some(&Unit::Bytes));
        let cpu = ConstCounter::new(usage.cpu_seconds);
        write("process_cpu", "Processor time spent, in user and kernel mode", seconds, &cpu)?;
        let start = ConstGauge::new(usage.start_seconds);
        write("process_start_time", "When the process began, since the Unix epoch", seconds, &start)?;
        let size = ConstGauge::new(usage.virtual_bytes);
        write("process_virtual_memory", "Virtual memory", bytes, &size)?;
        let size = ConstGauge::new(usage.resident_bytes);
        write("process_resident_memory", "Memory that is in RAM", bytes, &size)?;
        write("process_threads", "Threads of the operating system", None, &ConstGauge::new(usage.threads))?;
        write("process_open_fds", "Open file descriptors", None, &ConstGauge::new(usage.open_files))?;
        if let Some(most) = usage.most_files {
            write("process_max_fds", "Open file descriptors at most", None, &ConstGauge::new(most))?;
        }
        Ok(())
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
