//! The push-svc process: settings, log, ports, run.

use std::process::ExitCode;

use push_svc::{Listeners, Settings, run};
use ringpad_runtime::{Failure, Hangup, activation::PassedListeners, run_service, settings::read};

fn main() -> ExitCode {
    let settings = match read::<Settings>() {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    let logging = settings.logging.clone();
    let passed = PassedListeners::take(&Listeners::NAMES);
    run_service("push-svc", &logging, Hangup::Logged, async move |shutdown| {
        let bus = settings.bus.bus().map_err(Failure::Setting)?;
        let listeners = Listeners::bind(&settings, passed?).await?;
        run(settings, bus, listeners, shutdown).await
    })
}
