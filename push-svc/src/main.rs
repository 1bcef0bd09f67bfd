//! Reads the settings, sets up logging, binds the listeners, and runs.

use std::process::ExitCode;

use push_svc::{Listeners, Settings, run};
use ringpad_runtime::{Hangup, Workers, activation::PassedListeners, run_service, settings};

fn main() -> ExitCode {
    let settings: Settings = match settings::read() {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    let logging = settings.logging.clone();
    let passed = PassedListeners::take(&Listeners::NAMES);
    run_service("push-svc", &logging, Hangup::Logged, Workers::EachCore, async move |shutdown| {
        // Before any port is bound.
        let checked = settings.check()?;
        let listeners = Listeners::bind(&checked.settings, passed?).await?;
        run(checked, listeners, shutdown).await
    })
}
