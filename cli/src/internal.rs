//! ingest-svc's internal gRPC, as the commands of an operator call it.

use std::time::Duration;

use clap::{Arg, Args};
use ringpad_runtime::{Failure, settings::one_line};
use tokio::time::timeout;
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{
    endpoint::Endpoint,
    http_client::root,
    secret::{Flag, GivenSecret, Secret},
    terminal::harmless,
};

/// How long a connection, and most answers, may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How long one of several instances may take to say that it is ready.
const CHECK: Duration = Duration::from_secs(2);

/// Its address and its token.
#[derive(Debug, Args)]
pub(crate) struct InternalArgs {
    /// The address of ingest-svc's internal gRPC, http only; of several instances with commas.
    #[arg(long, env = "INGEST_URL", default_value = "http://127.0.0.1:50051", value_delimiter = ',', value_parser = Endpoint::parse, global = true)]
    ingest_url: Vec<Endpoint>,
    #[command(flatten)]
    token: Secret<InternalToken>,
}

#[derive(Debug)]
struct InternalToken;

impl Flag for InternalToken {
    const LONG: &str = "internal-token";
    const ENV: &str = "INTERNAL_TOKEN";

    fn describe(argument: Arg) -> Arg {
        argument.help("The internal gRPC's bearer token; none by default").value_name("TOKEN").global(true)
    }
}

/// One ingest-svc.
pub(crate) struct Internal {
    endpoint: Endpoint,
    channel: Channel,
    authorization: Option<MetadataValue<Ascii>>,
}

impl InternalArgs {
    /// A client of the first instance that is ready; see [`Internal::new`]. A single one is not asked whether it is.
    ///
    /// # Errors
    /// The token is not valid, or none of several instances is ready.
    pub(crate) async fn open(self, answer: Duration) -> Result<Internal, Failure> {
        let (token, several) = (self.token.given(), self.ingest_url.len() > 1);
        let mut failures = Vec::new();
        for endpoint in self.ingest_url {
            let internal = Internal::new(endpoint, token, answer)?;
            if !several {
                return Ok(internal);
            }
            match internal.check().await {
                Ok(()) => return Ok(internal),
                Err(failure) => failures.push(failure.to_string()),
            }
        }
        Err(Failure::other("no instance of ingest-svc is ready", failures.join("; ")))
    }
}

impl Internal {
    /// Connects at the first call. `answer` is how long an answer may take.
    ///
    /// # Errors
    /// The token has characters that are not valid in a header.
    pub(crate) fn new(
        endpoint: Endpoint,
        token: Option<&GivenSecret>,
        answer: Duration,
    ) -> Result<Self, Failure> {
        let uri = endpoint.join("/").map_err(|error| Failure::other(&endpoint, error))?;
        let channel = Channel::builder(uri).connect_timeout(PATIENCE).timeout(answer).connect_lazy();
        let bearer = |token: &GivenSecret| {
            let value = format!("Bearer {}", token.expose()).parse::<MetadataValue<Ascii>>();
            value.map_err(|_| token.wrong("visible ASCII characters are expected"))
        };
        let authorization = token.map(bearer).transpose()?;
        Ok(Self { endpoint, channel, authorization })
    }

    /// Asks whether the instance is ready.
    async fn check(&self) -> Result<(), Failure> {
        let check = self.request(HealthCheckRequest::default());
        let mut client = HealthClient::new(self.channel());
        let answer = timeout(CHECK, client.check(check)).await;
        let answer = answer.map_err(|_| Failure::other(&self.endpoint, format!("no answer in {CHECK:?}")))?;
        match answer.map_err(|status| self.failure(&status))?.get_ref().status() {
            ServingStatus::Serving => Ok(()),
            _ => Err(Failure::other(&self.endpoint, "it is not ready")),
        }
    }

    /// The connection, for a generated client.
    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// A request with the token.
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(authorization) = &self.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        request
    }

    /// What a failed call means to the user of the command.
    pub(crate) fn failure(&self, status: &Status) -> Failure {
        let message = one_line(&harmless(status.message()));
        let why = match status.code() {
            Code::Unauthenticated => {
                "ingest-svc refused the token: its INTERNAL_TOKEN is expected".to_owned()
            }
            Code::Unavailable => match std::error::Error::source(status) {
                Some(source) => format!("cannot reach ingest-svc: {}", root(source)),
                None => message,
            },
            _ if message.is_empty() => status.code().description().to_owned(),
            _ => message,
        };
        Failure::other(&self.endpoint, why)
    }
}
