//! Settings, log, listeners, run.

use std::process::ExitCode;

use ingest_svc::{Listeners, Settings, run};
use ringpad_runtime::{Failure, Hangup, activation::PassedListeners, run_service, settings};

fn main() -> ExitCode {
    let settings: Settings = match settings::read() {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    let logging = settings.logging.clone();
    let passed = PassedListeners::take(&Listeners::NAMES);
    run_service("ingest-svc", &logging, Hangup::Logged, |shutdown| async move {
        // Before any port is bound.
        settings.check().map_err(Failure::Setting)?;
        let bus = settings.bus.bus().map_err(Failure::Setting)?;
        let listeners = Listeners::bind(&settings, passed?).await?;
        run(settings, bus, listeners, shutdown).await
    })
}
