//! ingest-svc's internal gRPC, as the commands of an operator call it.

use std::time::Duration;

use clap::{Arg, Args};
use ringpad_runtime::{Failure, settings::one_line};
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};

use crate::{
    endpoint::Endpoint,
    http_client::root,
    secret::{Flag, GivenSecret, Secret},
    terminal::harmless,
};

/// How long a connection, and most answers, may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Its address and its token.
#[derive(Debug, Args)]
pub(crate) struct InternalArgs {
    /// The address of ingest-svc's internal gRPC; http only.
    #[arg(long, env = "INGEST_URL", default_value = "http://127.0.0.1:50051", value_parser = Endpoint::parse, global = true)]
    ingest_url: Endpoint,
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
    /// A client with these arguments; see [`Internal::new`].
    pub(crate) fn open(self, answer: Duration) -> Result<Internal, Failure> {
        Internal::new(self.ingest_url, self.token.given(), answer)
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
