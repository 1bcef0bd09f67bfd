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
    secret::{Flag, Given, Secret},
    terminal::harmless,
};

/// How long a connection, and most answers, may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Where it is, and what it wants to hear.
#[derive(Debug, Args)]
pub(crate) struct InternalArgs {
    /// Where ingest-svc's internal gRPC is; http only.
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
    /// See [`Internal::new`].
    pub(crate) fn open(self, answer: Duration) -> Result<Internal, Failure> {
        Internal::new(self.ingest_url, self.token.given(), answer)
    }
}

impl Internal {
    /// Connects when it is first asked something. An `answer` may take so long.
    ///
    /// # Errors
    /// The token holds characters that no token has.
    pub(crate) fn new(endpoint: Endpoint, token: Option<&Given>, answer: Duration) -> Result<Self, Failure> {
        let uri = endpoint.join("/").map_err(|error| Failure::other(&endpoint, error))?;
        let channel = Channel::builder(uri).connect_timeout(PATIENCE).timeout(answer).connect_lazy();
        let bearer = |token: &Given| {
            let value = format!("Bearer {}", token.expose()).parse::<MetadataValue<Ascii>>();
            value.map_err(|_| token.wrong("a token is expected"))
        };
        let authorization = token.map(bearer).transpose()?;
        Ok(Self { endpoint, channel, authorization })
    }

    /// What a generated client is made of.
    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// A request that names the token.
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(authorization) = &self.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        request
    }

    /// What a failed call means to the person who ran the command.
    pub(crate) fn failure(&self, status: &Status) -> Failure {
        let said = one_line(&harmless(status.message()));
        let why = match status.code() {
            Code::Unauthenticated => "the internal gRPC wants another INTERNAL_TOKEN".to_owned(),
            Code::Unavailable => match std::error::Error::source(status) {
                Some(source) => format!("cannot reach ingest-svc: {}", root(source)),
                None => said,
            },
            _ if said.is_empty() => status.code().description().to_owned(),
            _ => said,
        };
        Failure::other(&self.endpoint, why)
    }
}
