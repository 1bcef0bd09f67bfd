//! The settings of the bus, the same for both services.

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use rustls::ClientConfig;

use crate::{
    address::BrokerAddress,
    amqp::{Amqp, Names},
    bus::Bus,
    tls,
};

/// How to reach the broker, and the names used there.
#[derive(Debug, Clone, Args)]
pub struct BusSettings {
    /// RabbitMQ; `amqps://…:5671` for TLS.
    #[arg(
        long,
        env = "AMQP_URL",
        default_value = "amqp://guest:guest@127.0.0.1:5672/%2f",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub amqp_url: BrokerAddress,
    /// PEM file of a private certificate authority to trust, in addition to the public ones, with `amqps://`.
    #[arg(long, env = "AMQP_CA_FILE", value_name = "FILE")]
    pub amqp_ca_file: Option<PathBuf>,
    /// The fanout exchange; durable.
    #[arg(long, env = "AMQP_EXCHANGE", default_value = "ringpad-exchange", value_parser = name, value_name = "NAME")]
    pub amqp_exchange: String,
    /// A replica's private queue is `<prefix>-<uuid>`.
    #[arg(
        long,
        env = "AMQP_QUEUE_PREFIX",
        default_value = "ringpad-push",
        value_parser = name,
        value_name = "PREFIX"
    )]
    pub amqp_queue_prefix: String,
    /// The fanout exchange of dead letters, and the name of its one queue [default: the exchange's name and `.dead`].
    #[arg(long, env = "AMQP_DEAD_LETTER_EXCHANGE", value_parser = name, value_name = "NAME")]
    pub amqp_dead_letter_exchange: Option<String>,
}

impl BusSettings {
    /// The bus that these settings describe. Reads the CA file; connects to nothing.
    ///
    /// # Errors
    /// One line that names the setting.
    pub fn bus(&self) -> Result<Bus, String> {
        let dead_letters =
            self.amqp_dead_letter_exchange.clone().unwrap_or_else(|| format!("{}.dead", self.amqp_exchange));
        if dead_letters == self.amqp_exchange {
            return Err(format!(
                "AMQP_DEAD_LETTER_EXCHANGE: {dead_letters:?} is wrong: a name that differs from AMQP_EXCHANGE is expected"
            ));
        }
        let names = Names {
            exchange: self.amqp_exchange.clone(),
            queue_prefix: self.amqp_queue_prefix.clone(),
            dead_letters,
        };
        Ok(Bus::Amqp(Amqp::new(self.amqp_url.clone(), self.tls()?, names)))
    }

    fn tls(&self) -> Result<Option<Arc<ClientConfig>>, String> {
        let mut trusted = tls::public_authorities();
        if let Some(file) = &self.amqp_ca_file {
            let wrong = |why: &str| format!("AMQP_CA_FILE: {file:?} is wrong: {why}");
            if !self.amqp_url.is_encrypted() {
                return Err(wrong("AMQP_URL is not encrypted; with a CA an amqps:// URL is expected"));
            }
            tls::add_authorities(&mut trusted, file).map_err(|error| wrong(&error))?;
        }
        self.amqp_url.is_encrypted().then(|| tls::client(trusted)).transpose()
    }
}

/// AMQP's names have at most 255 bytes; `-<uuid>` and `.dead` need some of them.
fn name(text: &str) -> Result<String, String> {
    match text {
        "" => Err("a name is expected".to_owned()),
        text if text.len() > 200 => Err("a name of at most 200 bytes is expected".to_owned()),
        text if text.chars().any(char::is_control) => {
            Err("a name without control characters is expected".to_owned())
        }
        text => Ok(text.to_owned()),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::{fs, io::Write};

    use clap::{CommandFactory, Parser};

    use super::*;

    const AUTHORITY: &str = "\
-----BEGIN CERTIFICATE-----
MIIBgDCCASWgAwIBAgIUef5jZXGp+haycs8ivocYHB3YTSAwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJYXV0aG9yaXR5MCAXDTI2MTEyNzA1NTkzMFoYDzIxMjYxMTAz
MDU1OTMwWjAUMRIwEAYDVQQDDAlhdXRob3JpdHkwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAT5oSEdO2yVPJxu7m4bZwdMv/8mjdTBsFpri4SbE7O7il/yVCVjWLFp
hV6ogAk7OQvyxeKCaOYK+eIccDan4gBco1MwUTAdBgNVHQ4EFgQUqR7vpycm3Q6j
J73XZyAxpEubfKwwHwYDVR0jBBgwFoAUqR7vpycm3Q6jJ73XZyAxpEubfKwwDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNJADBGAiEAkH31GHqbOgQepP7IFWKc
2q/8sRq0egbm0XYRE7phuHoCIQCtk6KW9ghqw9h/7aDPgoBb4l7PI6RQJXzcuRqp
Oo+Y+g==
-----END CERTIFICATE-----
";

    #[derive(Debug, Parser)]
    struct Settings {
        #[command(flatten)]
        bus: BusSettings,
    }

    fn settings(flags: &[&str]) -> Result<BusSettings, clap::Error> {
        Settings::try_parse_from(std::iter::once(&"test").chain(flags)).map(|settings| settings.bus)
    }

    fn wrong(flags: &[&str]) -> String {
        settings(flags).unwrap().bus().map(|_| ()).unwrap_err()
    }

    #[test]
    fn names_default_to_those_of_the_contract() {
        let bus = settings(&[]).unwrap().bus().unwrap();
        let Bus::Amqp(amqp) = bus else { panic!("the settings are for a broker") };
        assert_eq!(amqp.names().exchange, "ringpad-exchange");
        assert_eq!(amqp.names().queue_prefix, "ringpad-push");
        assert_eq!(amqp.names().dead_letters, "ringpad-exchange.dead");
    }

    #[test]
    fn no_error_debug_output_or_help_text_shows_the_password() {
        let error = settings(&["--amqp-url=amqp://guest:hunter2@host/"]).unwrap_err();
        let why = std::error::Error::source(&error).unwrap().to_string();
        assert!(!why.contains("hunter2"), "{why}");
        let settings = settings(&["--amqp-url=amqp://guest:hunter2@host/%2f"]).unwrap();
        assert!(!format!("{settings:?} {:?}", settings.bus().unwrap()).contains("hunter2"));
        let command = Settings::command();
        let url = command.get_arguments().find(|argument| argument.get_id() == "amqp_url").unwrap();
        assert!(url.is_hide_env_values_set());
    }

    #[test]
    fn a_name_that_the_broker_would_refuse_is_a_wrong_setting() {
        assert!(settings(&["--amqp-exchange="]).is_err());
        assert!(settings(&[&format!("--amqp-exchange={}", "x".repeat(201))]).is_err());
        assert!(
            wrong(&["--amqp-exchange=a", "--amqp-dead-letter-exchange=a"])
                .contains("AMQP_DEAD_LETTER_EXCHANGE")
        );
    }

    #[test]
    fn a_ca_file_needs_tls_and_a_certificate_in_it() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let path = format!("--amqp-ca-file={}", file.path().display());
        let amqps = "--amqp-url=amqps://guest:guest@host/%2f";
        assert!(wrong(&[&path]).contains("not encrypted"));
        assert!(
            wrong(&[amqps, "--amqp-ca-file=/nowhere"]).starts_with("AMQP_CA_FILE: \"/nowhere\" is wrong: ")
        );
        assert!(wrong(&[amqps, &path]).contains("CERTIFICATE"));
        writeln!(file, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----").unwrap();
        assert!(wrong(&[amqps, &path]).starts_with("AMQP_CA_FILE: "));
        fs::write(file.path(), AUTHORITY).unwrap();
        assert!(settings(&[amqps, &path]).unwrap().bus().is_ok());
    }
}
